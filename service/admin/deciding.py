"""How a worker is that reads records, decides and acts."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from aiokafka.errors import KafkaError

from adapters.kafka.consumer import RecordConsumer
from adapters.metrics.gauges import DecidingGauges
from handlers.circuit_breaker import BreakerState
from handlers.decider import Decider
from handlers.pausing import PauseGate
from handlers.proxy_calls import ProxyCalls
from handlers.reconciler import Reconciler
from service.admin.health import Check, LogTrouble, Status
from service.cli.system_words import describe_scope

log = logging.getLogger(__name__)

#: Most halted deployments and partitions that are told of one by one (count).
_MOST_TOLD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidingSubject:
    """The parts that read records, decide and act; Kafka is given ``refresh_seconds`` to tell of lags."""

    decider: Decider
    consumer: RecordConsumer
    reconciler: Reconciler
    gate: PauseGate
    proxy_calls: ProxyCalls
    gauges: DecidingGauges
    refresh_seconds: float

    @property
    def log_trouble(self) -> LogTrouble | None:
        since = self.decider.unavailable_since
        return None if since is None else (since, str(self.decider.unavailable_reason))

    def checks(self) -> Iterator[Check]:
        yield _kafka(self.consumer)
        halted = {f"{p.topic}/{p.partition}": why for p, why in self.consumer.halted.items()}
        yield from _halted("partition", halted)
        yield from _halted("deployment", {str(key): why for key, why in self.decider.halted.items()})
        yield from _pauses(self.gate)
        for target in self.proxy_calls.snapshot():
            is_open = target.breaker is BreakerState.OPEN
            words = f"circuit open, next try in {target.retry_after:.0f} s" if is_open else "ok"
            yield Check(f"proxy {target.address}", Status.DEGRADED if is_open else Status.OK, words)

    def halted(self) -> Mapping[str, int]:
        return {
            "partition": len(self.consumer.halted),
            "deployment": len(self.decider.halted),
            "pauses": int(self.gate.closed is not None),
        }

    def show(self, now: datetime) -> None:
        gauges, queue = self.gauges, self.reconciler.queue
        gauges.paused.set(self.consumer.is_paused)
        gauges.paused_deployments.set(self.gate.held)
        earliest = queue.earliest()
        gauges.queued.set(len(queue))
        gauges.overdue.set(max(0.0, (now - earliest).total_seconds()) if earliest else 0.0)
        gauges.set_circuits(self.proxy_calls.snapshot())

    async def refresh(self, head: int | None) -> None:  # noqa: ARG002 - it is Kafka that is asked
        try:
            async with asyncio.timeout(self.refresh_seconds):
                self.gauges.set_consumer_lags(await self.consumer.lags())
        except (KafkaError, TimeoutError) as error:
            log.info("The consumer's lag is not known: %r", error, extra={"action": "refresh-metrics"})


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
