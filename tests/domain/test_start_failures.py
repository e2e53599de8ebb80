from collections.abc import Sequence

import pytest

from domain import commands as c
from domain import events as e
from domain.errors import RejectionCode
from domain.limits import DecisionLimits
from domain.routes import RouteStatus
from tests.domain import histories as h
from tests.domain.scenario import NOW, When, after, given

LIMITS = DecisionLimits(start_backoff_base=1.0, start_backoff_cap=300.0, healthy_resets_after=60.0)


def report(status: RouteStatus, *numbers: int) -> c.ReportRoutes:
    reports = tuple(c.RouteReport(route_id=h.route_id(number), status=status) for number in numbers)
    return c.ReportRoutes(deployment_id=h.DEPLOYMENT, reports=reports)


def failed_before(times: int, *since: e.DeploymentEvent) -> Sequence[e.DeploymentEvent]:
    """Route 1 failed ``times`` times in a row, the last time at -100 s; the wait was over at -90 s."""
    failure = h.reported(
        RouteStatus.FAILED_TO_START, 1, at=after(-100), start_failures=times, scale_out_not_before=after(-90)
    )
    return (*h.SCALING, h.scaled_out(1), failure, *since)


def waits(when: When) -> tuple[int, float | None]:
    """How many starts failed in a row, and for how many seconds from now no route is made."""
    not_before = when.state.scale_out_not_before
    return when.state.start_failures, None if not_before is None else (not_before - NOW).total_seconds()


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (9, 256), (10, 300), (11, 300), (100_000, 300)]
)
def test_the_wait_doubles_with_each_failed_start_up_to_a_cap(failures: int, seconds: float) -> None:
    assert LIMITS.start_backoff(failures) == seconds


def test_a_failed_start_makes_the_next_one_wait() -> None:
    when = given(*h.SCALING_MATCHED).when(report(RouteStatus.FAILED_TO_START, 1))

    assert waits(when) == (1, 1.0)


def test_failed_starts_in_one_report_are_all_counted() -> None:
    when = given(*h.SCALING_MATCHED).when(report(RouteStatus.FAILED_TO_START, 1, 2))

    assert waits(when) == (2, 2.0)


def test_failed_starts_add_up_over_reports() -> None:
    when = given(*failed_before(3, h.scaled_out(2, at=after(-90)))).when(report(RouteStatus.FAILED_TO_START, 2))

    assert waits(when) == (4, 8.0)


def test_a_route_that_was_gone_before_it_ran_failed_to_start() -> None:
    """A runtime that reports the end of a broken image as termination must not make routes in a hot loop."""
    assert waits(given(*h.SCALING_MATCHED).when(report(RouteStatus.TERMINATED, 1))) == (1, 1.0)


@pytest.mark.parametrize("status", [RouteStatus.TERMINATED, RouteStatus.FAILED_TO_START])
def test_a_route_that_was_told_to_go_did_not_fail_to_start(status: RouteStatus) -> None:
    assert waits(given(*h.SCALING_MATCHED, h.terminating(1)).when(report(status, 1))) == (0, None)


def test_a_route_that_ran_did_not_fail_to_start() -> None:
    assert waits(given(*h.READY).when(report(RouteStatus.TERMINATED, 1))) == (0, None)


def test_no_route_is_made_before_the_wait_is_over() -> None:
    command = c.ScaleOut(deployment_id=h.DEPLOYMENT, count=1, revision_id=h.REVISION.revision_id)
    failed = given(*h.SCALING_MATCHED).when(report(RouteStatus.FAILED_TO_START, 1))

    failed.and_when(command, at=after(0.9)).then_rejected(RejectionCode.CHANGED_MEANWHILE)
    failed.and_when(command, at=after(1.0)).then_events(e.ScaledOut)


def test_a_minute_of_health_begins_the_count_anew() -> None:
    healthy = (h.scaled_out(2, 3, at=after(-90)), h.reported(RouteStatus.HEALTHY, 2, at=after(-60), start_failures=5))

    when = given(*failed_before(5, *healthy)).when(report(RouteStatus.FAILED_TO_START, 3))

    assert waits(when) == (1, 1.0)


def test_a_minute_of_health_ends_the_waiting() -> None:
    healthy = h.reported(RouteStatus.HEALTHY, 2, at=after(-60), start_failures=5, scale_out_not_before=after(-90))
    history = failed_before(5, h.scaled_out(2, 3, at=after(-90)), healthy)

    assert waits(given(*history).when(report(RouteStatus.HEALTHY, 3))) == (0, None)


def test_less_than_a_minute_of_health_does_not_begin_the_count_anew() -> None:
    healthy = h.reported(RouteStatus.HEALTHY, 2, at=after(-59), start_failures=5, scale_out_not_before=after(-90))
    history = failed_before(5, h.scaled_out(2, 3, at=after(-90)), healthy)

    assert waits(given(*history).when(report(RouteStatus.FAILED_TO_START, 3))) == (6, 32.0)


def test_a_route_from_before_the_failures_does_not_show_that_starts_work_again() -> None:
    """Else one old healthy replica would let a broken image make a route a second for ever."""
    history = (
        *h.SCALING_MATCHED,
        h.reported(RouteStatus.HEALTHY, 1),
        h.reported(RouteStatus.FAILED_TO_START, 2, at=after(-100), start_failures=5, scale_out_not_before=after(-90)),
        h.scaled_out(3, at=after(-90)),
    )

    assert waits(given(*history).when(report(RouteStatus.FAILED_TO_START, 3))) == (6, 32.0)


@pytest.mark.parametrize("ran", [RouteStatus.HEALTHY, RouteStatus.UNHEALTHY, RouteStatus.DEGRADED])
def test_a_route_that_crashed_soon_after_it_ran_counts_as_a_failed_start(ran: RouteStatus) -> None:
    started = (*h.SCALING, h.scaled_out(1, at=after(-59)), h.reported(ran, 1, at=after(-50)))

    assert waits(given(*started).when(report(RouteStatus.TERMINATED, 1))) == (1, 1.0)


def test_a_route_that_ended_after_it_ran_for_long_is_replaced_at_once() -> None:
    started = (*h.SCALING, h.scaled_out(1, at=after(-61)), h.reported(RouteStatus.HEALTHY, 1, at=after(-50)))

    assert waits(given(*started).when(report(RouteStatus.TERMINATED, 1))) == (0, None)
