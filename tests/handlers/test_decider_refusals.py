"""What is refused is written down with its reason, in the stream of its partition, and handed over raw."""

import hashlib
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from domain import commands as c
from domain.autoscaling.rules import Comparator, MetricSource, ScalingPolicy, StepRule
from domain.recorded import RecordCause
from domain.rejections import RecordsRejected, rejection_stream
from domain.revision import Revision
from domain.routes import RouteStatus
from handlers.ports import EventTooLarge
from handlers.records import PartitionId
from tests.handlers.decision_support import (
    AT,
    P0,
    P1,
    DecidingWorker,
    create,
    deployment,
    item,
    new_log,
    reading,
    refusal,
    second,
    set_count,
)

D1 = deployment(1)


async def rejections(worker: DecidingWorker, origin: PartitionId = P0) -> list[tuple[int, list[int]]]:
    """The version and the offsets of each event in the stream of a partition."""
    stream = rejection_stream(origin.topic, origin.epoch, origin.partition)
    found = []
    for logged in await worker.log.stream(stream):
        assert isinstance(logged.recorded.event, RecordsRejected)
        found.append((logged.recorded.version, [record.offset for record in logged.recorded.event.records]))
    return found


async def test_what_was_not_understood_is_described_and_its_bytes_are_handed_over(worker: DecidingWorker) -> None:
    unread = item(P0, 3, refusal())
    await worker.submit(reading(None, unread))

    [logged] = await worker.log.events()
    event = logged.recorded.event
    assert isinstance(event, RecordsRejected)
    assert (event.at, event.topic, event.epoch, event.partition) == (AT, "commands", "epoch-1", 0)
    assert logged.recorded.stream_id == rejection_stream("commands", "epoch-1", 0)
    assert logged.recorded.cause == RecordCause(topic="commands", epoch="epoch-1", partition=0, offset=3)
    [record] = event.records
    assert record.model_dump() == {
        "offset": 3,
        "digest": hashlib.sha256(b"key\0value 3").hexdigest(),
        "length": 7,
        "code": "invalid-json",
        "field": "data.replica_count",
        "value": "'many'",
        "reason": "expected value at line 1",
        "key": "key",
        "source": "",
        "id": "",
    }
    assert worker.dead_letters.sent == [(unread.record, unread.parsed)]


async def test_a_command_that_the_domain_rejects_is_refused_with_field_value_and_sender(worker: DecidingWorker) -> None:
    await worker.submit(reading(None, item(P0, 0, set_count(D1, 1), id="one")))

    [(_, told)] = worker.dead_letters.sent
    assert (told.code, told.field, told.value) == ("unknown-deployment", "data.deployment_id", str(D1))
    assert told.sender is not None
    [logged] = await worker.log.events()
    assert isinstance(logged.recorded.event, RecordsRejected)
    [record] = logged.recorded.event.records
    assert (record.source, record.id, record.reason) == ("console", "one", told.reason)


async def test_refused_records_come_a_hundred_to_an_event(worker: DecidingWorker) -> None:
    refused = [item(P0, offset, refusal()) for offset in range(250)]
    refused[120] = item(P0, 120, create(D1))

    await worker.submit(reading(None, *refused))

    offsets = [offset for offset in range(250) if offset != 120]
    assert await rejections(worker) == [(1, offsets[:100]), (2, offsets[100:200]), (3, offsets[200:])]
    assert worker.dead_letters.offsets == offsets


async def test_each_partition_has_a_stream_of_its_own(worker: DecidingWorker) -> None:
    await worker.submit_behind(
        reading(None, item(P0, 0, refusal())), reading(None, item(P1, 5, refusal())), reading(1, item(P0, 1, refusal()))
    )

    assert await rejections(worker, P0) == [(1, [0, 1])]
    assert await rejections(worker, P1) == [(1, [5])]


async def test_a_stream_goes_on_in_the_next_commit_and_in_another_worker(worker: DecidingWorker) -> None:
    await worker.submit(reading(None, item(P0, 0, refusal())))
    await worker.submit(reading(1, item(P0, 1, refusal())))
    other = DecidingWorker(second(worker.log))

    await other.submit(reading(2, item(P0, 2, refusal())))
    await other.stop()

    assert await rejections(worker) == [(1, [0]), (2, [1]), (3, [2])]


async def test_the_bytes_are_handed_over_before_the_position_moves_past_them(worker: DecidingWorker) -> None:
    held = await worker.hold()
    submission = reading(None, item(P0, 0, refusal()))
    await worker.decider.enqueue(submission)
    await worker.let_one_pass(held)

    assert worker.dead_letters.offsets == [0]
    assert await worker.log.positions([P0]) == {}
    worker.log.open_gate.set()
    await submission.done


