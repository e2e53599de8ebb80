"""The executor's repository over the event log: reads what was last committed, writes by having commands decided."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from domain import commands as c
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.engine import Evaluation
from domain.autoscaling.record import EvaluationRecord, record_of
from domain.autoscaling.window import SampleWindows
from domain.errors import CommandRejected, RejectionCode
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.scaling import evaluate_rules, unchanged
from handlers.decider import Decider
from handlers.deployment_repository import (
    AutoScalingMetricsData,
    AutoScalingRule,
    BatchUpdater,
    BulkOperationFailed,
    DeploymentInfo,
    RouteCreator,
    RouteData,
    ScalingGroupProxyTarget,
)
from handlers.scaling_memory import ScalingMemory, Unchanged


class _Evaluated(NamedTuple):
    """An evaluation that is to be stored, and what is kept of it beside the events."""

    evaluation: Evaluation
    record: EvaluationRecord | None


class EventSourcedDeploymentRepository:
    """Implements :class:`handlers.deployment_repository.DeploymentRepository`.

    Between reading an operation's input and storing its result it remembers what the result needs and the port does not
    carry: whose the routes are (``remembered_routes``, beside those fetched last), and the arithmetic behind a desired
    number of replicas.
    """

    def __init__(
        self,
        decider: Decider,
        proxy_targets: Mapping[str, ScalingGroupProxyTarget],
        scaling: ScalingMemory,
        *,
        clock: Callable[[], datetime],
        decision_limits: DecisionLimits,
        remembered_routes: int = 100_000,
    ) -> None:
        self._decider = decider
        self._proxy_targets = proxy_targets
        self._scaling = scaling
        self._clock = clock
        self._remembered_routes = remembered_routes
        self._limits = decision_limits
        self._route_owners: dict[UUID, UUID] = {}
        self._evaluations: dict[UUID, _Evaluated] = {}

    async def fetch_scaling_group_proxy_targets(
        self, scaling_groups: set[str]
    ) -> Mapping[str, ScalingGroupProxyTarget | None]:
        return {group: self._proxy_targets.get(group) for group in scaling_groups}

    async def update_endpoint_urls_bulk(self, urls: Mapping[UUID, str]) -> None:
        commands = [c.RecordEndpointRegistered(deployment_id=key, url=url) for key, url in urls.items()]
        await self._execute(commands, Operation.CHECK_PENDING)

    async def fetch_active_routes_by_endpoint_ids(self, endpoint_ids: set[UUID]) -> Mapping[UUID, Sequence[RouteData]]:
        routes = {key: state.active_routes for key, state in (await self._decider.load(endpoint_ids)).items()}
        owners = {route.id: key for key, some in routes.items() for route in some}
        self._remember_owners(owners)
        return routes

    def _remember_owners(self, owners: Mapping[UUID, UUID]) -> None:
        """Forget the routes that were fetched longest ago first: operations under way still ask for the others."""
        for route_id in owners:
            self._route_owners.pop(route_id, None)
        excess = len(self._route_owners) - self._remembered_routes
        for route_id in list(islice(self._route_owners, max(0, excess))):
            del self._route_owners[route_id]
        self._route_owners.update(owners)

    async def scale_routes(self, creators: Sequence[RouteCreator], updater: BatchUpdater | None) -> None:
        counts: dict[RouteCreator, int] = {}
        for creator in creators:
            counts[creator] = counts.get(creator, 0) + 1
        commands: list[c.AnyCommand] = [
            c.ScaleOut(
                deployment_id=creator.endpoint_id,
                count=count,
                revision_id=creator.revision_id,
                traffic_ratio=creator.traffic_ratio,
            )
            for creator, count in counts.items()
        ]
        commands += self._terminations(updater.route_ids if updater else ())
        await self._execute(commands, Operation.SCALE)

    async def fetch_auto_scaling_rules_by_endpoint_ids(
        self, endpoint_ids: set[UUID]
    ) -> Mapping[UUID, Sequence[AutoScalingRule]]:
        states = await self._decider.load(endpoint_ids)
        return {key: state.scaling_policy.rules for key, state in states.items()}

    async def fetch_metrics_for_autoscaling(
        self, deployments: Sequence[DeploymentInfo], rules: Mapping[UUID, Sequence[AutoScalingRule]]
    ) -> AutoScalingMetricsData:
        ids = {deployment.id for deployment in deployments}
        for key in ids:
            self._evaluations.pop(key, None)
        ruled = [deployment for deployment in deployments if rules.get(deployment.id)]
        await self._scaling.restore(ruled)
        return AutoScalingMetricsData(
            # As they were when the evaluation began: it is recorded as one of that version.
            routes_by_endpoint={deployment.id: deployment.active_routes for deployment in deployments},
            samples_by_endpoint={deployment.id: self._scaling.windows(deployment) for deployment in ruled},
        )

    async def update_desired_replicas_bulk(self, desired: Mapping[UUID, int]) -> None:
        states = await self._decider.load(desired.keys())
        # Kept until it is stored, as storing may be tried again.
        known = {key: self._evaluations.get(key) for key in desired}
        evaluated = {key: e for key, e in known.items() if e is not None and e.evaluation.desired == desired[key]}
        commands = []
        for key, count in desired.items():
            if key in evaluated:
                decision = evaluated[key].evaluation.decision()
            else:
                current = states[key].target_replica_count if key in states else count
                decision = ScalingDecision(previous=current, desired=count, reason=DecisionReason.MANUAL)
            commands.append(c.RecordDesiredReplicas(deployment_id=key, decision=decision))
        records = {key: e.record for key, e in evaluated.items() if e.record is not None}
        failures = await self._rejections(commands, Operation.CALCULATE, records)
        for key, evaluation in known.items():
            self._evaluations.pop(key, None)
            if evaluation is not None and key in evaluated and key not in failures:
                self._scaling.remember(key, evaluation.evaluation, due_at=evaluation.evaluation.due_at)
        if failures:
            raise BulkOperationFailed(failures)

    async def calculate_desired_replicas_for_deployment(
        self, deployment: DeploymentInfo, rules: Sequence[AutoScalingRule], metrics: AutoScalingMetricsData
    ) -> int | None:
        if rules is not deployment.scaling_policy.rules and tuple(rules) != deployment.scaling_policy.rules:
            raise CommandRejected(RejectionCode.CHANGED_MEANWHILE, "the rules are others now")
        now, history = self._clock(), self._scaling.history(deployment.id)
        samples = metrics.samples_by_endpoint.get(deployment.id, SampleWindows())
        evaluation = evaluate_rules(deployment, samples, history, now)
        record = record_of(evaluation, history, deployment.version, samples_until=samples.received_until)
        if evaluation.desired == evaluation.previous:
            decision, due_at = unchanged(deployment, evaluation, now, self._limits)
            self._scaling.remember(deployment.id, evaluation, due_at=due_at)
            self._scaling.note_unchanged(Unchanged(deployment.id, record, decision))
            return None
        self._evaluations[deployment.id] = _Evaluated(evaluation, record)
        return evaluation.desired

    async def mark_terminating_route_status_bulk(self, route_ids: Collection[UUID]) -> None:
        await self._execute(self._terminations(route_ids), Operation.DESTROY)

    def _terminations(self, route_ids: Collection[UUID]) -> list[c.AnyCommand]:
        victims: dict[UUID, set[UUID]] = {}
        for route_id in route_ids:
            owner = self._route_owners.get(route_id) or self._decider.owner_of_route(route_id)
            if owner is None:
                raise CommandRejected(RejectionCode.UNKNOWN_ROUTE, f"there is no route {route_id}")
            victims.setdefault(owner, set()).add(route_id)
        return [c.TerminateRoutes(deployment_id=key, route_ids=frozenset(ids)) for key, ids in victims.items()]

    async def _execute(self, commands: Sequence[c.AnyCommand], operation: Operation) -> None:
        if rejected := await self._rejections(commands, operation):
            raise BulkOperationFailed(rejected)

    async def _rejections(
        self,
        commands: Sequence[c.AnyCommand],
        operation: Operation,
        evaluations: Mapping[UUID, EvaluationRecord] = MappingProxyType({}),
    ) -> Mapping[UUID, CommandRejected]:
        decided = await self._decider.execute(commands, operation, evaluations)
        return {
            command.deployment_id: answer.rejection
            for command, answer in zip(commands, decided, strict=True)
            if answer.rejection is not None
        }
