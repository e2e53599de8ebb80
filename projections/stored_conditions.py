"""Conditions as a column holds them: JSON, each with the time when its status last changed."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from pydantic_core import from_json

from domain.autoscaling.conditions import ScalingCondition
from domain.conditions import Condition, ConditionStatus
from projections.columns import iso

#: The column where there are no conditions.
NO_CONDITIONS: Final = "[]"

_END: Final = '"}'


def written(told: Sequence[Condition | ScalingCondition], before: str, at: datetime) -> str:
    """Write conditions as JSON, each with the time when its status was first what it is; ``before`` is the column."""
    since = {(each["type"], each["status"]): each["last_transition_time"] for each in from_json(before)}
    now = iso(at)
    return f"[{','.join(_beginning(each) + since.get((each.type, _status(each)), now) + _END for each in told)}]"


@lru_cache(maxsize=1024)
def _beginning(condition: Condition | ScalingCondition) -> str:
    """Write a condition as JSON up to its time."""
    written = json.dumps({**condition._asdict(), "status": _status(condition), "last_transition_time": ""})
    return written.removesuffix(_END)


def _status(condition: Condition | ScalingCondition) -> ConditionStatus:
    if isinstance(condition.status, bool):
        return ConditionStatus.TRUE if condition.status else ConditionStatus.FALSE
    return condition.status
