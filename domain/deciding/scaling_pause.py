"""Pausing what the scaling rules do, apart from the policy: a new policy leaves the pause as it is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain import commands as c
from domain import events as e
from domain.deciding.replicas import target_under
from domain.deployment import Deployment


def set_pause(state: Deployment, command: c.PauseScaling, now: datetime) -> Sequence[e.DeploymentEvent]:
    """Take over the pause, unless it is this one; what the one before kept outside the bounds is brought inside."""
    if state.scaling_pause is command.pause:
        reason = f"the pause of scaling is {command.pause.value} already"
        return [e.CommandHadNoEffect(at=now, command="pause-scaling", reason=reason)]
    after = replace(state, scaling_pause=command.pause)
    bounded = target_under(state.scaling_policy, after, now) if state.scaling_policy.rules else []
    return [e.ScalingPauseSet(at=now, pause=command.pause), *bounded]
