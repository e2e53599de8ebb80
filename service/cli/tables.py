"""What of each row an operator wants to see first, and how it is drawn."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID

from rich.console import Group, RenderableType
from rich.text import Text

from domain.autoscaling.conditions import ScalingConditionType
from domain.conditions import ConditionStatus, ConditionType
from domain.deployment import Lifecycle
from domain.routes import RouteStatus
from projections.control import PauseRow
from projections.deployments import ConditionRow, DeploymentRow, ScalingConditionRow
from projections.rejected_records import RejectedRecordRow
from projections.replicas import ReplicaCountsRow
from projections.routes import RouteRow
from service.cli.moments import age, shown
from service.cli.output import Column, clean, short_ids, table

_LIFECYCLE_STYLES: Final[Mapping[Lifecycle, str]] = {
    Lifecycle.PENDING: "cyan",
    Lifecycle.SCALING: "yellow",
    Lifecycle.READY: "green",
    Lifecycle.DESTROYING: "magenta",
    Lifecycle.DESTROYED: "dim",
}
#: The conditions of a deployment that is to live, causes before what follows from them.
_TELLING: Final = (
    ConditionType.PROXY_TARGET_MISSING,
    ConditionType.ENDPOINT_REGISTERED,
    ConditionType.AVAILABLE,
    ConditionType.PROGRESSING,
)
_STATUS_STYLES: Final[Mapping[RouteStatus, str]] = {
    RouteStatus.PROVISIONING: "cyan",
    RouteStatus.HEALTHY: "green",
    RouteStatus.UNHEALTHY: "red",
    RouteStatus.DEGRADED: "yellow",
    RouteStatus.TERMINATING: "magenta",
    RouteStatus.TERMINATED: "dim",
    RouteStatus.FAILED_TO_START: "red",
}


def deployments_table(rows: Sequence[DeploymentRow], width: int, at: datetime) -> RenderableType:
    """Draw deployments with the state that they are in; ages are as of ``at``."""
    short = short_ids(row.id for row in rows)
    short_revision = short_ids(row.revision_id for row in rows if row.revision_id)
    columns: Sequence[Column[DeploymentRow]] = (
        Column(header="NAME", cell=lambda row: row.name, least=8, wrap=True),
        Column(header="ID", cell=lambda row: short(row.id)),
        Column(header="LIFECYCLE", cell=lambda row: lifecycle_text(row.lifecycle)),
        Column(header="REPLICAS", cell=replicas_text),
        Column(header="CONDITION", cell=condition_text),
        Column(header="REVISION", cell=lambda row: short_revision(row.revision_id), from_width=100),
        Column(header="ENDPOINT", cell=lambda row: row.endpoint_url or "-", from_width=110, wrap=True),
        Column(header="RESOURCE GROUP", cell=lambda row: row.resource_group, from_width=160),
        Column(header="MODEL", cell=lambda row: row.model or "-", from_width=160, wrap=True),
        Column(header="SCALING", cell=scaling_text, from_width=140),
        Column(header="AGE", cell=lambda row: age(row.created_at, at), right=True),
    )
    drawn = table(rows, columns, width=width, empty="There are no such deployments.")
    legend = Text("REPLICAS are desired/active/healthy.", style="dim")
    return Group(drawn, legend) if rows else drawn


def routes_table(rows: Sequence[RouteRow], names: Mapping[UUID, str], width: int, at: datetime) -> RenderableType:
    """Draw routes under the names of their deployments; ages are as of ``at``."""
    short = short_ids(row.id for row in rows)
    short_revision = short_ids(row.revision_id for row in rows)
    columns: Sequence[Column[RouteRow]] = (
        Column(header="ROUTE", cell=lambda row: short(row.id)),
        Column(header="DEPLOYMENT", cell=lambda row: names.get(row.deployment_id, str(row.deployment_id)), wrap=True),
        Column(header="STATUS", cell=lambda row: status_text(row.status)),
        Column(header="FOR", cell=lambda row: age(row.status_since, at), right=True),
        Column(header="TRAFFIC", cell=lambda row: f"{row.traffic_ratio:g}", right=True),
        Column(header="REVISION", cell=lambda row: short_revision(row.revision_id)),
        Column(header="AGE", cell=lambda row: age(row.created_at, at), right=True),
        Column(header="DETAIL", cell=_route_detail, from_width=100, wrap=True),
    )
    return table(rows, columns, width=width, empty="There are no such routes.")


def replicas_table(rows: Sequence[ReplicaCountsRow], names: Mapping[UUID, str], width: int) -> RenderableType:
    """Draw numbers of replicas over time."""
    columns: Sequence[Column[ReplicaCountsRow]] = (
        Column(header="TIME (UTC)", cell=lambda row: shown(row.at)),
        Column(header="DEPLOYMENT", cell=lambda row: names.get(row.deployment_id, str(row.deployment_id)), wrap=True),
        Column(header="DESIRED", cell=lambda row: str(row.target), right=True),
        Column(header="ACTIVE", cell=lambda row: str(row.active), right=True),
        Column(header="HEALTHY", cell=lambda row: str(row.healthy), right=True),
        Column(header="STARTING", cell=lambda row: str(row.provisioning), right=True),
        Column(header="POSITION", cell=lambda row: str(row.position), right=True, from_width=100),
    )
    return table(rows, columns, width=width, empty="There are no replica counts yet.")


def rejected_table(rows: Sequence[RejectedRecordRow], width: int) -> RenderableType:
    """Draw refused records with what was wrong."""
    columns: Sequence[Column[RejectedRecordRow]] = (
        Column(header="TIME (UTC)", cell=lambda row: shown(row.at)),
        Column(header="RECORD", cell=lambda row: f"{row.topic}/{row.partition}@{row.offset}"),
        Column(header="CODE", cell=lambda row: row.code, from_width=100),
        Column(header="FIELD", cell=lambda row: row.field or "-", from_width=140, wrap=True),
        Column(header="VALUE", cell=lambda row: row.value or "-", from_width=160, wrap=True),
        Column(header="REASON", cell=lambda row: row.reason, wrap=True),
    )
    return table(rows, columns, width=width, empty="No record was refused.")


def pauses_table(rows: Sequence[PauseRow], names: Mapping[str, str], width: int, at: datetime) -> RenderableType:
    """Draw pauses that stand, deployments by their names; ages are as of ``at``."""
    columns: Sequence[Column[PauseRow]] = (
        Column(header="SCOPE", cell=lambda row: row.scope),
        Column(header="OF", cell=lambda row: clean(names.get(row.target, row.target)) or "-", wrap=True),
        Column(header="FOR", cell=lambda row: age(row.since, at), right=True),
        Column(header="BY", cell=lambda row: clean(row.actor) or "-", wrap=True),
        Column(header="REASON", cell=lambda row: clean(row.reason) or "-", wrap=True),
    )
    return table(rows, columns, width=width, empty="Nothing is paused.")


def conditions_table(rows: Sequence[ConditionRow | ScalingConditionRow], width: int, at: datetime) -> RenderableType:
    """Draw the conditions of one deployment; ages are as of ``at``."""
    columns: Sequence[Column[ConditionRow | ScalingConditionRow]] = (
        Column(header="TYPE", cell=lambda row: row.type.value),
        Column(header="STATUS", cell=lambda row: Text(row.status.value, style="green" if is_well(row) else "yellow")),
        Column(header="FOR", cell=lambda row: age(row.last_transition_time, at), right=True),
        Column(header="REASON", cell=lambda row: row.reason),
        Column(header="MESSAGE", cell=lambda row: row.message, wrap=True),
    )
    return table(rows, columns, width=width, empty="none")


def lifecycle_text(lifecycle: Lifecycle) -> Text:
    """Draw where a deployment stands."""
    return Text(lifecycle.value, style=_LIFECYCLE_STYLES[lifecycle])


def status_text(status: RouteStatus) -> Text:
    """Draw how a route is."""
    return Text(status.value, style=_STATUS_STYLES[status])


def replicas_text(row: DeploymentRow) -> Text:
    """Draw desired/active/healthy numbers of replicas."""
    numbers = (row.target_replica_count, row.active_replicas, row.healthy_replicas)
    return Text("/".join(map(str, numbers)), style="" if len(set(numbers)) == 1 else "yellow")


def condition_text(row: DeploymentRow) -> Text:
    """Draw the reason of the one condition that says most about what is not as one would have it, if there is any."""
    conditions = {condition.type: condition for condition in row.conditions}
    if ConditionType.PAUSED in conditions and row.lifecycle is not Lifecycle.DESTROYED:
        return Text("Paused", style="yellow")
    telling = (ConditionType.PROGRESSING,) if row.lifecycle.is_ending else _TELLING
    amiss = [conditions[each] for each in telling if row.lifecycle.is_ending or not is_well(conditions[each])]
    return Text(clean(amiss[0].reason), style="yellow") if amiss else Text("Available", style="green")


def scaling_text(row: DeploymentRow) -> Text:
    """Draw the reason of the scaling condition that says most about what keeps the rules from having their way."""
    amiss = [condition.reason for condition in row.scaling_conditions if not is_well(condition)]
    if not row.scaling_conditions:
        return Text("-")
    return Text(clean(amiss[0]), style="yellow") if amiss else Text("Active", style="green")


def is_well(condition: ConditionRow | ScalingConditionRow) -> bool:
    """Whether a condition is as one would have it."""
    match condition.type:
        case ConditionType.ENDPOINT_REGISTERED | ConditionType.AVAILABLE:
            return condition.status is ConditionStatus.TRUE
        case ConditionType.PROGRESSING | ConditionType.PROXY_TARGET_MISSING | ConditionType.PAUSED:
            return condition.status is ConditionStatus.FALSE
        case ScalingConditionType.ABLE_TO_SCALE | ScalingConditionType.SCALING_ACTIVE:
            return condition.status is ConditionStatus.TRUE
        case ScalingConditionType.SCALING_LIMITED:
            return condition.status is ConditionStatus.FALSE
        case ScalingConditionType.SCALED_TO_ZERO:
            # Zero by the rules is as wanted as any other number.
            return True
        case _:
            assert_never(condition.type)


def _route_detail(row: RouteRow) -> str:
    reason = row.termination_reason.value if row.termination_reason else ""
    return ": ".join(filter(None, (reason, row.detail))) or "-"
