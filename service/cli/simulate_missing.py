"""Rules whose metric is not among the samples of a simulation: they would come to nothing, as if all were quiet."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from domain.autoscaling.metric import MetricRule, MetricSource
from domain.autoscaling.rules import ScalingPolicy
from domain.simulation.recorded import SampleArrival
from service.cli.errors import NoSamples


def without_samples(
    policies: Mapping[str, ScalingPolicy], arrivals: Iterable[SampleArrival], *, needs_some: bool
) -> Sequence[str]:
    """Name each rule that finds no sample, in words.

    With ``needs_some``, raises :class:`NoSamples` where that is every rule of a policy that looks at a metric.
    """
    there = {(sample.source, sample.metric) for arrival in arrivals for sample in arrival.samples}
    found = []
    for name, policy in policies.items():
        rules = [rule for rule in policy.rules if isinstance(rule, MetricRule)]
        missing = [rule for rule in rules if (rule.source, rule.metric) not in there]
        told = [
            f"{name}: rule {rule.name} finds no sample of {_wanted(rule)}{_instead(rule, there)}" for rule in missing
        ]
        if missing and len(missing) == len(rules) and needs_some:
            raise NoSamples(f"no rule finds its metric: {'; '.join(told)}")
        found += told
    return found


def _wanted(rule: MetricRule) -> str:
    return f"metric {rule.metric!r} from source {rule.source.value}"


def _instead(rule: MetricRule, there: Iterable[tuple[MetricSource, str]]) -> str:
    """What was meant, perhaps."""
    instead = sorted(_others(rule, there))
    return f" (there is {', '.join(instead)})" if instead else ""


def _others(rule: MetricRule, there: Iterable[tuple[MetricSource, str]]) -> Iterator[str]:
    known = list(there)
    of_that_name = [source for source, metric in known if metric == rule.metric]
    if of_that_name:
        yield from (f"{rule.metric!r} from source {source.value}" for source in of_that_name)
    else:
        yield from {repr(metric) for _, metric in known}
