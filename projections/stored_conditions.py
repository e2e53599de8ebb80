"""Conditions as a column holds them: JSON, each with the time when its status last changed."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from pydantic_core import from_json

from domain.autoscaling.conditions import ScalingCondition
from domain.conditions import Condition, ConditionStatus
from projections.columns import iso

#: The column where there are no conditions.
NO_CONDITIONS: Final = "[]"

_END: Final = '"}'
_TIMES: Final = re.compile(r'"last_transition_time": ?"([^"]*)"')


class Wording(NamedTuple):
    """A condition as the column holds it: ``answer`` are its type and status, ``beginning`` is all up to the time."""

    answer: str
    beginning: str


def written(told: Sequence[Condition | ScalingCondition], before: str, at: datetime) -> str:
    """Write conditions as JSON, each with the time when its status was first what it is; ``before`` is the column."""
    since = {f"{each['type']}={each['status']}": each["last_transition_time"] for each in from_json(before)}
    return _joined(worded(told), since, iso(at))


def moved_on(told: Sequence[Wording], was: Sequence[Wording], before: str, at: datetime) -> str:
    """The same where it is known what ``before`` holds: a fifth of the time, because only its times are looked for."""
    since = {wording.answer: time for wording, time in zip(was, _TIMES.findall(before), strict=False)}
    return _joined(told, since, iso(at))


def worded(told: Sequence[Condition | ScalingCondition]) -> tuple[Wording, ...]:
    """Conditions as the column holds them, but for their times."""
    return tuple(map(_wording, told))


def _joined(told: Sequence[Wording], since: Mapping[str, str], now: str) -> str:
    return f"[{','.join([beginning + since.get(answer, now) + _END for answer, beginning in told])}]"


@lru_cache(maxsize=1024)
def _wording(condition: Condition | ScalingCondition) -> Wording:
    status = _status(condition)
    text = json.dumps({**condition._asdict(), "status": status, "last_transition_time": ""})
    return Wording(f"{condition.type}={status}", text.removesuffix(_END))


def _status(condition: Condition | ScalingCondition) -> ConditionStatus:
    if isinstance(condition.status, bool):
        return ConditionStatus.TRUE if condition.status else ConditionStatus.FALSE
    return condition.status
