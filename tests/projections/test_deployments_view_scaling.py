from sqlalchemy import Engine

from domain import events as e
from domain.autoscaling.decision import DecisionReason, ScalingDecision
from domain.autoscaling.reasoning import Able, Limited, Reasoning
from domain.autoscaling.rules import Pause, ScalingPolicy
from projections.catalogue import VIEWS
from projections.deployments import DeploymentRow, find_deployments
from projections.runner import ProjectionRunner
from tests.projection_support import NOW, after, created, log_of


def only(engine: Engine) -> DeploymentRow:
    """The one deployment there is."""
    with engine.connect() as connection:
        (row,) = find_deployments(connection)
    return row


def decided(seconds: float, desired: int, able: Able, limited: Limited) -> e.DesiredReplicasCalculated:
    """The rules came to a number."""
    reasoning = Reasoning(least=0, most=9, able=able, limited=limited)
    decision = ScalingDecision(previous=2, desired=desired, reason=DecisionReason.RULE, reasoning=reasoning)
    return e.DesiredReplicasCalculated(at=after(seconds), decision=decision)


def scaling_conditions(row: DeploymentRow) -> dict[str, tuple[str, str, float]]:
    """Status, reason, and how many seconds after the beginning the status last changed, by type."""
    return {
        each.type.value: (each.status.value, each.reason, (each.last_transition_time - NOW).total_seconds())
        for each in row.scaling_conditions
    }


async def test_the_conditions_of_scaling_are_those_of_the_last_decision_of_the_rules(engine: Engine) -> None:
    without_rules = ScalingDecision(previous=4, desired=5, reason=DecisionReason.BOUNDS)
    log = log_of(
        created(),
        decided(1, 3, Able.RESCALED, Limited.NO),
        decided(2, 4, Able.PAUSED, Limited.UP_LIMIT),
        decided(3, 4, Able.PAUSED, Limited.TOO_MANY),
        e.DesiredReplicasCalculated(at=after(4), decision=without_rules),
    )
    runner = ProjectionRunner(engine, VIEWS, log)

    await runner.catch_up()
    assert scaling_conditions(only(engine)) == {
        "AbleToScale": ("False", "Paused", 2),
        "ScalingActive": ("True", "ValidMetricFound", 1),
        "ScalingLimited": ("True", "TooManyReplicas", 2),
        "ScaledToZero": ("False", "NotAtZero", 1),
    }

    log.append(e.ScalingPolicySet(at=after(5), policy=ScalingPolicy()))
    await runner.catch_up()
    assert only(engine).scaling_conditions == ()


async def test_a_pause_by_command_shows_until_it_ends(engine: Engine) -> None:
    log = log_of(created(), e.ScalingPauseSet(at=after(1), pause=Pause.SCALE_IN))
    runner = ProjectionRunner(engine, VIEWS, log)

    await runner.catch_up()
    assert only(engine).scaling_pause is Pause.SCALE_IN

    log.append(e.ScalingPauseSet(at=after(2), pause=Pause.NONE))
    await runner.catch_up()
    assert only(engine).scaling_pause is Pause.NONE
