"""How events change the rows of a deployment, of its routes, and its numbers of replicas over time.

The three are one view: what became of a route changes the deployment's counts, and only the route's row knows what it
was before. Rows change by what an event says, without the domain's aggregate: folding that costs several times as much,
and a property of the tests holds every row against it.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Table

from domain import events as e
from domain.autoscaling.conditions import scaling_conditions
from domain.autoscaling.rules import Pause, ScalingPolicy
from domain.conditions import Circumstances, balance, conditions_in
from domain.deployment import Lifecycle
from domain.failures import FailureKind
from domain.operations import Operation
from domain.recorded import LoggedEvent
from projections.columns import as_utc, iso
from projections.deployments import DEPLOYMENTS
from projections.operation_failures import FAILED, RESOLVED_BY
from projections.replicas import REPLICA_SERIES, REPLICAS, fold_replicas
from projections.routes import ROUTE_FOLDS, ROUTE_IDS, ROUTE_SERIES, ROUTES
from projections.rows import Key, Row, Rows, id_text
from projections.stored_conditions import NO_CONDITIONS, Wording, moved_on, worded, written
from projections.view import View

_FAILURE_COLUMNS: Final = MappingProxyType(
    {
        Operation.CHECK_PENDING: "registration_failure",
        Operation.SCALE: "scaling_failure",
        Operation.CALCULATE: "calculation_failure",
        Operation.DESTROY: "destruction_failure",
    }
)
_ENDING: Final = frozenset(lifecycle.value for lifecycle in Lifecycle if lifecycle.is_ending)
_PENDING: Final = Lifecycle.PENDING.value
_SCALING: Final = Lifecycle.SCALING.value
_READY: Final = Lifecycle.READY.value
_NO_POLICY: Final = ScalingPolicy().model_dump_json()
# Names as plain text: those of columns are a kind of text that is slow to write as JSON.
_BLANK: Final[Row] = {str(column.name): None for column in DEPLOYMENTS.columns}
_NO_ENDPOINT: Final = {"endpoint_url": None, "registration_deadline": None, "registration_unsettled": False}
_numbers: Final = itemgetter("target_replica_count", "active_replicas", "healthy_replicas", "provisioning_replicas")
#: What conditions depend on, in the order in which :func:`_told` takes it.
_inputs: Final = itemgetter(
    "lifecycle",
    "revision_id",
    "endpoint_url",
    "registration_deadline",
    "registration_unsettled",
    "target_replica_count",
    "active_replicas",
    "healthy_replicas",
    "start_failures",
    "registration_failure",
    "scaling_failure",
    "destruction_failure",
)


def _created(logged: LoggedEvent, event: e.DeploymentCreated, at: datetime) -> Row:
    row = _BLANK | {
        "id": str(event.deployment_id),
        "name": event.deployment_name,
        "resource_group": event.resource_group,
        "domain": event.domain,
        "project": str(event.project),
        "owner": str(event.owner),
        "open_to_public": event.open_to_public,
        "lifecycle": _PENDING,
        "replica_count": event.replica_count,
        "target_replica_count": event.replica_count,
        "active_replicas": 0,
        "healthy_replicas": 0,
        "provisioning_replicas": 0,
        "registration_unsettled": False,
        "start_failures": 0,
        "scaling_policy": _NO_POLICY,
        "scaling_pause": Pause.NONE.value,
        "scaling_conditions": NO_CONDITIONS,
        "created_at": at,
        "updated_at": at,
        "version": logged.recorded.version,
    }
    row["conditions"] = moved_on(_told(_inputs(row)), (), NO_CONDITIONS, at)
    return row


def _target_revision_set(_row: Row, event: e.TargetRevisionSet) -> Row:
    revision = event.revision
    return {
        "revision_id": str(revision.revision_id),
        "image": revision.image,
        "model": revision.model,
        "runtime_variant": revision.runtime_variant,
    }


def _replica_count_set(_row: Row, event: e.ReplicaCountSet) -> Row:
    wanted = event.replica_count
    return {
        "replica_count": wanted,
        "desired_replica_count": None,
        "target_replica_count": wanted,
        "override": None,
    }


def _desired(row: Row, desired: int | None) -> Row:
    target = row["replica_count"] if desired is None else desired
    return {"desired_replica_count": desired, "target_replica_count": target}


def _policy_set(_row: Row, event: e.ScalingPolicySet) -> Row:
    changes = {"scaling_policy": event.policy.model_dump_json()}
    return changes if event.policy.rules else changes | {"scaling_conditions": NO_CONDITIONS}


def _desired_calculated(row: Row, event: e.DesiredReplicasCalculated) -> Row:
    decision = event.decision
    changes = {} if decision.desired == decision.previous else _desired(row, decision.desired)
    if decision.reasoning is None:
        return changes
    told = scaling_conditions(decision.reasoning, decision.desired)
    return changes | {"scaling_conditions": written(told, row["scaling_conditions"], as_utc(event.at))}


def _replicas_overridden(row: Row, event: e.ReplicasOverridden) -> Row:
    until = event.until and iso(event.until)
    held = json.dumps({"replica_count": event.replica_count, "until": until})
    return _desired(row, event.replica_count) | {"override": held}


def _route_status_reported(_row: Row, event: e.RouteStatusReported) -> Row:
    return {"start_failures": event.start_failures, "scale_out_not_before": event.scale_out_not_before}


def _scaled(row: Row, event: e.ScaledOut | e.RoutesTerminating) -> Row:
    return _lifecycle(row, _SCALING) | {"last_scaled_at": event.at}


def _lifecycle(row: Row, wanted: str) -> Row:
    return {} if row["lifecycle"] in _ENDING else {"lifecycle": wanted}


def _registration_started(row: Row, event: e.EndpointRegistrationStarted) -> Row:
    unsettled = row["registration_unsettled"] or row["registration_deadline"] is not None
    return {"registration_unsettled": unsettled, "registration_deadline": event.deadline}


def _registered(row: Row, event: e.EndpointRegistered) -> Row:
    changes: Row = {"endpoint_url": event.url, "registration_deadline": None}
    if row["lifecycle"] == _PENDING:
        changes["lifecycle"] = _SCALING
    return changes


def _failed(row: Row, event: e.OperationFailed) -> Row:
    changes: Row = {_FAILURE_COLUMNS[event.operation]: event.code}
    if event.operation is Operation.CHECK_PENDING:
        deadline = row["registration_deadline"]
        unanswered = deadline is not None and (event.kind is FailureKind.UNKNOWN or event.at > deadline)
        changes["registration_unsettled"] = row["registration_unsettled"] or unanswered
        changes["registration_deadline"] = None
    return changes


def _destroyed(_row: Row, _event: e.DeploymentDestroyed) -> Row:
    return {"lifecycle": Lifecycle.DESTROYED.value, **_NO_ENDPOINT}


#: What changes in a deployment's row, by event type; what follows for routes, counts and conditions comes on top.
_CHANGES: Final[Mapping[type[Any], Callable[[Row, Any], Row]]] = {
    e.TargetRevisionSet: _target_revision_set,
    e.ReplicaCountSet: _replica_count_set,
    e.ScalingPolicySet: _policy_set,
    e.ScalingPauseSet: lambda _row, event: {"scaling_pause": event.pause.value},
    e.ReplicasOverridden: _replicas_overridden,
    e.ReplicaOverrideExpired: lambda row, event: _desired(row, event.desired_replica_count) | {"override": None},
    e.EndpointRegistrationStarted: _registration_started,
    e.EndpointRegistered: _registered,
    e.EndpointDoubted: lambda _row, _event: {"registration_unsettled": True},
    e.DesiredReplicasCalculated: _desired_calculated,
    e.ScaledOut: _scaled,
    e.RoutesTerminating: _scaled,
    e.RouteStatusReported: _route_status_reported,
    e.ReplicaCountMismatched: lambda row, _event: _lifecycle(row, _SCALING),
    e.DeploymentReady: lambda row, _event: _lifecycle(row, _READY),
    e.DestructionRequested: lambda _row, _event: {"lifecycle": Lifecycle.DESTROYING.value, "override": None},
    e.EndpointUnregistered: lambda _row, _event: dict(_NO_ENDPOINT),
    e.EndpointAbandoned: lambda _row, _event: dict(_NO_ENDPOINT),
    e.DeploymentDestroyed: _destroyed,
    e.CommandHadNoEffect: lambda row, _event: {"updated_at": row["updated_at"]},
    **dict.fromkeys(FAILED, _failed),
}

#: The failures that are over with an event, by its type.
_RESOLVED: Final[Mapping[type[Any], Row]] = {
    kind: {_FAILURE_COLUMNS[operation]: None for operation in operations} for kind, operations in RESOLVED_BY.items()
}


def _keys(logged: LoggedEvent) -> Iterable[tuple[Table, Key]]:
    event = logged.recorded.event
    if type(event) is e.DeploymentCreated:
        return ()
    of_deployment = (DEPLOYMENTS, id_text(logged.recorded.stream_id))
    if route_ids := ROUTE_IDS.get(type(event)):
        return [of_deployment, *((ROUTES, str(route_id)) for route_id in route_ids(event))]
    return (of_deployment,)


def _fold(rows: Rows, logged: LoggedEvent) -> None:
    recorded = logged.recorded
    event = recorded.event
    kind = type(event)
    at = as_utc(event.at)
    deployments = rows.of(DEPLOYMENTS)
    if type(event) is e.DeploymentCreated:
        row = _created(logged, event, at)
        deployments.put(row)
        fold_replicas(rows, logged.position, at, row)
        return
    key = id_text(recorded.stream_id)
    row = deployments.existing(key)
    changes = _CHANGES[kind](row, event)
    changes["version"] = recorded.version
    changes.setdefault("updated_at", at)
    if resolved := _RESOLVED.get(kind):
        changes |= resolved
    if fold_routes := ROUTE_FOLDS.get(kind):
        gained = fold_routes(rows, key, event, at)
        changes["active_replicas"] = row["active_replicas"] + gained.active
        changes["healthy_replicas"] = row["healthy_replicas"] + gained.healthy
        changes["provisioning_replicas"] = row["provisioning_replicas"] + gained.provisioning
    numbers, inputs = _numbers(row), _inputs(row)
    deployments.update(key, changes)
    if _numbers(row) != numbers:
        fold_replicas(rows, logged.position, at, row)
    if (now := _inputs(row)) != inputs and (told := _told(now)) != (was := _told(inputs)):
        deployments.update(key, {"conditions": moved_on(told, was, row["conditions"], row["updated_at"])})


def _told(inputs: tuple[Any, ...]) -> tuple[Wording, ...]:
    """The conditions of a row of which :func:`_inputs` gives this."""
    lifecycle, revision, url, deadline, unsettled, target, active, healthy, failed_starts, *failures = inputs
    return _wordings(
        lifecycle,
        revision is not None,
        url is not None,
        url is None and (unsettled or deadline is not None),
        balance(active, target),
        target > 0,
        healthy > 0,
        failed_starts > 0,
        *failures,
    )


@lru_cache(maxsize=4096)
def _wordings(lifecycle: str, *circumstances: Any) -> tuple[Wording, ...]:  # noqa: ANN401 - as Circumstances has them
    """The conditions in these circumstances; remembered by plain values, whose hashes cost a third of an enum's."""
    return worded(conditions_in(Circumstances(Lifecycle(lifecycle), *circumstances)))


DEPLOYMENTS_VIEW = View(
    name="deployments",
    version=3,
    tables=(DEPLOYMENTS, ROUTES, REPLICAS),
    handles=frozenset({e.DeploymentCreated, *_CHANGES}),
    fold=_fold,
    keys=_keys,
    series=(REPLICA_SERIES, ROUTE_SERIES),
)
