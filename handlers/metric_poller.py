"""Asks rules' own queries, each at its own times, and hands on the answers as samples."""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from random import random
from uuid import UUID

from domain.autoscaling.metric import MetricSource
from domain.autoscaling.samples import MAX_SAMPLES_PER_REPORT, MetricSample, MetricsReport
from domain.chunks import chunks
from domain.quantities import Count, Seconds
from handlers.backoff import Backoff
from handlers.metric_queries import Measurement, MetricQueries, MetricQueryFailed, QueryAnswer

log = logging.getLogger(__name__)

#: Most characters of a query in a log line.
_SHOWN = 200

#: The deployments that an answer is for, each with what the metric is called there, by query.
Wanted = Mapping[str, Collection[tuple[UUID, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPollerLimits:
    """How often and how much is asked.

    ``interval_seconds``: how often each query is asked; ``concurrency``: most of them at a time (count); ``queries``:
    most different ones (count), the rest is not asked; ``refresh_seconds``: how often it is found out anew what is to
    be asked; ``backoff``: how long a query is left alone after failures, if that is longer than the interval.
    """

    interval_seconds: Seconds = 15.0
    concurrency: Count = 8
    queries: Count = 10_000
    refresh_seconds: Seconds = 1.0
    backoff: Backoff = field(default_factory=lambda: Backoff(base=15.0, cap=300.0))


@dataclass(slots=True)
class _Query:
    failures: int = 0
    complaint: str = ""


class MetricPoller:
    """Asks each wanted query once an interval, however many deployments and rules share it.

    A query is due by when it was asked last, not by a common tick. A failed one gives no sample, so that what is known
    grows stale by itself; it is logged when that begins, changes or ends, and counted.

    Args:
        queries: Answers them.
        wanted: Tells what is to be asked now, and for whom.
        submit: Takes the samples of one answer, in reports of one deployment each.
        routes_of: The routes of a deployment whose measurements are worth handing on; without it, or ``None``, all.

    Attributes:
        answered: How many answers were handed on (count).
        failed: How many times a query gave nothing to hand on (count).
    """

    def __init__(
        self,
        queries: MetricQueries,
        wanted: Callable[[], Wanted],
        submit: Callable[[Sequence[MetricsReport]], Awaitable[None]],
        *,
        routes_of: Callable[[UUID], Container[UUID] | None] | None = None,
        limits: MetricPollerLimits = MetricPollerLimits(),
    ) -> None:
        self._source = queries
        self._find_wanted = wanted
        self._submit = submit
        self._routes_of = routes_of
        self._limits = limits
        self._wanted: Wanted = {}
        self._known: dict[str, _Query] = {}
        self._due: list[tuple[float, str]] = []
        self._under_way = 0
        self._refresh_at = 0.0
        self._too_many = False
        self._woken = asyncio.Event()
        self.answered = 0
        self.failed = 0

    @property
    def complaints(self) -> Mapping[str, str]:
        """What is wrong with queries that gave nothing the last time, by query."""
        return {text: query.complaint for text, query in self._known.items() if query.complaint}

    def refresh(self) -> None:
        """Find out at once what is to be asked: policies or ownership have changed."""
        self._refresh_at = 0.0
        self._woken.set()

    async def run(self) -> None:
        """Poll until cancelled; what is under way then is given up. Raises what ``submit`` raises, in a group."""
        self._due = [(0.0, text) for text in self._known]
        self._refresh_at = self._under_way = 0
        async with asyncio.TaskGroup() as asking:
            while True:
                self._woken.clear()
                now = asyncio.get_running_loop().time()
                if now >= self._refresh_at:
                    self._refresh(now)
                self._start(asking, now)
                await self._sleep(now)

    def _refresh(self, now: float) -> None:
        self._refresh_at = now + self._limits.refresh_seconds
        wanted = self._find_wanted()
        too_many = len(wanted) > self._limits.queries
        if too_many and not self._too_many:
            log.warning("of %d metric queries only %d are asked", len(wanted), self._limits.queries)
        self._too_many = too_many
        # In the order of their texts, so that it is always the same ones that are left out.
        chosen = sorted(wanted)[: self._limits.queries] if too_many else wanted
        self._wanted = {text: wanted[text] for text in chosen}
        for text in self._known.keys() - self._wanted.keys():
            del self._known[text]
        self._due = [entry for entry in self._due if entry[1] in self._known]
        heapq.heapify(self._due)
        for text in self._wanted.keys() - self._known.keys():
            self._known[text] = _Query()
            heapq.heappush(self._due, (now, text))

    def _start(self, asking: asyncio.TaskGroup, now: float) -> None:
        while self._due and self._due[0][0] <= now and self._under_way < self._limits.concurrency:
            _, text = heapq.heappop(self._due)
            self._under_way += 1
            asking.create_task(self._ask(text, self._known[text], now))

    async def _sleep(self, now: float) -> None:
        until = self._refresh_at
        if self._due and self._under_way < self._limits.concurrency:
            until = min(until, self._due[0][0])
        try:
            async with asyncio.timeout(max(0.0, until - now)):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _ask(self, text: str, query: _Query, asked_at: float) -> None:
        try:
            answer = await self._source.ask(text)
        except MetricQueryFailed as error:
            self._fail(text, query, str(error))
        else:
            await self._hand_on(text, query, answer)
        self._under_way -= 1
        if self._known.get(text) is query:
            pause = self._limits.interval_seconds
            if query.failures:
                pause = max(pause, self._limits.backoff.delay(query.failures, random()))  # noqa: S311 - jitter
            heapq.heappush(self._due, (asked_at + pause, text))
        self._woken.set()

    async def _hand_on(self, text: str, query: _Query, answer: QueryAnswer) -> None:
        if not answer.measurements:
            # Ordinary where there is no traffic, so it is asked again as usual.
            self._complain(text, query, "no values")
            self.failed += 1
            return
        query.failures = 0
        self._complain(text, query, "; ".join(answer.warnings), word="warns")
        reports = self._reports(text, answer.measurements)
        if reports:
            await self._submit(reports)
            self.answered += 1

    def _reports(self, text: str, measurements: Sequence[Measurement]) -> list[MetricsReport]:
        samples: dict[UUID, list[MetricSample]] = {}
        for deployment_id, metric in self._wanted.get(text, ()):
            routes = self._routes_of(deployment_id) if self._routes_of else None
            samples.setdefault(deployment_id, []).extend(
                MetricSample(
                    source=MetricSource.PROMETHEUS, metric=metric, value=each.value, at=each.at, route_id=each.route_id
                )
                for each in measurements
                if each.route_id is None or routes is None or each.route_id in routes
            )
        return [
            MetricsReport(deployment_id=deployment_id, samples=tuple(some))
            for deployment_id, all_of_it in samples.items()
            for some in chunks(all_of_it, MAX_SAMPLES_PER_REPORT)
        ]

    def _fail(self, text: str, query: _Query, complaint: str) -> None:
        query.failures += 1
        self.failed += 1
        self._complain(text, query, complaint)

    def _complain(self, text: str, query: _Query, complaint: str, *, word: str = "gives nothing") -> None:
        if complaint and complaint != query.complaint:
            log.warning("metric query %.*r %s: %s", _SHOWN, text, word, complaint)
        elif query.complaint and not complaint:
            log.info("metric query %.*r is answered again", _SHOWN, text)
        query.complaint = complaint
