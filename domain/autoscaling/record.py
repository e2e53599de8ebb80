"""What is kept of every evaluation, so that a restart or another worker goes on in the middle of a window.

One compact row each, in an append-only table beside the log; what changes the count or its reason is an event as well.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import TypeAdapter

from domain.autoscaling.evaluation import Evaluation
from domain.autoscaling.history import Recommendation, RuleMemory, ScalingHistory
from domain.autoscaling.reasoning import Active

_MEMORIES: Final[TypeAdapter[Mapping[str, RuleMemory]]] = TypeAdapter(Mapping[str, RuleMemory])


class EvaluationRecord(NamedTuple):
    """One evaluation of the deployment as it was at ``version``.

    ``watermark`` is the time of the newest sample it saw; ``recommended`` what the rules came to, ``None`` where they
    came to nothing; ``memories`` (JSON) what they remember from here on, ``None``: the same as before. It saw the
    reports of samples that were received until ``samples_until``. ``resumed``: it began with a history that was read
    from records, after a start, a rebalance or a change of the policy.
    """

    at: datetime
    version: int
    watermark: datetime | None
    previous: int
    recommended: int | None
    desired: int
    memories: str | None
    samples_until: datetime | None = None
    resumed: bool = False


def record_of(
    evaluation: Evaluation, before: ScalingHistory, version: int, *, samples_until: datetime | None = None
) -> EvaluationRecord | None:
    """What to keep of an evaluation that began with the history ``before``; ``None`` where no rule was asked."""
    history, why = evaluation.history, evaluation.reasoning
    if history.evaluated_at is None or why.active is Active.OVERRIDDEN or why.active is Active.DISABLED:
        return None
    same = before.memories is history.memories or before.memories == history.memories
    return EvaluationRecord(
        at=history.evaluated_at,
        version=version,
        watermark=why.watermark,
        previous=evaluation.previous,
        recommended=None if why.active is Active.BOUNDS_FIRST else why.combined,
        desired=evaluation.desired,
        memories=None if same else _MEMORIES.dump_json(history.memories).decode(),
        samples_until=samples_until,
        resumed=before.is_restored,
    )


def restored(records: Iterable[EvaluationRecord], memory_seconds: float) -> ScalingHistory:
    """The history after evaluations, oldest first.

    ``memory_seconds`` is the policy's. The records of :data:`domain.autoscaling.history.MAX_WINDOW` are enough, and
    before them the last one that holds memories. Raises pydantic's ``ValidationError`` for memories that are not.
    """
    history, memories = ScalingHistory(), ScalingHistory().memories
    for record in records:
        memories = memories if record.memories is None else _MEMORIES.validate_json(record.memories)
        history = history._replace(is_restored=record.resumed).begun(record.previous, record.at, memory_seconds)
        history = history.recommended(record.recommended, record.at, memories)
        if record.desired != record.previous:
            history = history.changed(
                record.desired - record.previous,
                record.at,
                None if record.watermark is None else Recommendation(record.watermark, record.desired),
            )
    return history
