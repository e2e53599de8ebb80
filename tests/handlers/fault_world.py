"""Simulates workers, people, a runtime, Kafka and a proxy, first under faults and then in calm, until all is done."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from adapters.event_store.event_log import open_sqlite_log
from adapters.kafka.envelope import RecordLimits
from domain.deployment import Deployment, Lifecycle
from domain.evolve import evolve
from domain.recorded import LoggedEvent, SystemEvent
from handlers.deployment_repository import ScalingGroupProxyTarget
from service.settings import KafkaSettings, Settings
from tests.handlers.fault_load import MAX_RECORD_BYTES, Load
from tests.handlers.fault_parts import DeadLetterTopic, Kafka, Process, SimulatedLog, SimulatedProxy, SimulatedSession
from tests.handlers.fault_plan import Plan
from tests.handlers.fault_worker import PARTITIONS, SimulatedWorker, Surroundings, live

_BEGINNING: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_STORMY_SECONDS: Final = 60.0
_LONGEST_CALM_SECONDS: Final = 20 * 60.0
_AFTER_CLOCK_JUMPS_SECONDS: Final = 4 * 3600.0
_RUNTIME_SECONDS: Final = 2.0
_DEPLOYMENTS: Final = 3
_SETTINGS: Final = Settings(kafka=KafkaSettings(records=RecordLimits(max_bytes=MAX_RECORD_BYTES)))


class World:
    """Two workers' places, of which each has a living worker most of the time, and everything around them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.kafka = Kafka()
        self.proxy = SimulatedProxy(plan)
        self.dead_letters = DeadLetterTopic(plan)
        self.load = Load(plan, self.kafka, _SETTINGS.kafka.topics, self.now)
        self._store = open_sqlite_log(":memory:")
        self.log = SimulatedLog(self._store, Process(plan))
        self.states: dict[UUID, Deployment] = {}
        self.events: list[LoggedEvent] = []
        self.workers: list[SimulatedWorker] = []
        self.believed: list[set[int]] = [{0}, {1}]
        self._loop = asyncio.get_running_loop()
        self._skew = [timedelta(), timedelta()]
        self._away_until = -1.0
        self._appended = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()

    def now(self, place: int | None = None) -> datetime:
        """The time, as the worker in this place sees it."""
        skew = timedelta() if place is None else self._skew[place]
        return _BEGINNING + timedelta(seconds=self._loop.time()) + skew

    async def run(self, scenario: Callable[["World"], Awaitable[None]] | None = None) -> None:
        """Let the storm pass, or a scenario, and wait until everything that was to be done is done."""
        lives = [asyncio.create_task(self._keep_alive(place)) for place in range(PARTITIONS)]
        runtime = asyncio.create_task(self._runtime())
        await asyncio.sleep(0)
        if scenario is not None:
            await scenario(self)
        else:
            await asyncio.gather(*(self.load.script(n, _STORMY_SECONDS) for n in range(_DEPLOYMENTS)), self._storm())
        self._calm()
        quiet = asyncio.create_task(self._until_quiet())
        await asyncio.wait([quiet, runtime, *lives], return_when=asyncio.FIRST_COMPLETED)
        for task in (*lives, runtime, *self._background):
            task.cancel()
        ended = await asyncio.gather(*lives, runtime, return_exceptions=True)
        defects = [end for end in ended if not isinstance(end, asyncio.CancelledError)]
        assert not defects, defects
        await quiet

    def outcomes(self) -> list[tuple[str, str]]:
        """Source and id of every command that has an outcome."""
        rows = self._store._recorder._rows("SELECT source, id FROM command_outcomes")  # type: ignore[attr-defined] # SQLite's
        return [(row["source"], row["id"]) for row in rows]

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    # --- workers ---

    async def _keep_alive(self, place: int) -> None:
        """Start a worker in this place again whenever the one before it was killed."""
        while True:
            process = Process(self.plan)
            log = SimulatedLog(
                self._store,
                process,
                is_away=lambda: self._loop.time() < self._away_until,
                on_append=self._appended.set,
            )
            around = Surroundings(
                settings=_SETTINGS,
                kafka=self.kafka,
                log=log,
                dead_letters=self.dead_letters,
                session=SimulatedSession(self.proxy, process),
                clock=lambda: self.now(place),
                targets={"sg1": ScalingGroupProxyTarget("proxy:8080", "token")},
            )
            worker = SimulatedWorker(process, around)
            self.workers[place : place + 1] = [worker]
            worker.take(self.believed[place])
            await live(worker)
            await asyncio.sleep(self.plan.random.uniform(0.1, 3))

    # --- the storm ---

    async def _storm(self) -> None:
        faults = self.plan.faults
        happenings = [
            *[self._kill] * faults.kills,
            *[self._rebalance] * faults.rebalances,
            *[self._share] * faults.shared,
            *[self._outage] * faults.outages,
            *[self._clock_jump] * faults.clock_jumps,
        ]
        self.plan.random.shuffle(happenings)
        for happening in happenings:
            await asyncio.sleep(self.plan.random.uniform(0, 2 * _STORMY_SECONDS / len(happenings)))
            self.plan.injected[happening.__name__.strip("_")] += 1
            happening()

    def _kill(self) -> None:
        self.plan.random.choice(self.workers).process.kill()

    def _rebalance(self) -> None:
        """A partition goes to the other worker at once; the one before it learns of that later."""
        partition = self.plan.random.randrange(PARTITIONS)
        for place, believed in enumerate(self.believed):
            if partition in believed:
                believed.discard(partition)
                self._later(self.plan.random.uniform(0, 15), place, partition)
            else:
                believed.add(partition)
                self.workers[place].take([partition])

    def _later(self, seconds: float, place: int, partition: int) -> None:
        async def learn() -> None:
            await asyncio.sleep(seconds)
            if partition not in self.believed[place]:
                self.workers[place].lose([partition])

        task = asyncio.create_task(learn())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _share(self) -> None:
        """Both believe to own everything until the storm is over."""
        for place, believed in enumerate(self.believed):
            self.workers[place].take(set(range(PARTITIONS)) - believed)
            believed |= set(range(PARTITIONS))

    def _outage(self) -> None:
        self._away_until = self._loop.time() + self.plan.random.uniform(0.5, 20)

    def _clock_jump(self) -> None:
        self._skew[self.plan.random.randrange(PARTITIONS)] = timedelta(hours=self.plan.random.choice((-1, 0, 1)))

    def _calm(self) -> None:
        self.plan.calm()
        self._away_until = -1.0
        self._skew = [timedelta(), timedelta()]
        for place, believed in enumerate(self.believed):
            believed.clear()
            believed.add(place)
            self.workers[place].lose(set(range(PARTITIONS)) - believed)
            self.workers[place].take(believed)

    # --- the runtime, and the end ---

    async def _runtime(self) -> None:
        """Follow the log and report what became of each route, again and again until it is known."""
        while True:
            self._appended.clear()
            await self._follow()
            said = [self.load.report(state) for state in self.states.values()]
            await asyncio.sleep(_RUNTIME_SECONDS)
            if not any(said):
                await self._appended.wait()

    async def _follow(self) -> Sequence[LoggedEvent]:
        after = self.events[-1].position if self.events else 0
        new = await self.log.read(after=after, limit=10_000)
        for logged in new:
            recorded = logged.recorded
            if not isinstance(recorded.event, SystemEvent):
                self.states[recorded.stream_id] = evolve(self.states.get(recorded.stream_id), recorded.event)
        self.events += new
        return new

    async def _until_quiet(self) -> None:
        longest = _AFTER_CLOCK_JUMPS_SECONDS if self.plan.faults.clock_jumps else _LONGEST_CALM_SECONDS
        deadline = self._loop.time() + longest
        while unsettled := await self._unsettled():
            assert self._loop.time() < deadline, f"seed {self.plan.seed}: after {longest:g} s of calm still {unsettled}"
            await asyncio.sleep(5)

    async def _unsettled(self) -> list[str]:
        await self._follow()
        places = await self.log.positions(self.kafka.records)
        read = {origin: place.next for origin, place in places.items()}
        behind = [f"{o} is read to {read.get(o)}" for o in self.kafka.records if read.get(o) != self.kafka.end(o)]
        moving = [repr(state) for state in self.states.values() if not _is_settled(state)]
        dead = [f"worker {place} is dead" for place, worker in enumerate(self.workers) if worker.process.is_dead]
        return behind + moving + dead + [repr(call) for call in self.proxy.under_way]


def _is_settled(state: Deployment) -> bool:
    match state.lifecycle:
        case Lifecycle.DESTROYED:
            return True
        case Lifecycle.READY:
            healthy = state.healthy_count == state.target_replica_count == len(state.routes)
            return healthy and state.override is None
        case Lifecycle.PENDING:
            return state.target_revision is None and state.override is None
        case _:
            return False
