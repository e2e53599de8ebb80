"""For how long every event store must keep what is no event; see ``event_log_contract``."""

from datetime import timedelta
from uuid import uuid4

from adapters.event_store.event_log import RecorderEventLog
from handlers.ports import LogBatch, Retained
from tests.adapters.event_log_scaling_support import evaluations, kept, later, record, report, sample
from tests.adapters.event_log_support import AT, FAR_FUTURE, LogFixtures, LogStore, events, outcome


class RetentionContract(LogFixtures):
    """What is old goes, oldest first and so many rows at a time, and it is said what may be missing."""

    async def test_a_log_that_was_never_pruned_has_no_horizons(self, log: RecorderEventLog) -> None:
        assert await log.horizons() == {}
        assert [await log.prune(what, before=FAR_FUTURE, limit=10) for what in Retained] == [0, 0, 0]
        assert await log.horizons() == {}

    async def test_samples_go_by_when_they_were_received(self, log: RecorderEventLog) -> None:
        deployment = uuid4()
        reports = [report(deployment, later(seconds), sample(later(100 - seconds))) for seconds in range(5)]
        await log.append(LogBatch(samples=reports))

        deleted = [await log.prune(Retained.SAMPLES, before=later(3), limit=2) for _ in range(3)]

        assert deleted == [2, 1, 0]
        assert await kept(log, deployment) == (reports[3:], ())
        assert await log.horizons() == {Retained.SAMPLES: later(3)}

    async def test_evaluations_go_and_a_horizon_never_goes_back(self, log: RecorderEventLog) -> None:
        deployment = uuid4()
        records = [record(later(seconds), memories="{}") for seconds in range(5)]
        await log.append(LogBatch(evaluations=evaluations(deployment, *records)))

        assert await log.prune(Retained.EVALUATIONS, before=later(3), limit=10) == 3
        await log.append(LogBatch(evaluations=evaluations(deployment, records[0])))
        assert await log.prune(Retained.EVALUATIONS, before=later(1), limit=10) == 1

        assert await kept(log, deployment) == ((), records[3:])
        assert await log.horizons() == {Retained.EVALUATIONS: later(3)}

    async def test_outcomes_go_so_that_their_commands_would_be_new(
        self, store: LogStore, log: RecorderEventLog
    ) -> None:
        await log.append(LogBatch(outcomes=[outcome(str(number)) for number in range(5)]))

        assert await log.prune(Retained.OUTCOMES, before=AT - timedelta(days=9999), limit=10) == 0
        assert await log.prune(Retained.OUTCOMES, before=FAR_FUTURE, limit=3) == 3

        assert len(store.outcomes()) == 2
        assert await log.horizons() == {Retained.OUTCOMES: FAR_FUTURE}
        await log.prune(Retained.OUTCOMES, before=FAR_FUTURE, limit=3)
        await log.append(LogBatch(outcomes=[outcome("0")]))

    async def test_events_themselves_never_go(self, log: RecorderEventLog) -> None:
        await log.append(LogBatch(events=events(3), outcomes=[outcome("one")]))

        for what in Retained:
            await log.prune(what, before=FAR_FUTURE, limit=10)

        assert len(await log.read(after=0, limit=10)) == 3
