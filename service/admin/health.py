"""Whether a worker is alive, whether it is ready, and what is wrong, in words."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice

from sqlalchemy import Engine

from adapters.event_store.event_log import RecorderEventLog
from adapters.kafka.consumer import RecordConsumer
from adapters.kafka.publisher import EventPublisher
from handlers.circuit_breaker import BreakerState
from handlers.decider import Decider
from handlers.pausing import PauseGate
from handlers.proxy_calls import ProxyCalls
from handlers.reconciler import Reconciler
from service.cli.system_words import describe_scope
from service.followers import Follower

#: Most halted deployments and partitions that are told of one by one (count).
_MOST_TOLD = 5


class Status(StrEnum):
    """DEGRADED asks for attention, FAILING makes a worker unready."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, how it is, and that in words."""

    name: str
    status: Status
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """The parts of a worker that are looked at; ``tasks`` are those without which it cannot work."""

    decider: Decider
    consumer: RecordConsumer
    reconciler: Reconciler
    gate: PauseGate
    proxy_calls: ProxyCalls
    event_log: RecorderEventLog
    publisher: EventPublisher
    followers: Sequence[Follower]
    views: Engine
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Health:
    """Looks at a worker's parts; before these are there, the worker is starting.

    ``log_trouble`` is why the event log did not answer when it was last asked, and since when.
    """

    def __init__(self) -> None:
        self.parts: WorkerParts | None = None
        self.is_stopping = False
        self.log_trouble: tuple[datetime, str] | None = None

    def dead(self) -> Sequence[str]:
        """Tell the tasks that have ended, though the worker has not been told to stop."""
        tasks = () if self.parts is None or self.is_stopping else self.parts.tasks
        return [task.get_name() for task in tasks if task.done()]

    def checks(self) -> Sequence[Check]:
        """Everything that readiness depends on, or that asks for attention."""
        if self.parts is None:
            return [Check("worker", Status.FAILING, "starting: waiting for Kafka and the event log")]
        found = [*_checks(self.parts, self.log_trouble)]
        if self.is_stopping:
            found.insert(0, Check("worker", Status.FAILING, "stopping"))
        return found


def _checks(parts: WorkerParts, log_trouble: tuple[datetime, str] | None) -> Iterator[Check]:
    yield _event_log(parts.decider, log_trouble)
    yield _kafka(parts.consumer)
    halted = {f"{p.topic}/{p.partition}": why for p, why in parts.consumer.halted.items()}
    yield from _halted("partition", halted)
    yield from _halted("deployment", {str(key): why for key, why in parts.decider.halted.items()})
    yield from _pauses(parts.gate)
    for follower in parts.followers:
        if follower.halted is not None:
            yield Check(follower.name, Status.FAILING, f"halted: {follower.halted}")
        elif follower.trouble is not None:
            yield Check(follower.name, Status.DEGRADED, follower.trouble)
        else:
            yield Check(follower.name, Status.OK, "ok")
    for target in parts.proxy_calls.snapshot():
        is_open = target.breaker is BreakerState.OPEN
        words = f"circuit open, next try in {target.retry_after:.0f} s" if is_open else "ok"
        yield Check(f"proxy {target.address}", Status.DEGRADED if is_open else Status.OK, words)


def _event_log(decider: Decider, trouble: tuple[datetime, str] | None) -> Check:
    since, reason = decider.unavailable_since, decider.unavailable_reason
    if since is None and trouble is not None:
        since, reason = trouble
    if since is None:
        return Check("event log", Status.OK, "ok")
    return Check("event log", Status.FAILING, f"unavailable since {since:%H:%M:%S} ({reason})")


def _kafka(consumer: RecordConsumer) -> Check:
    count = len(consumer.assignment)
    if consumer.is_paused:
        return Check("kafka", Status.FAILING, f"reading is paused until commits succeed; {count} partitions kept")
    if not consumer.has_joined:
        return Check("kafka", Status.FAILING, "no partitions assigned yet")
    if not consumer.is_prepared:
        return Check("kafka", Status.FAILING, "the positions of assigned partitions are not known yet")
    return Check("kafka", Status.OK, f"{count} partitions" if count else "no partitions: other workers have them all")


def _pauses(gate: PauseGate) -> Iterator[Check]:
    waiting = f"{gate.held} deployments wait"
    if gate.closed is not None:
        yield Check("pauses", Status.FAILING, f"all effects are held back: {gate.closed}; {waiting}")
    elif gate.pauses.standing:
        scopes = [describe_scope(scope) for scope in gate.pauses.standing]
        told = ", ".join(scopes[:_MOST_TOLD])
        more = f" and {len(scopes) - _MOST_TOLD} more" if len(scopes) > _MOST_TOLD else ""
        yield Check("pauses", Status.DEGRADED, f"effects are paused: {told}{more}; {waiting}")


def _halted(what: str, halted: Mapping[str, str]) -> Iterator[Check]:
    for name, why in islice(halted.items(), _MOST_TOLD):
        yield Check(f"{what} {name}", Status.FAILING, f"halted: {why}")
    if len(halted) > _MOST_TOLD:
        yield Check(f"{what}s", Status.FAILING, f"{len(halted) - _MOST_TOLD} more are halted")
