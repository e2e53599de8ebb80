"""How many evaluations a second there are with every one of them recorded durably, and what each costs.

Runs the whole way of an evaluation in one process: executor, repository, engine, decider and event log, for deployments
of ten replicas with one sample each, in batches. Run it from the top of the project::

    python -m bench.recorded_evaluations_bench [--postgres URL] [--deployments 1000 10000] [--rules 3]
    python -m bench.recorded_evaluations_bench --deployments 100000 --rules 3

The second one is what a single worker is meant to hold, and takes some minutes. Without ``--postgres`` the log is an
SQLite file. The last column is the processor's time, which neighbours on the machine disturb least: the cost of one
evaluation must not grow with the number of deployments.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from uuid import UUID

from pydantic import SecretStr

from adapters.app_proxy import AppProxyClientPool
from domain import commands as c
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.target_tracking import TargetTrackingRule
from domain.chunks import chunks
from domain.deployment import Deployment
from domain.operations import Operation
from domain.revision import Revision
from domain.routes import RouteStatus
from handlers.ports import DeadLetters, EventLog, SampleReport
from handlers.records import PartitionId, ReceivedRecord, Refusal
from service.bootstrap import ControlPlane, assemble
from service.garbage import look_for_garbage_seldom
from service.settings import DatabaseSettings, Settings
from service.stores import stores_of

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
REPLICAS, BATCH, ROUNDS = 10, 500, 5
METRICS = ("latency", "queue", "memory")


class _Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


class _NothingRefused(DeadLetters):
    async def send(self, refused: Sequence[tuple[ReceivedRecord, Refusal]]) -> None:
        raise AssertionError(refused)


@asynccontextmanager
async def plane_over(log: EventLog, clock: _Clock, settings: Settings) -> AsyncIterator[ControlPlane]:
    """A control plane that owns everything, with its decider running."""
    pool = AppProxyClientPool()
    plane = assemble(
        settings,
        event_log=log,
        dead_letters=_NothingRefused(),
        client_pool=pool,
        proxy_targets={},
        partitions=1,
        clock=clock,
    )
    plane.ownership.gain([PartitionId(settings.kafka.topics.commands, "1", 0)])
    decider = asyncio.create_task(plane.decider.run())
    yield plane
    decider.cancel()
    await asyncio.gather(decider, return_exceptions=True)
    await pool.close()


def policy(rules: int) -> ScalingPolicy:
    """Target tracking of so many metrics."""
    return ScalingPolicy(
        rules=tuple(
            TargetTrackingRule(name=metric, source=MetricSource.KERNEL, metric=metric, target=300)
            for metric in METRICS[:rules]
        ),
        max_replicas=100,
    )


async def populate(plane: ControlPlane, ids: Sequence[UUID], rules: int) -> None:
    """Deployments with healthy replicas and a sample of each metric of each."""
    revision = Revision(revision_id=UUID(int=7), image="image:1", model="llama")
    for some in chunks(ids, BATCH):
        create: list[c.AnyCommand] = []
        for key in some:
            create.append(
                c.CreateDeployment(
                    deployment_id=key,
                    name=f"d{key.int}",
                    resource_group="g",
                    domain="default",
                    project=UUID(int=2),
                    owner=UUID(int=3),
                    target_revision=revision,
                    replica_count=REPLICAS,
                    scaling_policy=policy(rules),
                )
            )
            create.append(c.RecordEndpointRegistered(deployment_id=key, url="http://proxy/"))
            create.append(c.ScaleOut(deployment_id=key, count=REPLICAS, revision_id=revision.revision_id))
        await plane.decider.execute(create, "bench")
        states = await plane.decider.load(some)
        await plane.decider.execute([_healthy(states[key]) for key in some], "bench")
        await plane.decider.take_samples([_samples(states[key], rules) for key in some])


def _healthy(state: Deployment) -> c.ReportRoutes:
    reports = tuple(c.RouteReport(route_id=key, status=RouteStatus.HEALTHY) for key in state.routes)
    return c.ReportRoutes(deployment_id=state.id, reports=reports)


def _samples(state: Deployment, rules: int) -> SampleReport:
    samples = [
        MetricSample(source=MetricSource.KERNEL, metric=metric, value=270.0 + place * 5, at=START, route_id=route)
        for place, route in enumerate(state.routes)
        for metric in METRICS[:rules]
    ]
    return SampleReport(deployment_id=state.id, received_at=START, samples=samples)


async def measure(log: EventLog, settings: Settings, ids: Sequence[UUID], rules: int) -> tuple[float, float]:
    """Evaluations a second, and microseconds of the processor for each."""
    clock = _Clock()
    async with plane_over(log, clock, settings) as plane:
        await populate(plane, ids, rules)
        spent = elapsed = 0.0
        for turn in range(ROUNDS + 1):
            clock.now = START + timedelta(seconds=turn)
            begun, busy = perf_counter(), process_time()
            for some in chunks(ids, BATCH):
                states = await plane.decider.load(some)
                await plane.reconciliation.run(Operation.CALCULATE, [states[key] for key in some])
            # The first round reads what is stored and records the first reasons.
            if turn:
                elapsed, spent = elapsed + perf_counter() - begun, spent + process_time() - busy
        recorded = await log.evaluations(ids[:1], since=START)
        if len(recorded[ids[0]]) != ROUNDS + 1:
            raise AssertionError(f"{len(recorded[ids[0]])} evaluations recorded, not {ROUNDS + 1}")
        count = ROUNDS * len(ids)
        return count / elapsed, spent / count * 1e6


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", help="the database to use, as postgresql://user:password@host:port/name")
    parser.add_argument("--deployments", type=int, nargs="+", default=[1_000, 10_000], help="how many, one run each")
    parser.add_argument("--rules", type=int, default=1, choices=range(1, len(METRICS) + 1), help="rules of each")
    options = parser.parse_args()
    # As a worker does.
    look_for_garbage_seldom()
    print(f"recorded evaluations, {options.rules} rule(s), {REPLICAS} replicas, batches of {BATCH}")
    print(f"{'deployments':>12}{'a second':>12}{'CPU µs each':>14}")
    for number in options.deployments:
        with tempfile.TemporaryDirectory() as folder:
            database = DatabaseSettings()
            if options.postgres:
                database = DatabaseSettings(url=SecretStr(options.postgres), log_schema=f"bench_{number}")
            settings = Settings(data_dir=Path(folder), database=database)
            log = stores_of(settings).open_log()
            ids = [UUID(int=place) for place in range(1, number + 1)]
            rate, cost = await measure(log, settings, ids, options.rules)
            log.close()
        print(f"{number:>12,}{rate:>12,.0f}{cost:>14.1f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
