"""The poller in virtual time: what is asked when, and what becomes of the answers."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.autoscaling.metric import MetricSource
from domain.autoscaling.samples import MetricSample, MetricsReport
from handlers.backoff import Backoff
from handlers.metric_poller import MetricPoller, MetricPollerLimits
from handlers.metric_queries import Measurement, MetricQueryFailed, QueryAnswer
from tests.handlers.virtual_time import simulate

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHAT, SEARCH, ROUTE, FOREIGN = (UUID(int=number) for number in (1, 2, 3, 4))
LIMITS = MetricPollerLimits(interval_seconds=10, backoff=Backoff(base=20, cap=60, jitter=0))
ONE_VALUE = QueryAnswer([Measurement(7.0, AT)])


def sample(metric: str, value: float = 7.0, route_id: UUID | None = None) -> MetricSample:
    return MetricSample(source=MetricSource.PROMETHEUS, metric=metric, value=value, at=AT, route_id=route_id)


class World:
    """A source of answers that notes when it is asked, and a poller over it."""

    def __init__(self, limits: MetricPollerLimits = LIMITS, *, seconds_an_answer: float = 0) -> None:
        self.wanted: dict[str, list[tuple[UUID, str]]] = {}
        self.answers: dict[str, QueryAnswer | MetricQueryFailed] = {}
        self.asked: list[tuple[float, str]] = []
        self.reports: list[MetricsReport] = []
        self.at_once = self.most_at_once = 0
        self.routes: dict[UUID, set[UUID]] | None = None
        self.poller = MetricPoller(
            self,
            lambda: self.wanted,
            self.submit,
            routes_of=lambda deployment_id: (self.routes or {}).get(deployment_id, {ROUTE, FOREIGN}),
            limits=limits,
        )
        self._seconds = seconds_an_answer

    async def ask(self, query: str) -> QueryAnswer:
        self.asked.append((asyncio.get_running_loop().time(), query))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self._seconds)
        self.at_once -= 1
        answer = self.answers.get(query, ONE_VALUE)
        if isinstance(answer, MetricQueryFailed):
            raise answer
        return answer

    async def submit(self, reports: Sequence[MetricsReport]) -> None:
        self.reports += reports

    async def live(self, until: float) -> None:
        """Let the poller run until this time."""
        polling = asyncio.create_task(self.poller.run())
        await asyncio.sleep(until - asyncio.get_running_loop().time())
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)

    def times_of(self, query: str) -> list[float]:
        return [round(at, 3) for at, asked in self.asked if asked == query]


def test_a_query_that_many_share_is_asked_once_an_interval_and_answers_all_of_them() -> None:
    world = World()
    world.wanted = {"load": [(CHAT, "requests"), (CHAT, "queue"), (SEARCH, "requests")]}

    simulate(world.live(until=25))

    assert world.times_of("load") == [0, 10, 20]
    assert world.reports[:2] == [
        MetricsReport(deployment_id=CHAT, samples=(sample("requests"), sample("queue"))),
        MetricsReport(deployment_id=SEARCH, samples=(sample("requests"),)),
    ]
    assert (world.poller.answered, world.poller.failed) == (3, 0)


def test_each_query_has_its_own_times() -> None:
    """There is no common tick: what joins later is asked at once, and goes on from there."""
    world = World()
    world.wanted = {"load": [(CHAT, "requests")]}

    async def story() -> None:
        living = asyncio.create_task(world.live(until=25))
        await asyncio.sleep(3.5)
        world.wanted["latency"] = [(SEARCH, "latency")]
        world.poller.refresh()
        await living

    simulate(story())

    assert world.times_of("load") == [0, 10, 20]
    assert world.times_of("latency") == [3.5, 13.5, 23.5]


def test_what_is_wanted_is_found_out_without_being_told() -> None:
    world = World()

    async def story() -> None:
        living = asyncio.create_task(world.live(until=9))
        await asyncio.sleep(3.5)
        world.wanted["latency"] = [(SEARCH, "latency")]
        await living

    simulate(story())

    assert world.times_of("latency") == [4]


def test_what_is_no_longer_wanted_is_no_longer_asked_nor_handed_on() -> None:
    world = World(seconds_an_answer=2.5)
    world.wanted = {"load": [(CHAT, "requests")]}

    async def story() -> None:
        living = asyncio.create_task(world.live(until=40))
        await asyncio.sleep(0.5)
        world.wanted.clear()
        await living

    simulate(story())

    assert world.times_of("load") == [0]
    assert world.reports == []


def test_only_so_many_are_asked_at_a_time_and_none_is_forgotten() -> None:
    world = World(MetricPollerLimits(interval_seconds=10, concurrency=3), seconds_an_answer=1)
    world.wanted = {f"query {number}": [(CHAT, "m")] for number in range(10)}

    simulate(world.live(until=9))

    assert world.most_at_once == 3
    assert {query for _, query in world.asked} == set(world.wanted)
    assert len(world.asked) == 10


def test_beyond_the_most_queries_the_rest_is_not_asked_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World(MetricPollerLimits(interval_seconds=10, queries=2))
    world.wanted = {query: [(CHAT, query)] for query in ("c", "b", "a")}

    simulate(world.live(until=5))

    assert sorted(query for _, query in world.asked) == ["a", "b"]
    assert [record.message for record in caplog.records] == ["of 3 metric queries only 2 are asked"]


def test_a_failing_query_gives_no_sample_and_is_left_alone_for_longer_and_longer() -> None:
    world = World()
    world.wanted = {"load": [(CHAT, "requests")]}
    world.answers["load"] = MetricQueryFailed("answered 503")

    simulate(world.live(until=200))

    assert world.times_of("load") == [0, 20, 60, 120, 180]
    assert world.reports == []
    assert (world.poller.answered, world.poller.failed) == (0, 5)
    assert world.poller.complaints == {"load": "answered 503"}


def test_a_failure_is_logged_when_it_begins_changes_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    world.wanted = {"load": [(CHAT, "requests")]}

    async def story() -> None:
        living = asyncio.create_task(world.live(until=200))
        for seconds, answer in ((70, "answered 503"), (60, "no answer within 5 s"), (0, "")):
            if answer:
                world.answers["load"] = MetricQueryFailed(answer)
            else:
                del world.answers["load"]
            await asyncio.sleep(seconds)
        await living

    simulate(story())

    assert [record.message for record in caplog.records] == [
        "metric query 'load' gives nothing: answered 503",
        "metric query 'load' gives nothing: no answer within 5 s",
        "metric query 'load' is answered again",
    ]
    assert world.poller.complaints == {}


def test_a_query_without_values_is_counted_and_asked_again_as_usual() -> None:
    world = World()
    world.wanted = {"load": [(CHAT, "requests")]}
    world.answers["load"] = QueryAnswer([])

    simulate(world.live(until=25))

    assert world.times_of("load") == [0, 10, 20]
    assert (world.reports, world.poller.failed) == ([], 3)
    assert world.poller.complaints == {"load": "no values"}


def test_warnings_come_with_samples(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.wanted = {"load": [(CHAT, "requests")]}
    world.answers["load"] = QueryAnswer([Measurement(1.0, AT)], ["a store did not answer"])

    simulate(world.live(until=15))

    assert len(world.reports) == 2
    assert [record.message for record in caplog.records] == ["metric query 'load' warns: a store did not answer"]


def test_of_measurements_by_route_each_deployment_gets_those_of_its_own_routes() -> None:
    world = World()
    world.wanted = {"load": [(CHAT, "requests"), (SEARCH, "requests")]}
    world.routes = {CHAT: {ROUTE}, SEARCH: set()}
    world.answers["load"] = QueryAnswer([Measurement(1.0, AT, ROUTE), Measurement(2.0, AT, FOREIGN)])

    simulate(world.live(until=5))

    assert world.reports == [MetricsReport(deployment_id=CHAT, samples=(sample("requests", 1.0, ROUTE),))]


def test_many_measurements_are_cut_into_reports_that_may_be_sent() -> None:
    world = World()
    world.wanted = {"load": [(CHAT, "requests")]}
    routes = [UUID(int=number) for number in range(1, 2302)]
    world.routes = {CHAT: set(routes)}
    world.answers["load"] = QueryAnswer([Measurement(1.0, AT, route) for route in routes])

    simulate(world.live(until=5))

    assert [len(report.samples) for report in world.reports] == [1000, 1000, 301]


def test_what_goes_wrong_with_handing_on_ends_the_polling_loudly() -> None:
    world = World()
    world.wanted = {"load": [(CHAT, "requests")]}

    async def broken(_reports: Sequence[MetricsReport]) -> None:
        raise LookupError

    poller = MetricPoller(world, lambda: world.wanted, broken)

    with pytest.raises(ExceptionGroup) as raised:
        simulate(poller.run())
    assert raised.group_contains(LookupError)
