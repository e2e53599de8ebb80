"""The one place where parts are put together; tests call it with other parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from opentelemetry.trace import Tracer

from adapters.event_store.repository import EventSourcedDeploymentRepository
from adapters.kafka.envelope import parse_record
from adapters.kafka.partitioner import partition_hash
from adapters.tracing import DecisionSpans, TracedClientPool
from domain.decide import NewId
from handlers.client_session import ClientPool
from handlers.decider import Decider
from handlers.decision_lines import log_decisions
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.draft import DecisionContext
from handlers.executor import DeploymentExecutor
from handlers.intake import Intake
from handlers.measured import MeasuredExecutor, MeasuredLog, MeasuredProxyCalls
from handlers.ownership import Ownership
from handlers.pausing import PauseFollower, PauseGate
from handlers.ports import DeadLetters, EventLog
from handlers.proxy_calls import ProxyCalls
from handlers.reconciler import Reconciler
from handlers.reconciliation import Reconciliation
from handlers.records import ParsedRecord, ReceivedRecord
from handlers.scaling_memory import ScalingMemory
from handlers.standing_facts import StandingFacts
from handlers.telemetry import NO_TELEMETRY, Telemetry, report_of
from service.settings import Settings


def utc_now() -> datetime:
    """The time now, by the machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """The parts that decide and act, ready to run; what reads Kafka, and what follows the log, stands around them."""

    ownership: Ownership
    decider: Decider
    intake: Intake
    repository: EventSourcedDeploymentRepository
    executor: DeploymentExecutor
    scaling: ScalingMemory
    reconciliation: Reconciliation
    reconciler: Reconciler
    proxy_calls: ProxyCalls
    gate: PauseGate
    pauses: PauseFollower


@dataclass(frozen=True, slots=True, kw_only=True)
class Observers:
    """Who looks on: what counts and times, and what is told of spans of traces (``None``: nobody)."""

    telemetry: Telemetry = NO_TELEMETRY
    tracer: Tracer | None = None

    def follow(self, decider: Decider, ownership: Ownership, clock: Callable[[], datetime]) -> None:
        """Be told of what ``decider`` commits."""
        decider.listen(log_decisions)
        decider.listen(lambda commit: self.telemetry.committed(report_of(commit, clock(), ownership)))
        if self.tracer is not None:
            decider.listen(DecisionSpans(self.tracer))


_NOBODY = Observers()
_NOTHING_YET = StandingFacts()


def assemble(  # noqa: PLR0913 - where parts meet, each one is an argument that tests replace
    settings: Settings,
    *,
    event_log: EventLog,
    dead_letters: DeadLetters,
    client_pool: ClientPool,
    proxy_targets: Mapping[str, ScalingGroupProxyTarget],
    partitions: int,
    clock: Callable[[], datetime] = utc_now,
    new_id: NewId = uuid4,
    place: Callable[[UUID], int] = partition_hash,
    standing: StandingFacts = _NOTHING_YET,
    observers: Observers = _NOBODY,
) -> ControlPlane:
    """Put the control plane together; ``partitions`` (count) is how many the commands topic has.

    ``standing`` is what the log says beyond single deployments.
    """
    telemetry = observers.telemetry
    ownership = Ownership(settings.kafka.topics.commands, partitions, place)
    context = _context(settings, ownership, new_id, standing)
    gate = PauseGate(standing.pauses, closed=standing.pauses_unknown)
    log = MeasuredLog(event_log, telemetry)
    decider = Decider(log, dead_letters, context, ownership=ownership, clock=clock, limits=settings.decider)
    observers.follow(decider, ownership, clock)
    scaling = _scaling_memory(settings, event_log, clock)
    repository = EventSourcedDeploymentRepository(
        decider, proxy_targets, scaling, clock=clock, decision_limits=settings.decisions
    )
    proxy_calls = MeasuredProxyCalls(settings.proxy.limits, telemetry)
    timeout = settings.proxy.call_timeout_seconds
    client_pool = TracedClientPool(client_pool, decider.traces.of, observers.tracer)
    executor = _executor(repository, client_pool, decider, proxy_calls, telemetry, timeout)
    reconciliation = Reconciliation(
        executor,
        decider,
        proxy_targets,
        scaling,
        clock=clock,
        decision_limits=settings.decisions,
        registration_seconds=settings.proxy.limits.ends_within(timeout),
        settle_seconds=settings.proxy.settle_seconds,
        retry=settings.retry,
    )
    reconciler = Reconciler(
        event_log,
        decider,
        reconciliation,
        ownership,
        scaling,
        clock=clock,
        decision_limits=settings.decisions,
        limits=settings.reconciler,
        gate=gate,
    )
    return ControlPlane(
        ownership=ownership,
        decider=decider,
        intake=_intake(settings, event_log, decider, ownership),
        repository=repository,
        executor=executor,
        scaling=scaling,
        reconciliation=reconciliation,
        reconciler=reconciler,
        proxy_calls=proxy_calls,
        gate=gate,
        pauses=PauseFollower(event_log, gate, settings.pauses),
    )


def _scaling_memory(settings: Settings, event_log: EventLog, clock: Callable[[], datetime]) -> ScalingMemory:
    backoff = settings.reconciler.stuck_backoff
    return ScalingMemory(event_log, clock=clock, limits=settings.scaling_memory, backoff=backoff)


def _executor(
    repository: EventSourcedDeploymentRepository,
    client_pool: ClientPool,
    decider: Decider,
    proxy_calls: ProxyCalls,
    telemetry: Telemetry,
    timeout_seconds: float,
) -> MeasuredExecutor:
    return MeasuredExecutor(
        repository,
        client_pool,
        proxy_calls=proxy_calls,
        telemetry=telemetry,
        trace_of=decider.traces.of,
        proxy_timeout_seconds=timeout_seconds,
    )


def _context(settings: Settings, ownership: Ownership, new_id: NewId, standing: StandingFacts) -> DecisionContext:
    return DecisionContext(
        limits=settings.decisions,
        new_id=new_id,
        partition_hash=ownership.partition_hash,
        owns=ownership.owns,
        incarnation=standing.incarnation,
    )


def _intake(settings: Settings, event_log: EventLog, decider: Decider, ownership: Ownership) -> Intake:
    kafka = settings.kafka

    def parse(record: ReceivedRecord) -> ParsedRecord:
        return parse_record(record, kafka.records, kafka.topics)

    return Intake(event_log, decider, ownership, parse, batch_size=settings.decider.batch_size)
