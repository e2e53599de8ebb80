"""Rules that can use none of the samples of a simulation: they would come to nothing, as if all were quiet."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from domain.autoscaling.metric import MetricRule, MetricSource
from domain.autoscaling.rules import ScalingPolicy
from domain.simulation.needs import MeasuredOf, Need, needs_of
from domain.simulation.recorded import SampleArrival
from service.cli.errors import NoSamples

#: What there are samples of, by metric.
_There = Mapping[tuple[MetricSource, str], AbstractSet[MeasuredOf]]


def without_samples(
    policies: Mapping[str, ScalingPolicy], arrivals: Iterable[SampleArrival], *, needs_some: bool
) -> Sequence[str]:
    """Name each rule that finds no sample that it can use, in words.

    With ``needs_some``, raises :class:`NoSamples` where that is every rule of a policy that looks at a metric.
    """
    there = _measured(arrivals)
    found = []
    for name, policy in policies.items():
        rules = [rule for rule in policy.rules if isinstance(rule, MetricRule)]
        missing = [(rule, lacking) for rule in rules if (lacking := list(_lacking(rule, there)))]
        told = [f"{name}: rule {rule.name} finds no sample of {' and of '.join(lacking)}" for rule, lacking in missing]
        if missing and len(missing) == len(rules) and needs_some:
            raise NoSamples(f"no rule finds its metric: {'; '.join(told)}")
        found += told
    return found


def _measured(arrivals: Iterable[SampleArrival]) -> _There:
    there: dict[tuple[MetricSource, str], set[MeasuredOf]] = {}
    for arrival in arrivals:
        for sample in arrival.samples:
            of = MeasuredOf.WHOLE if sample.route_id is None else MeasuredOf.ROUTES
            there.setdefault((sample.source, sample.metric), set()).add(of)
    return there


def _lacking(rule: MetricRule, there: _There) -> Iterator[str]:
    for need in needs_of(rule):
        wanted = f"metric {need.metric!r} from source {need.source.value}"
        known = there.get((need.source, need.metric))
        if known is None:
            yield f"{wanted}{_instead(need, there)}"
        elif not known & need.of:
            yield f"{wanted} of {_listed(need.of)} (there is only of {_listed(known)})"


def _listed(of: Iterable[MeasuredOf]) -> str:
    return " or ".join(sorted(of))


def _instead(need: Need, there: _There) -> str:
    """What was meant, perhaps."""
    of_that_name = [f"{metric!r} from source {source.value}" for source, metric in there if metric == need.metric]
    instead = sorted(of_that_name or {repr(metric) for _, metric in there})
    return f" (there is {', '.join(instead)})" if instead else ""
