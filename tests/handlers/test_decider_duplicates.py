"""Fault 5: a command that comes again, with the same id at another offset, has no second effect."""

from domain import commands as c
from domain.routes import RouteStatus
from tests.handlers.decision_support import (
    P0,
    P1,
    DecidingWorker,
    create,
    deployment,
    item,
    reading,
    second,
    set_count,
)

D1, D2 = deployment(1), deployment(2)


async def count_of(worker: DecidingWorker) -> int:
    return (await worker.log.deployments([D1]))[D1].replica_spec.replica_count


def outcomes(worker: DecidingWorker) -> list[str]:
    """The ids of all commands that got an outcome, as often as they did."""
    return [outcome.id for batch in worker.log.committed for outcome in batch.outcomes]


async def test_in_the_same_submission(worker: DecidingWorker) -> None:
    """Of two commands with the same id the first counts, whatever the other one says."""
    [[_, first, again]] = await worker.submit(
        reading(
            None,
            item(P0, 0, create(D1)),
            item(P0, 1, set_count(D1, 5), id="five"),
            item(P0, 2, set_count(D1, 6), id="five"),
        )
    )

    assert len(first.events) == 1
    assert again.events == ()
    assert again.state == first.state
    assert await count_of(worker) == 5
    assert outcomes(worker) == ["0/0", "five"]
    assert (await worker.log.positions([P0]))[P0].next == 3


async def test_in_another_submission_of_the_same_batch(worker: DecidingWorker) -> None:
    """Also where the command was sent through two partitions, it has one effect."""
    await worker.submit_behind(
        reading(None, item(P0, 0, create(D1)), item(P0, 1, set_count(D1, 5), id="five")),
        reading(None, item(P1, 0, set_count(D1, 6), id="five"), item(P1, 1, set_count(D1, 7))),
    )

    assert await count_of(worker) == 7
    assert await worker.log.stream_version(D1) == 3
    assert outcomes(worker) == ["0/0", "five", "1/1"]


async def test_in_a_later_batch_everything_around_it_is_decided_all_the_same(worker: DecidingWorker) -> None:
    """The log knows the command, and the batch is decided again without it."""
    await worker.submit(reading(None, item(P0, 0, create(D1)), item(P0, 1, set_count(D1, 5), id="five")))

    [[before, again, after]] = await worker.submit(
        reading(
            2,
            item(P0, 2, set_count(D1, 6)),
            item(P0, 3, set_count(D1, 9), id="five"),
            item(P0, 4, create(D2)),
        )
    )

    assert [len(answer.events) for answer in (before, again, after)] == [1, 0, 1]
    assert await count_of(worker) == 6
    assert outcomes(worker) == ["0/0", "five", "0/2", "0/4"]
    assert (await worker.log.positions([P0]))[P0].next == 5


async def test_after_a_restart(worker: DecidingWorker) -> None:
    """Another worker, who has never seen the command, learns from the log that it was done."""
    await worker.submit(reading(None, item(P0, 0, create(D1)), item(P0, 1, set_count(D1, 5), id="five")))
    other = DecidingWorker(second(worker.log))

    [[again]] = await other.submit(reading(2, item(P0, 2, set_count(D1, 6), id="five")))
    await other.stop()

    assert again.events == ()
    assert again.state is not None
    assert again.state.replica_spec.replica_count == 5
    assert await worker.log.stream_version(D1) == 2


async def test_a_batch_of_duplicates_only_still_moves_the_position(worker: DecidingWorker) -> None:
    """What was done already is read past."""
    await worker.submit(reading(None, item(P0, 0, create(D1), id="create")))

    await worker.submit(reading(1, item(P0, 1, create(D1), id="create"), item(P0, 2, create(D1), id="create")))

    assert (await worker.log.positions([P0]))[P0].next == 3
    assert await worker.log.stream_version(D1) == 1


async def test_a_rejected_command_that_comes_again_is_not_refused_again(worker: DecidingWorker) -> None:
    """Its one outcome is the rejection, even where it would be accepted by now."""
    await worker.submit(reading(None, item(P0, 0, set_count(D1, 5), id="early")))
    await worker.submit(reading(1, item(P0, 1, create(D1)), item(P0, 2, set_count(D1, 5), id="early")))

    assert await count_of(worker) == 1
    assert outcomes(worker) == ["early", "0/1"]
    assert worker.dead_letters.offsets == [0]


async def test_the_same_id_from_another_source_is_another_command(worker: DecidingWorker) -> None:
    """Ids are unique within their source only."""
    mine = item(P0, 1, set_count(D1, 5), id="one")
    yours = item(P0, 2, set_count(D1, 6), id="one", source="elsewhere")

    await worker.submit(reading(None, item(P0, 0, create(D1)), mine, yours))

    assert await count_of(worker) == 6


async def test_a_report_may_be_repeated_under_the_same_id(worker: DecidingWorker) -> None:
    """A report is an observation: what changed is noted however often its id was used."""
    await worker.decider.execute([create(D1), c.RecordEndpointRegistered(deployment_id=D1, url="u")], "test")
    await worker.decider.execute([c.ScaleOut(deployment_id=D1, count=1, revision_id=D2)], "test")
    [route] = (await worker.decider.load([D1]))[D1].routes

    def report(status: RouteStatus) -> c.ReportRoutes:
        return c.ReportRoutes(deployment_id=D1, reports=(c.RouteReport(route_id=route, status=status),))

    await worker.submit(
        reading(
            None,
            item(P0, 0, report(RouteStatus.HEALTHY), id="same"),
            item(P0, 1, report(RouteStatus.HEALTHY), id="same"),
            item(P0, 2, report(RouteStatus.UNHEALTHY), id="same"),
        )
    )

    assert (await worker.decider.load([D1]))[D1].routes[route].status is RouteStatus.UNHEALTHY
    assert await worker.log.stream_version(D1) == 5
