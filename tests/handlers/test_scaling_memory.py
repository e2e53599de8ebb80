"""What autoscaling remembers: the same as the log's tables say, whenever it began to listen."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from domain.autoscaling.record import EvaluationRecord
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.samples import MetricSample
from domain.deployment import Deployment, Lifecycle
from handlers.backoff import Backoff
from handlers.ports import EventLog, LogUnavailable, SampleReport
from handlers.scaling_memory import ScalingMemory, ScalingMemoryLimits
from tests.executor_doubles import a_deployment
from tests.executor_world import QUEUE_RULE
from tests.set_clock import SetClock

POLICY = ScalingPolicy(rules=(QUEUE_RULE,))


class Stored:
    """The tables beside the log; while ``may_answer`` is not set, nobody gets an answer."""

    def __init__(self) -> None:
        self.reports: list[SampleReport] = []
        self.records: list[EvaluationRecord] = []
        self.reads: list[list[UUID]] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.failures = 0

    async def sample_reports(self, ids: Collection[UUID], *, since: datetime) -> Mapping[UUID, Sequence[SampleReport]]:
        self.reads.append(sorted(ids))
        if len(self.reads) <= self.failures:
            raise LogUnavailable("away")
        found = {key: [r for r in self.reports if r.deployment_id == key and r.received_at >= since] for key in ids}
        self.asked.set()
        await self.may_answer.wait()
        return found

    async def evaluations(self, ids: Collection[UUID], *, since: datetime) -> Mapping[UUID, Sequence[EvaluationRecord]]:
        return {key: [record for record in self.records if record.at >= since] for key in ids}

    def memory(self, **limits: int) -> ScalingMemory:
        return ScalingMemory(
            cast("EventLog", self), clock=SetClock(), limits=ScalingMemoryLimits(**limits), backoff=Backoff(base=0)
        )


def ruled(number: int = 1) -> Deployment:
    return replace(a_deployment(number), lifecycle=Lifecycle.READY, scaling_policy=POLICY)


def report(deployment: Deployment, value: float, *, ago: float = 0.0, metric: str = QUEUE_RULE.metric) -> SampleReport:
    at = SetClock.now - timedelta(seconds=ago)
    sample = MetricSample(source=QUEUE_RULE.source, metric=metric, value=value, at=at)
    return SampleReport(deployment_id=deployment.id, received_at=at, samples=(sample,))


def values(memory: ScalingMemory, deployment: Deployment) -> tuple[float, ...]:
    windows = memory.windows(deployment).of(QUEUE_RULE.source, QUEUE_RULE.metric)
    return tuple(value for window in windows.values() for value in window.values)


async def test_samples_from_before_a_restart_count() -> None:
    stored, state = Stored(), ruled()
    stored.reports = [report(state, 5, ago=20), report(state, 7, ago=10)]
    memory = stored.memory()

    await memory.restore([state])

    assert values(memory, state)[-1] == 7


async def test_samples_that_arrive_while_the_others_are_read_are_not_lost() -> None:
    stored, state = Stored(), ruled()
    stored.may_answer.clear()
    memory = stored.memory()
    restoring = asyncio.create_task(memory.restore([state]))
    await stored.asked.wait()

    assert memory.add(report(state, 9))
    stored.may_answer.set()
    await restoring

    assert values(memory, state) == (9,)


async def test_what_was_read_before_everything_was_forgotten_is_read_again() -> None:
    stored, state = Stored(), ruled()
    stored.may_answer.clear()
    memory = stored.memory()
    restoring = asyncio.create_task(memory.restore([state]))
    await stored.asked.wait()

    memory.clear()
    stored.reports = [report(state, 3)]
    stored.may_answer.set()
    await restoring

    assert values(memory, state) == (3,)


async def test_a_log_that_is_away_is_asked_until_it_answers() -> None:
    stored, state = Stored(), ruled()
    stored.failures = 3
    stored.reports = [report(state, 4)]
    memory = stored.memory()

    await memory.restore([state])

    assert (values(memory, state), len(stored.reads)) == ((4,), 4)


async def test_samples_that_come_twice_or_that_no_rule_looks_at_are_no_news() -> None:
    stored, state = Stored(), ruled()
    memory = stored.memory()
    await memory.restore([state])

    assert memory.add(report(state, 9))
    assert not memory.add(report(state, 9))
    assert not memory.add(report(state, 9, metric="something else"))


async def test_another_policy_makes_the_log_be_read_again_and_the_same_one_does_not() -> None:
    stored, state = Stored(), ruled()
    memory = stored.memory()
    await memory.restore([state])
    await memory.restore([replace(state, scaling_policy=ScalingPolicy(rules=(QUEUE_RULE,)))])
    assert len(stored.reads) == 1

    other = QUEUE_RULE.model_copy(update={"metric": "latency"})
    await memory.restore([replace(state, scaling_policy=ScalingPolicy(rules=(other,)))])

    assert len(stored.reads) == 2


async def test_of_too_many_deployments_those_evaluated_longest_ago_are_read_again_when_needed() -> None:
    stored = Stored()
    memory = stored.memory(deployments=2)
    states = [ruled(number) for number in (1, 2, 3)]
    for state in states:
        await memory.restore([state])

    await memory.restore(states[1:])
    assert len(stored.reads) == 3
    await memory.restore(states[:1])

    assert stored.reads[3:] == [[states[0].id]]


async def test_recommendations_of_the_last_window_survive_a_restart() -> None:
    stored, state = Stored(), ruled()
    at = SetClock.now - timedelta(seconds=30)
    stored.records = [EvaluationRecord(at, 3, at, 9, 9, 9, None)]
    memory = stored.memory()

    await memory.restore([state])

    highest = memory.history(state.id).highest(SetClock.now, 300)
    assert highest is not None
    assert highest.replicas == 9


async def test_an_evaluation_that_comes_to_no_end_is_due_again_soon() -> None:
    stored, state = Stored(), ruled()
    memory = stored.memory()

    await memory.restore([state])

    assert memory.due_at(state.id) == SetClock.now + timedelta(seconds=1)
