"""The event store on PostgreSQL keeps the contracts of every event store."""

from collections.abc import Iterator

import pytest

from tests.adapters.event_log_contract import AppendContract, OutcomeContract, PositionContract, RaceContract
from tests.adapters.event_log_crash_contract import CrashContract
from tests.adapters.event_log_reading_contract import (
    CommitTimeContract,
    DueWorkContract,
    FollowerContract,
    ReadContract,
    UnknownEventContract,
)
from tests.adapters.event_log_retention_contract import RetentionContract
from tests.adapters.event_log_scaling_contract import (
    BesideContract,
    EvaluationsContract,
    SamplesContract,
    ScalingDeploymentsContract,
)
from tests.adapters.postgres_store import PostgresStore


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    yield store
    store.close()


class TestAppending(AppendContract):
    pass


class TestPositions(PositionContract):
    pass


class TestOutcomes(OutcomeContract):
    pass


class TestRaces(RaceContract):
    pass


class TestReading(ReadContract):
    pass


class TestUnknownEvents(UnknownEventContract):
    pass


class TestCommitTimes(CommitTimeContract):
    pass


class TestDueWork(DueWorkContract):
    pass


class TestFollowers(FollowerContract):
    pass


class TestCrashes(CrashContract):
    pass


class TestSamples(SamplesContract):
    pass


class TestEvaluations(EvaluationsContract):
    pass


class TestBeside(BesideContract):
    pass


class TestScalingDeployments(ScalingDeploymentsContract):
    pass


class TestRetention(RetentionContract):
    pass