@pytest.fixture
async def small() -> AsyncIterator[DecidingWorker]:
    """A worker whose log takes events of 1,000 bytes."""
    worker = DecidingWorker(new_log(max_event_bytes=1000))
    yield worker
    await worker.stop()


def large(deployment_id: UUID) -> c.SetScalingPolicy:
    """A command whose event is larger than that."""
    rules = tuple(
        StepRule(
            name=f"rule {number}",
            source=MetricSource.KERNEL,
            metric="x" * 100,
            comparator=Comparator.GREATER_THAN,
            threshold=1.0,
            step=1,
        )
        for number in range(10)
    )
    return c.SetScalingPolicy(deployment_id=deployment_id, policy=ScalingPolicy(rules=rules))


async def test_an_event_that_is_too_large_is_refused_alone_and_its_neighbours_are_not(small: DecidingWorker) -> None:
    await small.submit(reading(None, item(P0, 0, create(D1))))

    first, other = await small.submit_behind(
        reading(1, item(P0, 1, set_count(D1, 2)), item(P0, 2, large(D1), id="huge"), item(P0, 3, set_count(D1, 3))),
        reading(None, item(P1, 0, create(deployment(3, 1)))),
    )

    assert not isinstance(first, BaseException)
    assert not isinstance(other, BaseException)
    assert [len(answer.events) for answer in (*first, *other)] == [1, 0, 1, 1]
    assert (await small.log.deployments([D1]))[D1].replica_spec.replica_count == 3
    assert (await small.log.deployments([D1]))[D1].scaling_policy.rules == ()
    assert {o: p.next for o, p in (await small.log.positions([P0, P1])).items()} == {P0: 4, P1: 1}
    [(record, told)] = small.dead_letters.sent
    assert (record.offset, told.code, told.field) == (2, "event-too-large", "data")
    assert told.sender is not None
    assert told.sender.id == "huge"
    assert "1000" in told.reason
    assert await rejections(small) == [(1, [2])]


async def test_many_refusals_that_are_too_large_together_are_written_one_by_one(small: DecidingWorker) -> None:
    await small.submit(reading(None, *(item(P0, offset, refusal()) for offset in range(20))))

    assert await rejections(small) == [(version, [version - 1]) for version in range(1, 21)]
    assert (await small.log.positions([P0]))[P0].next == 20


async def test_a_command_of_ones_own_whose_event_is_too_large_is_rejected(small: DecidingWorker) -> None:

    fine, refused = await small.decider.execute([create(D1), large(D1)], "test")

    assert fine.rejection is None
    assert refused.rejection is not None
    assert "1000" in refused.rejection.message


async def test_where_even_a_refusal_is_too_large_whoever_submitted_is_told(worker: DecidingWorker) -> None:
    """Nothing is skipped silently, and nothing goes round in circles."""
    worker.log.failures = [EventTooLarge("too large")] * 10

    with pytest.raises(EventTooLarge):
        await worker.submit(reading(None, item(P0, 0, refusal())))

    assert worker.log.committed == []


async def test_unknown_routes_of_a_report_are_refused_once_and_the_others_are_taken_over(
    worker: DecidingWorker,
) -> None:
    revision = Revision(revision_id=UUID(int=8), image="image", model="model")
    await worker.decider.execute([create(D1).model_copy(update={"target_revision": revision})], "test")
    await worker.decider.execute([c.RecordEndpointRegistered(deployment_id=D1, url="http://chat")], "test")
    await worker.decider.execute([c.ScaleOut(deployment_id=D1, count=1, revision_id=revision.revision_id)], "test")
    [known] = (await worker.decider.load([D1]))[D1].routes
    ghosts = [UUID(int=900 + number) for number in range(3)]
    reports = tuple(c.RouteReport(route_id=key, status=RouteStatus.HEALTHY) for key in (ghosts[0], known, *ghosts[1:]))
    await worker.submit(reading(None, item(P0, 0, c.ReportRoutes(deployment_id=D1, reports=reports))))

    assert (await worker.decider.load([D1]))[D1].routes[known].status is RouteStatus.HEALTHY
    [(_, refused)] = worker.dead_letters.sent
    assert (refused.code, refused.field, refused.value) == (
        "unknown-route",
        "data.reports.0.route_id",
        str(ghosts[0]),
    )
    assert all(str(ghost) in refused.reason for ghost in ghosts)
