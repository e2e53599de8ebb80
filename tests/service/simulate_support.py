"""What the tests of ``routekeeper simulate`` simulate: rules, samples, and a deployment that was scaled."""

from math import sin
from pathlib import Path
from typing import Any
from uuid import UUID

from domain.autoscaling.metric import MetricSource
from domain.autoscaling.rules import ScalingPolicy
from domain.autoscaling.target_tracking import TargetTrackingRule, TargetType
from tests.executor_world import is_ready, world_of
from tests.set_clock import SetClock

D1 = UUID(int=0)
FROM, TO = "2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z"


def policy(target: float, **about: Any) -> ScalingPolicy:  # noqa: ANN401 - as the policy takes it
    """So much of the queue for each replica."""
    source = about.pop("source", MetricSource.INFERENCE_FRAMEWORK)
    query = about.pop("query", None)
    rule = TargetTrackingRule(
        name="queue", source=source, metric="queue", target=target, target_type=TargetType.TOTAL_AVERAGE, query=query
    )
    return ScalingPolicy.model_validate({"rules": [rule], "min_replicas": 1, "max_replicas": 20, **about})


def rules(folder: Path, name: str, wanted: ScalingPolicy) -> str:
    """A file that holds a policy."""
    file = folder / name
    file.write_text(wanted.model_dump_json())
    return str(file)


def samples(folder: Path) -> str:
    """An hour of a queue that grows and shrinks."""
    lines = [f"{SetClock.now.timestamp() + at},queue,{30 + 25 * sin(at / 500):.2f}" for at in range(0, 3600, 15)]
    file = folder / "load.csv"
    file.write_text("\n".join(["time,metric,value", *lines]))
    return str(file)


async def live(folder: Path) -> None:
    """Five minutes of a deployment that is scaled out."""
    async with world_of(folder, reconciler=True) as world:
        await world.create(replica_count=1, scaling_policy=policy(10))
        await world.until(D1, is_ready)
        for value in (10, 40, 80, 80, 20, 60):
            await world.live(40)
            await world.sample(D1, value)
