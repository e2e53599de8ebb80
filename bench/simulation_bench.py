"""How many evaluations a second a simulation makes where rules are tried on samples.

python bench/simulation_bench.py
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path
from time import perf_counter
from typing import Final
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from domain.autoscaling.metric import Comparator, MetricSource
from domain.autoscaling.rules import ScalingPolicy, ScalingRule
from domain.autoscaling.samples import MetricSample
from domain.autoscaling.step import StepRule
from domain.autoscaling.target_tracking import TargetTrackingRule, TargetType
from domain.autoscaling.window_with_panic import WindowWithPanicRule
from domain.simulation.recorded import SampleArrival
from domain.simulation.simulate import tried_before_deploying

BEGIN: Final = datetime(2026, 3, 1, tzinfo=UTC)
HOURS: Final = 24
EVERY: Final = 15
ROUTES: Final = [UUID(int=number) for number in range(1, 9)]
SOURCE: Final = MetricSource.INFERENCE_FRAMEWORK
RULES: Final[dict[str, ScalingRule]] = {
    "target tracking of the whole": TargetTrackingRule(
        name="queue", source=SOURCE, metric="queue", target=10, target_type=TargetType.TOTAL_AVERAGE
    ),
    "window with panic": WindowWithPanicRule(name="queue", source=SOURCE, metric="queue", target=10),
    "target tracking per replica": TargetTrackingRule(
        name="util", source=MetricSource.KERNEL, metric="util", target=50
    ),
    "step": StepRule(
        name="util",
        source=MetricSource.KERNEL,
        metric="util",
        comparator=Comparator.GREATER_THAN,
        threshold=80,
        step=1,
        cooldown_seconds=60,
    ),
}


def day() -> Sequence[SampleArrival]:
    """A day of a queue and of the load of eight replicas."""
    arrivals = []
    for second in range(0, HOURS * 3600, EVERY):
        at, wave = BEGIN + timedelta(seconds=second), 0.5 + 0.5 * sin(second / 3600)
        whole = MetricSample(source=SOURCE, metric="queue", value=100 * wave, at=at)
        each = [
            MetricSample(source=MetricSource.KERNEL, metric="util", value=(number + 1) * 10 * wave, at=at, route_id=key)
            for number, key in enumerate(ROUTES)
        ]
        arrivals.append(SampleArrival(at, [whole, *each]))
    return arrivals


def main() -> None:
    """Try each kind of rule on the same day."""
    arrivals, end = day(), BEGIN + timedelta(hours=HOURS)
    print(f"{HOURS} h of samples every {EVERY} s, of the whole and of {len(ROUTES)} replicas")
    for name, rule in RULES.items():
        policy = ScalingPolicy(rules=(rule,), min_replicas=1, max_replicas=20)
        begun = perf_counter()
        found = tried_before_deploying("bench", 8, arrivals, policy, BEGIN, end)
        seconds = perf_counter() - begun
        made = found.course.evaluations
        print(f"{name:30} {made:6d} evaluations, {made / seconds:8,.0f}/s, {HOURS * 3600 / seconds:9,.0f} × real time")


if __name__ == "__main__":
    main()
