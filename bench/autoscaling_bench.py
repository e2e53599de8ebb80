"""How many evaluations the autoscaling engine makes in a second, and what it remembers of a deployment.

Pure computing in one process: no broker, no database, no clock but the one that measures. Run it from the repository::

    python bench/autoscaling_bench.py [--seconds 2] [--deployments 2000]
"""

import argparse
import gc
import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from domain.autoscaling.engine import ScalingInput, evaluate
from domain.autoscaling.history import ScalingHistory
from domain.autoscaling.rules import (
    Comparator,
    MetricSource,
    RequestDrivenRule,
    ScaleToZeroRule,
    ScalingPolicy,
    ScalingRule,
    ScheduleRule,
    StepRule,
    TargetTrackingRule,
    WindowWithPanicRule,
)
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.window import SampleWindows
from domain.routes import Route, RouteStatus

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
REPLICAS = 10
KERNEL = MetricSource.KERNEL

TRACKING = TargetTrackingRule(name="latency", source=KERNEL, metric="latency", target=300, unit="ms")
STEP = StepRule(
    name="queue", source=KERNEL, metric="latency", comparator=Comparator.GREATER_THAN, threshold=900, step=1
)
RULES: dict[str, tuple[ScalingRule, ...]] = {
    "target tracking": (TRACKING,),
    "step": (STEP,),
    "window with panic": (WindowWithPanicRule(name="kpa", source=KERNEL, metric="latency", target=420),),
    "request-driven": (RequestDrivenRule(name="ray", source=KERNEL, metric="latency", target_ongoing_requests=300),),
    "schedule": (
        ScheduleRule(name="day", time_zone="Europe/Berlin", start="0 8 * * 1-5", end="0 20 * * 1-5", floor=10),
    ),
    "target tracking + step + scale to zero": (
        TRACKING,
        STEP,
        ScaleToZeroRule(name="zero", source=KERNEL, metric="latency"),
    ),
}


def routes() -> list[Route]:
    """Ten healthy replicas."""
    return [
        Route(
            id=UUID(int=number),
            revision_id=UUID(int=0),
            status=RouteStatus.HEALTHY,
            traffic_ratio=1.0,
            created_at=START,
            status_since=START,
        )
        for number in range(1, REPLICAS + 1)
    ]


def samples(at: datetime) -> list[MetricSample]:
    """One sample of each replica."""
    return [
        MetricSample(source=KERNEL, metric="latency", value=270.0 + number * 5, at=at, route_id=UUID(int=number))
        for number in range(1, REPLICAS + 1)
    ]


class Rate(NamedTuple):
    """How often something was done in a second that passed, and in a second that the processor spent on it."""

    wall: float
    processor: float

    def times(self, many: int) -> "Rate":
        """The same for each of many."""
        return Rate(self.wall * many, self.processor * many)


def measured(step: Callable[[int], object], seconds: float) -> Rate:
    """How often ``step`` can be done; it is given the number of the turn."""
    turns, begun, spent = 0, perf_counter(), process_time()
    while (elapsed := perf_counter() - begun) < seconds:
        for _ in range(100):
            step(turns)
            turns += 1
    return Rate(turns / elapsed, turns / (process_time() - spent))


def rate(rules: tuple[ScalingRule, ...], seconds: float) -> Rate:
    """Evaluations for one deployment whose time goes on, with its history."""
    policy = ScalingPolicy(rules=rules, min_replicas=0, max_replicas=100)
    replicas, windows = routes(), SampleWindows().added(samples(START), START, policy.window_limits)
    history = ScalingHistory()

    def step(turn: int) -> None:
        nonlocal history
        now = START + timedelta(milliseconds=turn % 100_000)
        given = ScalingInput(current=REPLICAS, routes=replicas, samples=windows, history=history)
        history = evaluate(policy, given, now).history

    return measured(step, seconds)


def intake_rate(seconds: float) -> Rate:
    """Samples that find their place in the windows, in reports of ten."""
    policy = ScalingPolicy(rules=RULES["window with panic"])
    limits, windows = policy.window_limits, SampleWindows()
    reports = [samples(START + timedelta(seconds=second)) for second in range(600)]

    def step(turn: int) -> None:
        nonlocal windows
        windows = windows.added(reports[turn % 600], START + timedelta(seconds=600), limits)

    return measured(step, seconds).times(REPLICAS)


def memory(rules: tuple[ScalingRule, ...], deployments: int) -> float:
    """Bytes that are kept of one deployment: its windows and its history, after ten minutes of samples each second."""
    policy = ScalingPolicy(rules=rules, max_replicas=100)
    limits, replicas = policy.window_limits, routes()
    kept: list[tuple[SampleWindows, ScalingHistory]] = []
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(deployments):
        windows, history = SampleWindows(), ScalingHistory()
        for second in range(0, 600, 10):
            now = START + timedelta(seconds=second)
            windows = windows.added(samples(now), now, limits)
            given = ScalingInput(current=REPLICAS, routes=replicas, samples=windows, history=history)
            history = evaluate(policy, given, now).history
        kept.append((windows, history))
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / len(kept)


def show(name: str, found: Rate) -> None:
    """Print one line."""
    print(f"  {name:<42}{found.wall:>18,.0f}{found.processor:>14,.0f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to measure each rate")
    parser.add_argument("--deployments", type=int, default=50, help="over how many deployments to average memory")
    options = parser.parse_args()
    print(f"evaluations in one process, {REPLICAS} replicas{'a second':>23}{'a CPU second':>14}")
    for name, rules in RULES.items():
        show(name, rate(rules, options.seconds))
    show("samples into windows", intake_rate(options.seconds))
    print("bytes kept of a deployment, windows and history")
    for name, rules in RULES.items():
        print(f"  {name:<40} {memory(rules, options.deployments):>10,.0f}")


if __name__ == "__main__":
    main()
