"""What every event store must keep of scaling beside the log, and for how long; see ``event_log_contract``."""

import asyncio
from datetime import datetime
from uuid import uuid4

import pytest

from adapters.event_store.event_log import RecorderEventLog
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.record import EvaluationRecord
from domain.autoscaling.samples import MetricSample
from handlers.ports import (
    DuplicateCommands,
    LogBatch,
    PositionConflict,
    VersionConflict,
)
from tests.adapters.event_log_scaling_support import evaluations, kept, later, record, report, sample
from tests.adapters.event_log_support import (
    AT,
    FAR_FUTURE,
    P0,
    P1,
    LogFixtures,
    LogStore,
    due,
    error_of,
    event,
    events,
    move,
    outcome,
)


class SamplesContract(LogFixtures):
    """Reports of samples come back as they were."""

    async def test_a_report_comes_back_with_every_sample_as_it_was(self, log: RecorderEventLog) -> None:
        deployment = uuid4()
        odd = MetricSample(
            source=MetricSource.KERNEL,
            metric='gpu "load" \N{GREEK SMALL LETTER MU}',
            value=-1.0000000000000002e-300,
            at=datetime.fromisoformat("2262-04-11T23:47:16.854775+05:45"),
            route_id=uuid4(),
        )
        given = report(deployment, later(0.000001), sample(AT, 5), odd, sample(later(-0.123457), 1e308))

        await log.append(LogBatch(samples=[given]))

        assert await log.sample_reports([deployment], since=AT) == {deployment: [given]}

    async def test_reports_come_oldest_first_and_only_those_asked_for(self, log: RecorderEventLog) -> None:
        one, other = uuid4(), uuid4()
        mixed = [report(deployment, later(seconds)) for seconds in range(3) for deployment in (one, other)]
        await log.append(LogBatch(samples=mixed[:3]))
        await log.append(LogBatch(samples=mixed[3:]))

        assert await log.sample_reports([one, uuid4()], since=AT) == {one: mixed[::2]}
        assert await log.sample_reports([], since=AT) == {}

    async def test_what_was_received_or_taken_since_a_moment_comes(self, log: RecorderEventLog) -> None:
        deployment = uuid4()
        before, late, early = (
            report(deployment, later(-2), sample(later(-3))),
            report(deployment, AT, sample(later(-60))),
            report(deployment, later(-1), sample(later(-60)), sample(AT)),
        )
        await log.append(LogBatch(samples=[before, early, late]))

        assert await log.sample_reports([deployment], since=AT) == {deployment: [early, late]}

    async def test_of_each_deployment_so_many_come_and_those_are_the_newest(self, log: RecorderEventLog) -> None:
        ids = [uuid4(), uuid4()]
        reports = {key: [report(key, later(seconds)) for seconds in range(5)] for key in ids}
        await log.append(LogBatch(samples=[each for some in reports.values() for each in some]))

        found = await log.sample_reports(ids, since=AT, limit=2)

        assert found == {key: some[-2:] for key, some in reports.items()}

    async def test_as_many_deployments_as_there_are_come_at_once(self, log: RecorderEventLog) -> None:
        reports = [report(uuid4()) for _ in range(1201)]
        await log.append(LogBatch(samples=reports))

        found = await log.sample_reports([each.deployment_id for each in reports], since=AT)

        assert found == {each.deployment_id: [each] for each in reports}


class EvaluationsContract(LogFixtures):
    """Evaluations come back as far as rules remember."""

    async def test_an_evaluation_comes_back_as_it_was(self, log: RecorderEventLog) -> None:
        deployment = uuid4()
        full = EvaluationRecord(later(1), 2**40, later(-0.000001), 0, 5, 100_000, '{"é":null}', later(0.000001))
        empty = EvaluationRecord(later(2), 1, None, 3, None, 3, None)

        await log.append(LogBatch(evaluations=evaluations(deployment, full, empty)))

        assert await log.evaluations([deployment], since=AT) == {deployment: [full, empty]}

    async def test_before_the_moment_only_the_last_one_that_holds_memories_comes(self, log: RecorderEventLog) -> None:
        remembering, plain, nobody = uuid4(), uuid4(), uuid4()
        records = [record(later(s), memories=m) for s, m in [(-4, "{}"), (-3, '{"a":1}'), (-2, None), (-1, None)]]
        new = [record(AT), record(later(1), memories="{}")]
        await log.append(LogBatch(evaluations=evaluations(remembering, *records, *new)))
        await log.append(LogBatch(evaluations=evaluations(plain, *records[2:], new[0])))
        await log.append(LogBatch(evaluations=evaluations(nobody, records[3])))

        found = await log.evaluations([remembering, plain, nobody], since=AT)

        assert found == {remembering: [records[1], *new], plain: [new[0]]}

    async def test_they_come_in_the_order_of_their_time(self, log: RecorderEventLog) -> None:
        deployment = uuid4()
        first, second = record(AT, desired=1), record(later(1), desired=2)
        await log.append(LogBatch(evaluations=evaluations(deployment, second)))
        await log.append(LogBatch(evaluations=evaluations(deployment, first)))

        assert await log.evaluations([deployment], since=AT) == {deployment: [first, second]}

    async def test_those_of_a_time_come_with_the_last_memories_before_it(self, log: RecorderEventLog) -> None:
        deployment = uuid4()
        records = [record(later(s), memories=m) for s, m in [(-3, "{}"), (-2, None), (0, None), (1, "{}"), (2, None)]]
        seen = record(later(1))._replace(samples_until=later(0.5), resumed=True)
        await log.append(LogBatch(evaluations=evaluations(deployment, *records, seen)))

        found = await log.evaluations_between(deployment, since=AT, until=later(2), limit=10)
        first = await log.evaluations_between(deployment, since=AT, until=later(2), limit=1)

        assert found == [records[0], records[2], records[3], seen]
        assert first == [records[0], records[2]]

    async def test_reports_of_a_time_come_in_the_order_in_which_they_were_received(self, log: RecorderEventLog) -> None:
        deployment, early, late = uuid4(), later(-60), later(5)
        ahead = report(deployment, later(-1), sample(later(1)))
        reports = [report(deployment, late), ahead, report(deployment, early), report(deployment, later(1))]
        await log.append(LogBatch(samples=[*reports, report(uuid4(), AT)]))

        found = await log.sample_reports_between(deployment, since=AT, until=late, limit=10)

        assert found == [ahead, reports[3]]
        assert await log.sample_reports_between(deployment, since=AT, until=late, limit=1) == [ahead]


