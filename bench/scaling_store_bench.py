"""How many evaluations and reports of samples a second the event store records, in batches as a worker commits them.

SQLite in a new file, and PostgreSQL where its address is given. Run it from the repository::

    python -m bench.scaling_store_bench [--postgres postgresql://…] [--seconds 2] [--batch 500]
"""

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from uuid import UUID, uuid4

from adapters.event_store.event_log import RecorderEventLog, open_sqlite_log
from adapters.event_store.postgres_log import open_postgres_log
from adapters.postgres.address import PostgresAddress
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.record import EvaluationRecord
from domain.autoscaling.samples import MetricSample
from handlers.ports import DeploymentEvaluation, LogBatch, Retained, SampleReport

DEPLOYMENTS = [uuid4() for _ in range(10_000)]
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
MEMORIES = '{"panic":{"kind":"panic","since":"2026-03-02T12:00:00Z","peak":9,"recent":[["2026-03-02T12:00:00Z",9]]}}'


def evaluation(deployment: UUID, at: datetime) -> DeploymentEvaluation:
    """An evaluation; every fourth deployment's rules remember something."""
    memories = MEMORIES if deployment.int % 4 == 0 else None
    return DeploymentEvaluation(deployment, EvaluationRecord(at, 12, at, 3, 4, 4, memories))


def report(deployment: UUID, at: datetime) -> SampleReport:
    """A report of ten samples, one for each of as many routes."""
    samples = [
        MetricSample(source=MetricSource.KERNEL, metric="gpu_utilization", value=0.1 * n, at=at, route_id=UUID(int=n))
        for n in range(10)
    ]
    return SampleReport(deployment_id=deployment, received_at=at, samples=samples)


def batches(kind: str, size: int) -> Iterator[LogBatch]:
    """Batches without end, over all deployments again and again."""
    at = START
    while True:
        for start in range(0, len(DEPLOYMENTS), size):
            some = DEPLOYMENTS[start : start + size]
            if kind == "evaluations":
                yield LogBatch(evaluations=[evaluation(each, at) for each in some])
            else:
                yield LogBatch(samples=[report(each, at) for each in some])
        at += timedelta(seconds=15)


async def recorded(log: RecorderEventLog, kind: str, size: int, seconds: float) -> float:
    """Rows a second that were committed; making the batches does not count."""
    rows, busy = 0, 0.0
    for batch in batches(kind, size):
        begun = perf_counter()
        await log.append(batch)
        busy += perf_counter() - begun
        rows += len(batch.evaluations) + len(batch.samples)
        if busy > seconds:
            return rows / busy
    return 0.0


async def restored(log: RecorderEventLog) -> float:
    """Deployments a second whose evaluations are read, as after a restart."""
    begun = perf_counter()
    await log.evaluations(DEPLOYMENTS, since=START)
    return len(DEPLOYMENTS) / (perf_counter() - begun)


async def pruned(log: RecorderEventLog, what: Retained) -> float:
    """Rows a second that are deleted, 5,000 in a transaction."""
    begun, rows = perf_counter(), 0
    while some := await log.prune(what, before=START + timedelta(days=9999), limit=5000):
        rows += some
    return rows / (perf_counter() - begun)


async def measure(name: str, log: RecorderEventLog, size: int, seconds: float) -> None:
    """Print a row of the table."""
    evaluations = await recorded(log, "evaluations", size, seconds)
    reports = await recorded(log, "samples", size, seconds)
    reading = await restored(log)
    gone = [await pruned(log, what) for what in (Retained.EVALUATIONS, Retained.SAMPLES)]
    print(f"{name:12}" + "".join(f"{value:>14,.0f}" for value in (evaluations, reports, reading, *gone)))


async def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--postgres", help="the address of a database; a schema is made in it and stays")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--batch", type=int, default=500)
    given = parser.parse_args()
    print(
        "rows/s      " + "".join(f"{each:>14}" for each in ("evaluations", "reports", "restored", "- eval.", "- rep."))
    )
    with tempfile.TemporaryDirectory() as folder, closing(open_sqlite_log(Path(folder) / "log.db")) as log:
        await measure("SQLite", log, given.batch, given.seconds)
    if given.postgres:
        schema = f"bench_{uuid4().hex}"
        with closing(open_postgres_log(PostgresAddress(given.postgres), schema=schema)) as log:
            await measure("PostgreSQL", log, given.batch, given.seconds)


if __name__ == "__main__":
    asyncio.run(main())
