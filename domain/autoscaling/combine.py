"""From what each rule recommends to what they recommend together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from domain.autoscaling.outcome import Finding, RuleOutcome, Verdict
from domain.autoscaling.rules import Combine


class Combined(NamedTuple):
    """What the rules come to: ``replicas`` by the rule ``winner``; without a number they want no change.

    ``blocked`` is a rule that cannot tell, and for which therefore nothing is removed.
    """

    replicas: int | None = None
    winner: str | None = None
    blocked: RuleOutcome | None = None


def combined(outcomes: Sequence[RuleOutcome], current: int, combine: Combine) -> Combined:
    """Choose among the outcomes of the rules that size the deployment, in their order of precedence."""
    best: RuleOutcome | None = None
    blocked: RuleOutcome | None = None
    highest, stays = 0, False
    for outcome in outcomes:
        if outcome.verdict is Verdict.RECOMMENDS and outcome.recommended is not None:
            count = current if outcome.finding is Finding.CONTRADICTION else outcome.recommended
            if best is None or count > highest:
                best, highest = outcome, count
        elif outcome.verdict is Verdict.INVALID:
            blocked = blocked or outcome
        else:
            stays = True
    if best is None:
        return Combined(blocked=None if stays else blocked)
    if highest < current:
        if blocked is not None:
            return Combined(blocked=blocked)
        if stays and combine is Combine.SAFEST:
            return Combined(current)
    return Combined(highest, best.rule)


def without_contradiction(outcome: RuleOutcome, current: int) -> RuleOutcome:
    """Mark a recommendation that goes against what the metric says; it counts as one to stay.

    Arithmetic over the ready replicas alone can come to that: with one of three ready, twice the target asks for two.
    """
    recommended = outcome.recommended
    if recommended is None or (recommended - current) * outcome.evidence >= 0:
        return outcome
    return replace(outcome, finding=Finding.CONTRADICTION)


def first_step(outcomes: Sequence[RuleOutcome]) -> tuple[Sequence[RuleOutcome], RuleOutcome]:
    """Let one step rule act: give all outcomes (by falling precedence) and the one that stands for them.

    Where none acts, the rules together cannot tell only if not a single one can.
    """
    acting = next((outcome for outcome in outcomes if outcome.verdict is Verdict.RECOMMENDS), None)
    if acting is None:
        return outcomes, next((outcome for outcome in outcomes if outcome.verdict is not Verdict.INVALID), outcomes[0])
    outranked = [
        replace(outcome, verdict=Verdict.OUTRANKED)
        if outcome.verdict is Verdict.RECOMMENDS and outcome is not acting
        else outcome
        for outcome in outcomes
    ]
    blind = next((outcome for outcome in outcomes if outcome.verdict is Verdict.INVALID), None)
    if blind is not None and acting.evidence < 0:
        return outcomes, blind
    return outranked, acting
