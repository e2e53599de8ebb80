from sqlalchemy import Engine

from domain import events as e
from domain.routes import RouteStatus, TerminationReason
from projections.catalogue import VIEWS
from projections.routes import RouteRow, find_routes
from projections.runner import ProjectionRunner
from tests.projection_support import (
    CHAT,
    REVISION,
    SEARCH,
    MemoryLog,
    after,
    created,
    fold,
    registered,
    reported,
    route,
    scaled_out,
    terminating,
)


def routes(engine: Engine) -> list[RouteRow]:
    """All routes there ever were, oldest first."""
    with engine.connect() as connection:
        return find_routes(connection, ended=True)


async def test_a_new_route_is_provisioning_with_its_weight(engine: Engine) -> None:
    await fold(engine, created(), registered(), scaled_out(1))

    (row,) = routes(engine)
    assert (row.id, row.deployment_id, row.revision_id) == (route(1), CHAT, REVISION.revision_id)
    assert (row.status, row.traffic_ratio) == (RouteStatus.PROVISIONING, 1.0)
    assert (row.created_at, row.status_since, row.ended_at) == (after(3), after(3), None)


async def test_a_report_changes_status_and_says_since_when(engine: Engine) -> None:
    await fold(engine, created(), registered(), scaled_out(1), reported(RouteStatus.UNHEALTHY, 1, detail="no answer"))

    (row,) = routes(engine)
    assert (row.status, row.status_since, row.detail) == (RouteStatus.UNHEALTHY, after(4), "no answer")


async def test_a_route_that_is_taken_away_gets_no_more_traffic(engine: Engine) -> None:
    await fold(engine, created(), registered(), scaled_out(1, 2), terminating(2))

    kept, gone = routes(engine)
    assert (kept.status, kept.termination_reason) == (RouteStatus.PROVISIONING, None)
    assert (gone.status, gone.termination_reason) == (RouteStatus.TERMINATING, TerminationReason.SCALE_IN)
    assert (gone.traffic_ratio, gone.status_since, gone.ended_at) == (0.0, after(5), None)


async def test_a_route_that_is_over_stays_as_history(engine: Engine) -> None:
    over = [reported(RouteStatus.TERMINATED, 1, seconds=6), reported(RouteStatus.FAILED_TO_START, 2, seconds=7)]

    await fold(engine, created(), registered(), scaled_out(1, 2), terminating(1), *over)

    assert [(row.status, row.ended_at) for row in routes(engine)] == [
        (RouteStatus.TERMINATED, after(6)),
        (RouteStatus.FAILED_TO_START, after(7)),
    ]
    with engine.connect() as connection:
        assert find_routes(connection) == []


async def test_nothing_changes_a_route_that_is_over(engine: Engine) -> None:
    over = reported(RouteStatus.TERMINATED, 1, seconds=6)
    back, again = reported(RouteStatus.HEALTHY, 1, seconds=7), terminating(1, seconds=8)

    await fold(engine, created(), registered(), scaled_out(1), over, back, again)

    (row,) = routes(engine)
    assert (row.status, row.status_since) == (RouteStatus.TERMINATED, after(6))


async def test_a_forced_destruction_ends_the_routes_that_nobody_reported_on(engine: Engine) -> None:
    """Some of them are in memory when that happens, some are not; routes of others are left alone."""
    log = MemoryLog()
    log.append(created(SEARCH, name="search"), registered(), scaled_out(7), terminating(7), to=SEARCH)
    log.append(created(), registered(), scaled_out(1, 2, 3), terminating(1, 2, 3))
    await ProjectionRunner(engine, VIEWS, log, cached_rows=0).catch_up()
    log.append(reported(RouteStatus.TERMINATED, 1, seconds=6), e.DestructionRequested(at=after(7), force=True))
    log.append(e.DeploymentDestroyed(at=after(8), abandoned_routes=2))

    await ProjectionRunner(engine, VIEWS, log).catch_up()

    with engine.connect() as connection:
        ended = find_routes(connection, deployment_id=CHAT, status=[RouteStatus.TERMINATED])
        others = find_routes(connection, deployment_id=SEARCH)
    assert [(row.id, row.ended_at, row.detail != "") for row in ended] == [
        (route(1), after(6), False),
        (route(2), after(8), True),
        (route(3), after(8), True),
    ]
    assert [row.status for row in others] == [RouteStatus.TERMINATING]


async def test_routes_are_found_by_deployment_and_status_up_to_a_limit(engine: Engine) -> None:
    await fold(engine, created(), registered(), scaled_out(1, 2, 3), reported(RouteStatus.HEALTHY, 3))

    with engine.connect() as connection:
        assert [row.id for row in find_routes(connection, status=[RouteStatus.HEALTHY])] == [route(3)]
        assert [row.id for row in find_routes(connection, deployment_id=CHAT, limit=2)] == [route(1), route(2)]
        assert find_routes(connection, deployment_id=SEARCH) == []
