"""Deciding what is submitted, in order, many decisions to a commit."""

import asyncio

from domain import commands as c
from domain import events as e
from domain.autoscaling.rules import MetricSource
from domain.autoscaling.samples import MetricSample, MetricsReport
from domain.errors import CommandRejected, RejectionCode
from domain.recorded import OperationCause, RecordCause
from domain.revision import Revision
from domain.routes import RouteStatus
from handlers.ports import CommandOutcome, Outcome
from handlers.submission import CommandItem, Submission
from tests.handlers.decision_support import (
    AT,
    P0,
    P1,
    DecidingWorker,
    create,
    decider_limits,
    deployment,
    item,
    new_log,
    reading,
    refusal,
    set_count,
)

D1, D2 = deployment(1), deployment(2)


async def test_a_command_becomes_events_that_say_what_led_to_them(worker: DecidingWorker) -> None:
    [[answer]] = await worker.submit(reading(None, item(P0, 7, create(D1), id="one")))

    [logged] = await worker.log.events()
    assert answer.events == [logged.recorded.event]
    assert answer.state is not None
    assert answer.state == (await worker.log.deployments([D1]))[D1]
    assert logged.recorded.cause == RecordCause(
        topic="commands",
        epoch="epoch-1",
        partition=0,
        offset=7,
        source="console",
        id="one",
        type="some-command",
        actor="operator",
    )


async def test_a_command_of_ones_own_says_which_operation_led_to_it(worker: DecidingWorker) -> None:
    [answer] = await worker.decider.execute([create(D1)], "some-operation")

    assert answer.rejection is None
    [logged] = await worker.log.events()
    assert logged.recorded.cause == OperationCause(operation="some-operation")


async def test_no_commands_are_no_commit(worker: DecidingWorker) -> None:
    assert await worker.decider.execute([], "some-operation") == []

    assert worker.log.tried == []


async def test_commands_without_any_effect_are_not_written(worker: DecidingWorker) -> None:
    await worker.decider.execute([create(D1)], "test")

    [answer] = await worker.decider.execute([c.RecordReady(deployment_id=D1)], "test")

    assert answer.events == []
    assert answer.state is not None
    assert len(worker.log.tried) == 1


async def test_what_waits_at_the_same_time_is_committed_together(worker: DecidingWorker) -> None:
    first = reading(None, item(P0, 0, create(D1)), item(P0, 1, set_count(D1, 3)))
    second = reading(2, item(P0, 2, create(D2)))
    third = reading(None, item(P1, 0, create(deployment(1, 1))))

    await worker.submit_behind(first, second, third)

    [_, together] = worker.log.tried
    assert [recorded.stream_id for recorded in together.events] == [D1, D1, D2, deployment(1, 1)]
    assert {move.origin: (move.expected, move.next) for move in together.positions} == {P0: (None, 3), P1: (None, 1)}
    assert {move.origin: move.digest for move in together.positions} == {
        P0: second.moves[0].digest,
        P1: third.moves[0].digest,
    }


async def test_everybody_gets_the_answers_to_their_own_items(worker: DecidingWorker) -> None:
    mine = reading(None, item(P0, 0, create(D1)), item(P0, 1, set_count(deployment(77), 1)), item(P0, 2, create(D2)))
    yours = reading(None, item(P1, 0, set_count(D1, 5)))

    my_answers, your_answers = await worker.submit_behind(mine, yours)

    assert not isinstance(my_answers, BaseException)
    assert not isinstance(your_answers, BaseException)
    codes = [answer.rejection.code if answer.rejection else None for answer in my_answers]
    assert codes == [None, RejectionCode.UNKNOWN_DEPLOYMENT, None]
    assert [answer.state.id if answer.state else None for answer in my_answers] == [D1, None, D2]
    [answer] = your_answers
    assert answer.events == [e.ReplicaCountSet(at=AT, previous=1, replica_count=5)]


async def test_one_deployments_commands_are_decided_in_the_order_of_their_records(worker: DecidingWorker) -> None:
    counts = [5, 3, 8, 2, 9, 4]
    await worker.submit(reading(None, item(P0, 0, create(D1))))

    await worker.submit_behind(
        *(reading(offset, item(P0, offset, set_count(D1, n))) for offset, n in enumerate(counts, start=1))
    )

    history = [logged.recorded for logged in await worker.log.stream(D1)]
    assert [r.version for r in history] == [1, 2, 3, 4, 5, 6, 7]
    assert [r.event.replica_count for r in history if isinstance(r.event, e.ReplicaCountSet)] == counts
    assert [r.cause.offset for r in history if isinstance(r.cause, RecordCause)] == list(range(7))


