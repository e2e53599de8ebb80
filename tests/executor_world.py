"""The control plane on real parts: an event log on SQLite, a proxy on a socket, the decider, executor and reconciler.

Only the clock is the test's own: it stands still until :meth:`World.advance` or :meth:`World.live` moves it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

from adapters.app_proxy import AppProxyClientPool
from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from domain import commands as c
from domain.autoscaling.rules import Comparator, MetricSource, StepRule
from domain.autoscaling.samples import MetricSample, MetricsReport
from domain.deployment import Deployment, Lifecycle
from domain.recorded import AnyEvent
from domain.revision import Revision
from domain.routes import RouteStatus
from handlers.backoff import Backoff
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.ports import DeadLetters
from handlers.reconciler_limits import ReconcilerLimits
from handlers.reconciliation import RetryPolicy
from handlers.records import PartitionId, ReceivedRecord, Refusal, SamplesRecord, Sender
from handlers.submission import RecordItem, Submission
from service.bootstrap import ControlPlane, assemble
from service.demo.reference_proxy import ReferenceProxy
from service.settings import Settings
from tests.reconciler_watch import ReconcilerWatch
from tests.set_clock import SetClock

TOKEN = "the-token"
REVISION = Revision(revision_id=UUID(int=7), image="image:1", model="llama")

#: Adds two replicas when more than ten requests wait for each.
QUEUE_RULE = StepRule(
    name="queue-long",
    source=MetricSource.INFERENCE_FRAMEWORK,
    metric="queue",
    comparator=Comparator.GREATER_THAN,
    threshold=10,
    step=2,
    cooldown_seconds=300,
    max_replicas=8,
)

#: Whoever owns a deployment knows itself when it is due; polling only finds what others left.
RARE_POLLS = ReconcilerLimits(poll_seconds=300.0, debounce_seconds=0.0)

#: Doubles every second, up to five minutes, without jitter.
EXACT_RETRY = RetryPolicy(backoff=Backoff(jitter=0.0))


class NoDeadLetters(DeadLetters):
    """Nothing is refused here."""

    async def send(self, refused: Sequence[tuple[ReceivedRecord, Refusal]]) -> None:
        raise AssertionError(f"refused: {refused}")


class World:
    """Everything between commands and the proxy; made by :func:`world_of`."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.clock = SetClock()
        self.settings = settings
        self.folder = folder
        self.proxy = ReferenceProxy(token=TOKEN)
        self.targets: dict[str, ScalingGroupProxyTarget] = {}
        self.plane: ControlPlane
        self.log: RecorderEventLog
        self.watch: ReconcilerWatch
        self._parts = AsyncExitStack()
        self._lives: list[asyncio.Task[None]] = []

    # --- life ---

    async def start(self, *, reconciler: bool = False, partitions: Collection[int] = (0,)) -> None:
        """Begin over whatever the log holds, as a worker that owns ``partitions`` (of two)."""
        self._parts = AsyncExitStack()
        self._lives = []
        self.watch = ReconcilerWatch()
        self.log = open_sqlite_log(self.folder / "events.db")
        self._parts.callback(self.log.close)
        pool = AppProxyClientPool()
        self._parts.push_async_callback(pool.close)
        self.plane = assemble(
            self.settings,
            event_log=self.log,
            dead_letters=NoDeadLetters(),
            client_pool=pool,
            proxy_targets=self.targets,
            partitions=2,
            clock=self.clock,
            place=lambda deployment_id: deployment_id.int % 2,
        )
        # The breaker's clock, so that it closes again when the test's clock says so.
        self._parts.enter_context(patch.object(self.plane.proxy_calls, "_monotonic", self.clock.monotonic))
        self.plane.decider.listen(self.watch.note)
        self.gain(*partitions)
        self._parts.enter_context(self.watch.over(self.plane.reconciler, self.clock))
        self._run(self.plane.decider.run())
        if reconciler:
            self._run(self.plane.reconciler.run())

    async def stop(self) -> None:
        """End at once, wherever everybody is."""
        await self._parts.aclose()
        assert self.watch.defects == []

    async def restart(self) -> None:
        """End at once and begin again, reconciler and all, over the same log."""
        await self.stop()
        await self.start(reconciler=True)

    def gain(self, *partitions: int) -> None:
        """Be assigned partitions (of two)."""
        self.watch.looked_up.clear()
        self.plane.ownership.gain(self._origins(partitions))

    def lose(self, *partitions: int) -> None:
        """Have partitions revoked."""
        self.watch.looked_up.clear()
        self.plane.ownership.lose(self._origins(partitions))
        self.plane.decider.forget()

    def _origins(self, partitions: Sequence[int]) -> list[PartitionId]:
        return [PartitionId(self.settings.kafka.topics.commands, "1", number) for number in partitions]

    def _run(self, life: Coroutine[Any, Any, None]) -> None:
        async def ended() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        task = asyncio.create_task(life)
        self._lives.append(task)
        self._parts.push_async_callback(ended)

    async def _while_alive(self, wait: Coroutine[Any, Any, object]) -> None:
        """Wait, but no longer than the decider and the reconciler run."""
        waiting = asyncio.create_task(wait)
        await asyncio.wait([waiting, *self._lives], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            raise AssertionError(f"nobody runs any more: {self._lives}")
        await waiting

    # --- time ---

    async def idle(self) -> None:
        """Wait until the reconciler has nothing to do at this moment of the clock."""
        await self._while_alive(self.watch.idle(self.plane.reconciler))

    async def advance(self, seconds: float) -> None:
        """Set the clock forward and let the reconciler do what is due then."""
        self.clock.now += timedelta(seconds=seconds)
        await self.idle()

    async def live(self, seconds: float, react: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Go from one due moment to the next for so long; ``react`` is asked in between whether it did something."""
        end = self.clock.now + timedelta(seconds=seconds)
        poll = timedelta(seconds=self.settings.reconciler.poll_seconds)
        polled = self.clock.now
        while True:
            await self.idle()
            if react is not None and await react():
                continue
            due = self.plane.reconciler.earliest() or end
            if min(due, polled + poll) > end:
                break
            if due > polled + poll:
                self.clock.now = polled = polled + poll
                await self.plane.reconciler._look_up_due()
            elif due == self.clock.now == end:
                break
            else:
                self.clock.now = due
        self.clock.now = end
        await self.idle()

    async def until(self, deployment_id: UUID, holds: Callable[[Deployment], bool]) -> Deployment:
        """Wait, commit by commit, until this holds for the deployment."""
        while True:
            committed = self.watch.committed
            state = await self.state(deployment_id)
            if holds(state):
                return state
            await self._while_alive(committed.wait())

    # --- given ---

    async def when(self, *commands: c.AnyCommand) -> None:
        """Let commands arrive; all must be accepted."""
        for answer in await self.plane.decider.execute(commands, "test"):
            assert answer.rejection is None, answer.rejection

    async def create(self, number: int = 0, **facts: Any) -> UUID:  # noqa: ANN401 - the command checks each
        """Create a deployment, by default one that can run at once; even numbers are in partition 0."""
        about = {"resource_group": "sg1", "target_revision": REVISION, "replica_count": 1, **facts}
        deployment_id = UUID(int=number)
        await self.when(
            c.CreateDeployment(
                deployment_id=deployment_id,
                name=f"d{number}",
                domain="default",
                project=UUID(int=2),
                owner=UUID(int=3),
                **about,
            )
        )
        return deployment_id

    async def with_routes(self, number: int = 0, *, active: int, target: int | None = None, **facts: Any) -> UUID:  # noqa: ANN401 - as above
        """Create a deployment and bring it, by the executor alone, to so many active routes; then set the target."""
        deployment_id = await self.create(number, replica_count=active, **facts)
        await self.plane.executor.check_pending_deployments([await self.state(deployment_id)])
        await self.plane.executor.scale_deployment([await self.state(deployment_id)])
        if target is not None:
            await self.when(c.SetReplicaCount(deployment_id=deployment_id, replica_count=target))
        state = await self.state(deployment_id)
        assert (state.active_count, state.target_replica_count) == (active, active if target is None else target)
        return deployment_id

    async def report(self, deployment_id: UUID, status: RouteStatus, *route_ids: UUID) -> None:
        """Report routes, by default all active ones."""
        chosen = route_ids or [route.id for route in (await self.state(deployment_id)).active_routes]
        reports = tuple(c.RouteReport(route_id=key, status=status) for key in chosen)
        await self.when(c.ReportRoutes(deployment_id=deployment_id, reports=reports))

    async def end_terminating(self, deployment_id: UUID) -> None:
        """Be the runtime that ends the routes that are to go."""
        routes = (await self.state(deployment_id)).routes.values()
        going = [route.id for route in routes if route.status is RouteStatus.TERMINATING]
        if going:
            await self.report(deployment_id, RouteStatus.TERMINATED, *going)

    async def sample(self, deployment_id: UUID, value: float) -> None:
        """Let a sample of the metric ``queue`` of the deployment as a whole arrive."""
        sample = MetricSample(source=QUEUE_RULE.source, metric=QUEUE_RULE.metric, value=value, at=self.clock.now)
        await self._samples(deployment_id, sample)

    async def sample_routes(self, deployment_id: UUID, metric: str, values: Mapping[UUID, float]) -> None:
        """Let a sample of each of these routes arrive."""
        about: dict[str, Any] = {"source": MetricSource.KERNEL, "metric": metric, "at": self.clock.now}
        await self._samples(deployment_id, *[MetricSample(**about, route_id=k, value=v) for k, v in values.items()])

    async def _samples(self, deployment_id: UUID, *samples: MetricSample) -> None:
        report = MetricsReport(deployment_id=deployment_id, samples=samples)
        parsed = SamplesRecord(report, Sender(source="test", id="1", type="samples"))
        origin = PartitionId("metrics", "1", 0)
        record = ReceivedRecord(origin=origin, offset=0, key=None, value=None, received_at=self.clock.now)
        done = asyncio.get_running_loop().create_future()
        await self.plane.decider.submit(Submission([RecordItem(record, parsed)], (), done))

    # --- then ---

    async def state(self, deployment_id: UUID) -> Deployment:
        """The deployment as last committed."""
        return (await self.plane.decider.load([deployment_id]))[deployment_id]

    async def events(self, deployment_id: UUID) -> list[AnyEvent]:
        """Everything that happened to the deployment."""
        return [logged.recorded.event for logged in await self.log.stream(deployment_id)]

    def circuits(self) -> list[UUID]:
        """The endpoints that the proxy holds."""
        return [circuit.endpoint_id for circuit in self.proxy.circuits.all()]


def is_ready(state: Deployment) -> bool:
    return state.lifecycle is Lifecycle.READY


def is_destroyed(state: Deployment) -> bool:
    return state.lifecycle is Lifecycle.DESTROYED


@asynccontextmanager
async def world_of(
    folder: Path,
    *,
    reconciler: bool = False,
    reconciler_limits: ReconcilerLimits = RARE_POLLS,
    **settings: Any,  # noqa: ANN401 - whatever the settings take
) -> AsyncIterator[World]:
    """Make a world whose group ``sg1`` has a proxy; ``settings`` as :class:`Settings` takes them."""
    defaults: dict[str, Any] = {"retry": EXACT_RETRY, "reconciler": reconciler_limits}
    world = World(folder, Settings(**{**defaults, **settings}))
    async with world.proxy:
        world.targets["sg1"] = ScalingGroupProxyTarget(world.proxy.address, TOKEN)
        await world.start(reconciler=reconciler)
        try:
            yield world
        finally:
            await world.stop()
