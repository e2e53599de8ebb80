"""The executor's repository over the event log: reads what was last committed, writes by having commands decided."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

from domain import commands as c
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.engine import Evaluation, ScalingInput, evaluate
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.window import SampleWindows
from domain.errors import CommandRejected, RejectionCode
from domain.operations import Operation
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
from handlers.samples import SampleStore


class EventSourcedDeploymentRepository:
    """Implements :class:`handlers.deployment_repository.DeploymentRepository`.

    Between reading an operation's input and storing its result it remembers what the result needs and the port does not
    carry: whose the routes are (``remembered_routes``, beside those fetched last), and the arithmetic behind a desired
    number of replicas. From one evaluation to the next it remembers ``remembered_histories`` (count).
    """

    def __init__(
        self,
        decider: Decider,
        proxy_targets: Mapping[str, ScalingGroupProxyTarget],
        samples: SampleStore,
        *,
        clock: Callable[[], datetime],
        remembered_routes: int = 100_000,
        remembered_histories: int = 100_000,
    ) -> None:
        self._decider = decider
        self._proxy_targets = proxy_targets
        self._samples = samples
        self._clock = clock
        self._remembered_routes = remembered_routes
        self._remembered_histories = remembered_histories
        self._route_owners: dict[UUID, UUID] = {}
        self._evaluations: dict[UUID, Evaluation] = {}
        self._histories: dict[UUID, ScalingHistory] = {}

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
        return AutoScalingMetricsData(
            routes_by_endpoint=await self.fetch_active_routes_by_endpoint_ids(ids),
            samples_by_endpoint={key: self._samples.of(key, self._clock()) for key in ids if rules.get(key)},
        )

    async def update_desired_replicas_bulk(self, desired: Mapping[UUID, int]) -> None:
        states = await self._decider.load(desired.keys())
        commands = []
        for key, count in desired.items():
            # Kept until it is stored, as storing may be tried again.
            evaluation = self._evaluations.get(key)
            if evaluation is not None and evaluation.desired == count:
                decision = evaluation.decision()
            else:
                current = states[key].target_replica_count if key in states else count
                decision = ScalingDecision(previous=current, desired=count, reason=DecisionReason.MANUAL)
            commands.append(c.RecordDesiredReplicas(deployment_id=key, decision=decision))
        await self._execute(commands, Operation.CALCULATE)
        for key in desired:
            evaluation = self._evaluations.pop(key, None)
            if evaluation is not None:
                self._remember_history(key, evaluation)

    async def calculate_desired_replicas_for_deployment(
        self, deployment: DeploymentInfo, rules: Sequence[AutoScalingRule], metrics: AutoScalingMetricsData
    ) -> int | None:
        now = self._clock()
        policy = deployment.scaling_policy.model_copy(update={"rules": tuple(rules)})
        samples = metrics.samples_by_endpoint.get(deployment.id, ())
        given = ScalingInput(
            current=deployment.target_replica_count,
            routes=metrics.routes_by_endpoint.get(deployment.id, ()),
            samples=SampleWindows().added(samples, now, policy.window_limits),
            history=self._histories.get(deployment.id, ScalingHistory()),
            rules_fired_at=deployment.rules_fired_at,
            baseline=deployment.replica_spec.replica_count,
        )
        evaluation = evaluate(policy, given, now)
        if evaluation.desired == evaluation.previous:
            self._remember_history(deployment.id, evaluation)
            return None
        self._evaluations[deployment.id] = evaluation
        return evaluation.desired

    def _remember_history(self, deployment_id: UUID, evaluation: Evaluation) -> None:
        """Forget those that were evaluated longest ago first; without a history an evaluation is only more careful."""
        self._histories.pop(deployment_id, None)
        while len(self._histories) >= self._remembered_histories:
            del self._histories[next(iter(self._histories))]
        self._histories[deployment_id] = evaluation.history

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
        decided = await self._decider.execute(commands, operation)
        rejected = {
            command.deployment_id: answer.rejection
            for command, answer in zip(commands, decided, strict=True)
            if answer.rejection is not None
        }
        if rejected:
            raise BulkOperationFailed(rejected)