async def test_a_batch_takes_no_further_submission_once_it_is_full() -> None:
    worker = DecidingWorker(new_log(), decider_limits(batch_size=4))
    submissions = [
        reading(n * 3 or None, *(item(P0, n * 3 + i, create(deployment(n * 3 + i))) for i in range(3)))
        for n in range(5)
    ]

    await worker.submit_behind(*submissions)

    assert [len(batch.events) for batch in worker.log.tried] == [1, 6, 6, 3]
    await worker.stop()


async def test_a_submission_is_never_torn_apart() -> None:
    worker = DecidingWorker(new_log(), decider_limits(batch_size=4))

    await worker.submit(reading(None, *(item(P0, n, create(deployment(n))) for n in range(10))))

    assert [len(batch.events) for batch in worker.log.tried] == [10]
    await worker.stop()


async def test_an_accepted_and_a_rejected_command_have_an_outcome_and_a_report_has_none(worker: DecidingWorker) -> None:
    report = c.RouteReport(route_id=deployment(5), status=RouteStatus.TERMINATED)
    await worker.submit(
        reading(
            None,
            item(P0, 0, create(D1), id="accepted"),
            item(P0, 1, set_count(deployment(77), 1), id="rejected"),
            item(P0, 2, c.ReportRoutes(deployment_id=D1, reports=(report,)), id="report"),
        )
    )

    [batch] = worker.log.committed
    assert list(batch.outcomes) == [
        CommandOutcome("console", "accepted", Outcome.ACCEPTED),
        CommandOutcome("console", "rejected", Outcome.REJECTED),
    ]


async def test_when_a_deployment_is_due_is_committed_only_where_that_has_changed(worker: DecidingWorker) -> None:
    revision = Revision(revision_id=deployment(3), image="i", model="m")
    await worker.decider.execute([create(D1), create(D2)], "test")
    await worker.decider.execute([c.SetTargetRevision(deployment_id=D1, revision=revision), set_count(D2, 4)], "test")
    await worker.decider.execute([set_count(D1, 2)], "test")

    first, second, third = (list(batch.due) for batch in worker.log.committed)
    assert [(due.deployment_id, due.version, due.due_at) for due in first] == [(D1, 1, None), (D2, 1, None)]
    assert [(due.deployment_id, due.version, due.due_at) for due in second] == [(D1, 2, AT)]
    assert third == []
    assert second[0].hash == 0


async def test_samples_of_a_deployment_are_passed_on_and_those_of_nobody_refused(worker: DecidingWorker) -> None:
    sample = MetricSample(source=MetricSource.KERNEL, metric="gpu_util", value=0.5, at=AT)
    known, unknown = (MetricsReport(deployment_id=key, samples=(sample,)) for key in (D1, deployment(77)))

    await worker.submit(reading(None, item(P0, 0, create(D1)), item(P0, 1, known), item(P0, 2, unknown)))

    [commit] = worker.commits
    assert [(report.deployment_id, report.samples) for report in commit.samples] == [(D1, known.samples)]
    assert [report.received_at for report in commit.samples] == [AT]
    assert worker.dead_letters.offsets == [2]
    assert worker.dead_letters.sent[0][1].code == RejectionCode.UNKNOWN_DEPLOYMENT
    assert [state.id for state in commit.states] == [D1]


async def test_listeners_hear_of_every_commit_in_order_and_before_whoever_submitted(worker: DecidingWorker) -> None:
    heard: list[str] = []
    worker.decider.listen(lambda commit: heard.append(f"first {commit.states[0].version}"))
    worker.decider.listen(lambda commit: heard.append(f"second {commit.states[0].version}"))

    for expected, record in [(None, item(P0, 0, create(D1))), (1, item(P0, 1, set_count(D1, 2)))]:
        await worker.submit(reading(expected, record))
        heard.append("submitter")

    assert heard == ["first 1", "second 1", "submitter", "first 2", "second 2", "submitter"]
    assert [commit.position for commit in worker.commits] == [logged.position for logged in await worker.log.events()]


async def test_a_rejected_command_of_ones_own_is_answered_and_written_nowhere(worker: DecidingWorker) -> None:
    items = [CommandItem(set_count(D1, 1), OperationCause(operation="test"))]
    [[answer]] = await worker.submit(Submission(items, (), asyncio.get_running_loop().create_future()))

    assert isinstance(answer.rejection, CommandRejected)
    assert worker.log.tried == []
    assert worker.dead_letters.sent == []


async def test_a_refused_record_advances_the_position_like_any_other(worker: DecidingWorker) -> None:
    [[answer]] = await worker.submit(reading(None, item(P0, 41, refusal())))

    assert (answer.state, answer.events, answer.rejection) == (None, (), None)
    assert (await worker.log.positions([P0]))[P0].next == 42
