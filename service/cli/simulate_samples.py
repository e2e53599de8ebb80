"""Samples for a simulation that come from elsewhere than the log."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import typer

from adapters.prometheus import PrometheusQueries
from adapters.sample_csv import read_samples
from domain.autoscaling.metric import MetricSource
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.samples import MetricSample
from domain.simulation.recorded import SampleArrival
from service.cli.errors import NoSamples
from service.cli.moments import now
from service.prometheus import open_prometheus
from service.settings import Settings

#: Most steps that are asked for at a time (count): Prometheus gives 11,000 points of a series at most.
_STEPS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSource:
    """A file, or Prometheus at an address with queries (``METRIC=QUERY``), every so many seconds."""

    file: Path | None
    prometheus: str | None
    queries: Sequence[str]
    step_seconds: float

    @property
    def is_given(self) -> bool:
        """Whether there is any."""
        return self.file is not None or self.prometheus is not None


def arrivals_of(
    source: SampleSource,
    policies: Sequence[ScalingPolicy],
    settings: Settings,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> Sequence[SampleArrival]:
    """Read at most ``limit`` samples (count) and let each arrive when it was taken. Raises :class:`NoSamples`."""
    if (source.file is None) == (source.prometheus is None):
        raise typer.BadParameter("give one of --deployment, --samples and --prometheus")
    if source.file is not None:
        samples: Sequence[MetricSample] = read_samples(source.file, limit=limit)
    else:
        if since is None:
            raise typer.BadParameter("--from has to be given with --prometheus")
        samples = asyncio.run(_asked(source, policies, settings, since, until or now(), limit))
    inside = [s for s in samples if (since is None or s.at >= since) and (until is None or s.at < until)]
    if not inside:
        raise NoSamples("there are no samples in this time")
    return [SampleArrival(at, list(some)) for at, some in groupby(inside, key=lambda sample: sample.at)]


async def _asked(
    source: SampleSource,
    policies: Sequence[ScalingPolicy],
    settings: Settings,
    since: datetime,
    until: datetime,
    limit: int,
) -> Sequence[MetricSample]:
    queries = _queries(source.queries, policies)
    steps = int((until - since).total_seconds() / source.step_seconds) + 1
    if steps * len(queries) > limit:
        raise NoSamples(f"{len(queries)} queries at {steps} steps are more than {limit}: raise the limit, or --step")
    prometheus = open_prometheus(replace(settings.prometheus, url=source.prometheus))
    if prometheus is None:
        raise typer.BadParameter("--prometheus has to be an address")
    found: list[MetricSample] = []
    try:
        for metric, query in queries.items():
            found += await _measured(prometheus, metric, query, since, until, source.step_seconds)
    finally:
        await prometheus.close()
    if len(found) > limit:
        raise NoSamples(f"Prometheus gave {len(found)} samples, more than {limit}: raise the limit, or --step")
    return sorted(found, key=lambda sample: sample.at)


async def _measured(
    prometheus: PrometheusQueries, metric: str, query: str, since: datetime, until: datetime, step: float
) -> Sequence[MetricSample]:
    samples = []
    for begin, end in _spans(since, until, step):
        for each in await prometheus.ask_range(query, begin, end, step):
            about = {"value": each.value, "at": each.at, "route_id": each.route_id}
            samples.append(MetricSample.model_validate({"source": MetricSource.PROMETHEUS, "metric": metric, **about}))
    return samples


def _spans(since: datetime, until: datetime, step: float) -> Iterator[tuple[datetime, datetime]]:
    length, one = timedelta(seconds=step * _STEPS_AT_ONCE), timedelta(seconds=step)
    while since < until:
        yield since, min(since + length - one, until)
        since += length


def _queries(given: Sequence[str], policies: Sequence[ScalingPolicy]) -> Mapping[str, str]:
    """What to ask for each metric: as given, else as the rules say."""
    queries = {metric: query for policy in policies for metric, query in policy.queries.items()}
    for text in given:
        metric, equals, query = text.partition("=")
        if not equals or not metric.isidentifier():
            if len(queries) != 1:
                raise typer.BadParameter(f"--query {text!r} does not say for which metric: give METRIC=QUERY")
            metric, query = next(iter(queries)), text
        queries[metric] = query
    if not queries:
        raise typer.BadParameter("no rule has a query, so --query METRIC=QUERY has to be given")
    return queries