class BesideContract(LogFixtures):
    """What scaling keeps becomes true with the rest of its batch, or not at all."""

    async def test_it_is_written_with_the_rest_of_the_batch(self, log: RecorderEventLog) -> None:
        deployment = uuid4()
        batch = LogBatch(
            events=events(2, deployment),
            positions=[move(P0, None, 7)],
            samples=[report(deployment)],
            evaluations=evaluations(deployment, record()),
        )

        positions = await log.append(batch)

        assert [logged.position for logged in await log.stream(deployment)] == positions
        assert await kept(log, deployment) == ([report(deployment)], [record()])

    async def test_without_events_it_moves_positions_and_is_no_commit_of_the_log(self, log: RecorderEventLog) -> None:
        deployment = uuid4()
        batch = LogBatch(
            positions=[move(P0, None, 7)],
            samples=[report(deployment)],
            evaluations=evaluations(deployment, record()),
        )

        assert list(await log.append(batch)) == []

        assert (await log.positions([P0]))[P0].next == 7
        assert await log.position_at(FAR_FUTURE) == 0
        assert await kept(log, deployment) == ([report(deployment)], [record()])

    @pytest.mark.parametrize("reason", ["position", "position alone", "outcome", "version"])
    async def test_of_a_batch_that_is_refused_nothing_is_kept(self, log: RecorderEventLog, reason: str) -> None:
        taken, fresh = uuid4(), uuid4()
        await log.append(LogBatch(events=events(1, taken), positions=[move(P0, None, 1)], outcomes=[outcome("known")]))
        wrong, expected = {
            "position": (LogBatch(events=events(1), positions=[move(P0, 5, 6)]), PositionConflict),
            "position alone": (LogBatch(positions=[move(P1, None, 3), move(P0, 5, 6)]), PositionConflict),
            "outcome": (LogBatch(outcomes=[outcome("known")]), DuplicateCommands),
            "version": (LogBatch(events=[event(taken, 1)]), VersionConflict),
        }[reason]
        batch = LogBatch(
            events=wrong.events,
            positions=wrong.positions,
            outcomes=wrong.outcomes,
            samples=[report(fresh)],
            evaluations=evaluations(fresh, record()),
        )

        refusal = await error_of(log.append(batch))

        assert type(refusal) is expected
        assert await kept(log, fresh) == ((), ())
        assert {origin: place.next for origin, place in (await log.positions([P0, P1])).items()} == {P0: 1}

    async def test_of_two_who_move_the_same_position_one_keeps_samples_every_time(self, store: LogStore) -> None:
        logs, deployment, expected = [store.open(), store.open()], uuid4(), None

        for following in range(1, 26):
            batch = LogBatch(positions=[move(P0, expected, following)], samples=[report(deployment, later(following))])
            results = await asyncio.gather(*(log.append(batch) for log in logs), return_exceptions=True)
            assert sorted(isinstance(result, PositionConflict) for result in results) == [False, True]
            expected = following

        reports, _ = await kept(logs[0], deployment)
        assert [each.received_at for each in reports] == [later(number) for number in range(1, 26)]


class ScalingDeploymentsContract(LogFixtures):
    """The log says whose rules may be evaluated."""

    async def test_who_scales_is_told_by_partition_whether_due_or_not(self, log: RecorderEventLog) -> None:
        due_too, not_due, other, plain = uuid4(), uuid4(), uuid4(), uuid4()
        work = [
            due(due_too, 1, AT, 3, scales=True),
            due(not_due, 1, None, 7, scales=True),
            due(other, 1, None, 2, scales=True),
            due(plain, 1, AT, 3),
        ]
        await log.append(LogBatch(events=events(1), due=work))

        assert set(await log.scaling_deployments(partitions=[3, 0], of=4)) == {due_too, not_due}
        assert list(await log.scaling_deployments(partitions=[], of=4)) == []
        found = await log.due_work(partitions=[3], of=4, until=FAR_FUTURE)
        assert {each.deployment_id: each for each in found} == {due_too: work[0], plain: work[3]}

    async def test_the_newest_version_says_whether_it_scales(self, log: RecorderEventLog) -> None:
        begins, ends, goes = uuid4(), uuid4(), uuid4()
        await log.append(LogBatch(events=events(1), due=[due(begins, 2), due(ends, 2, scales=True)]))
        await log.append(LogBatch(events=events(1), due=[due(goes, 2, None, scales=True)]))

        newer = [due(begins, 3, None, scales=True), due(ends, 3), due(goes, 3, None)]
        await log.append(LogBatch(events=events(1), due=newer))
        await log.append(LogBatch(events=events(1), due=[due(begins, 2), due(ends, 2, scales=True)]))

        assert list(await log.scaling_deployments(partitions=[0], of=1)) == [begins]
