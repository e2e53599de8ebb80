"""What one rule saw and made of it, in words and numbers."""

from typing import Final, assert_never

from domain.autoscaling.metric import Comparator
from domain.autoscaling.outcome import Finding, Measure, RuleOutcome, Verdict


def describe_outcome(outcome: RuleOutcome, current: int) -> str:
    """Write an outcome: ``rule latency: 4 of 7 routes reported, mean 412 ms / target 300 ms = 1.37 → 10``."""
    said = [part for part in (_reporters(outcome), _measured(outcome), _finding(outcome)) if part]
    result = _result(outcome, current)
    return f"rule {outcome.rule}: " + (f"{', '.join(said)} {result}" if said else result.removeprefix("→ "))


#: From here on a number says enough without digits after the point, up to where it is written with an exponent.
_WHOLE: Final = (1000.0, 1e15)


def number(value: float) -> str:
    """Write a number with as many digits as say something."""
    return f"{value:.0f}" if _WHOLE[0] <= abs(value) < _WHOLE[1] else f"{value:.4g}"


def _reporters(outcome: RuleOutcome) -> str:
    if outcome.measure not in {Measure.MEAN, Measure.UTILIZATION}:
        return ""
    all_routes = outcome.reported + outcome.missing + outcome.unready
    aside = [f"{outcome.missing} missing"] if outcome.missing else []
    aside += [f"{outcome.unready} not ready"] if outcome.unready else []
    return f"{outcome.reported} of {all_routes} routes reported" + (f" ({', '.join(aside)})" if aside else "")


def _measured(outcome: RuleOutcome) -> str:
    if outcome.value is None or outcome.target is None or outcome.measure is None:
        return ""
    unit = f" {outcome.unit}" if outcome.unit else ""
    value, target = f"{number(outcome.value)}{unit}", f"{number(outcome.target)}{unit}"
    match outcome.measure:
        case Measure.MEAN | Measure.UTILIZATION | Measure.TOTAL:
            named = f"{outcome.measure} {value}"
        case Measure.PER_REPLICA:
            named = f"{value} per replica"
        case _:
            assert_never(outcome.measure)
    if outcome.comparator is not None:
        # Where the threshold was not crossed, its opposite is what holds.
        compared = outcome.comparator if outcome.evidence else _OPPOSITES[outcome.comparator]
        return f"{named} {_SYMBOLS[compared]} {target}"
    if outcome.verdict in {Verdict.ACTIVE, Verdict.COOLING, Verdict.IDLE}:
        return f"{named} {'>' if outcome.verdict is Verdict.ACTIVE else '≤'} activation threshold {target}"
    ratio = "" if outcome.ratio is None else f" = {outcome.ratio:.3g}"
    return f"{named} / target {target}{ratio}"


def _finding(outcome: RuleOutcome) -> str:
    match outcome.finding:
        case None:
            return ""
        case Finding.WITHIN_TOLERANCE:
            return "within the tolerance"
        case Finding.REBALANCED:
            return f"{outcome.rebalanced or 0:.3g} with the missing and unready counted cautiously"
        case Finding.HELD_BY_REBALANCING:
            return f"{outcome.rebalanced or 0:.3g} with the missing and unready counted cautiously, which is no reason"
        case Finding.CONTRADICTION:
            return f"{outcome.recommended} would contradict that"
        case Finding.PANIC:
            return "in a panic"
        case Finding.PANIC_PEAK:
            return f"kept at the panic's peak {outcome.recommended}"
        case Finding.DELAYED:
            return "removing is delayed"
        case Finding.WAITING:
            return f"{outcome.unclamped} if that lasts"
        case Finding.COLD_START:
            return "from a cold start"
        case Finding.USED:
            return "measured before the last change"
        case Finding.NO_SAMPLES:
            return "no samples that count"
        case Finding.NONE_READY:
            return "no samples of routes that are ready"
        case Finding.NO_REQUESTS:
            return "no samples of what a replica may use"
        case Finding.UNKNOWN_TIME_ZONE:
            return "its time zone is not known here"
        case _:
            assert_never(outcome.finding)


def _result(outcome: RuleOutcome, current: int) -> str:
    match outcome.verdict:
        case Verdict.RECOMMENDS:
            return _recommended(outcome, current)
        case Verdict.QUIET:
            return "→ no opinion"
        case Verdict.RESTING:
            until = f" until {outcome.due_at:%H:%M:%S}" if outcome.due_at else ""
            return f"→ resting{until}"
        case Verdict.USED:
            return "→ acted on these samples already"
        case Verdict.BOUNDED:
            return f"→ {outcome.unclamped}, which its own bounds do not allow"
        case Verdict.OUTRANKED:
            return f"{_recommended(outcome, current)}, but a rule before it acts"
        case Verdict.INVALID:
            return "→ cannot tell"
        case Verdict.OPEN:
            least = f", at least {outcome.floor}" if outcome.floor is not None else ""
            most = f", at most {outcome.ceiling}" if outcome.ceiling is not None else ""
            return f"→ open{least}{most}"
        case Verdict.CLOSED:
            return "→ closed"
        case Verdict.ACTIVE:
            return "→ active" if outcome.recommended is None else f"→ {outcome.recommended}"
        case Verdict.COOLING:
            return "→ idle, but not for long enough"
        case Verdict.IDLE:
            return "→ 0"
        case _:
            assert_never(outcome.verdict)


def _recommended(outcome: RuleOutcome, current: int) -> str:
    if outcome.finding is Finding.CONTRADICTION:
        return f"→ {current}"
    if outcome.comparator is None or outcome.unclamped is None:
        return f"→ {outcome.recommended}"
    step = outcome.unclamped - current
    cut = f", cut to {outcome.recommended}" if outcome.recommended != outcome.unclamped else ""
    return f"→ {current} {'+' if step > 0 else '−'} {abs(step)} = {outcome.unclamped}{cut}"


_SYMBOLS = {
    Comparator.LESS_THAN: "<",
    Comparator.LESS_THAN_OR_EQUAL: "≤",
    Comparator.GREATER_THAN: ">",
    Comparator.GREATER_THAN_OR_EQUAL: "≥",
}

_OPPOSITES = {
    Comparator.LESS_THAN: Comparator.GREATER_THAN_OR_EQUAL,
    Comparator.LESS_THAN_OR_EQUAL: Comparator.GREATER_THAN,
    Comparator.GREATER_THAN: Comparator.LESS_THAN_OR_EQUAL,
    Comparator.GREATER_THAN_OR_EQUAL: Comparator.LESS_THAN,
}
