"""What the handlers tell of their work to whoever counts it; told by the batch, so that it costs nearly nothing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from domain.operations import Operation
from handlers.commit import Commit
from handlers.ownership import Ownership
from handlers.submission import RecordItem


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitReport:
    """What one commit held, in counts: ``items`` decided; records accepted by topic, rejected by topic and code.

    ``foreign`` counts, by topic, records in partitions that their keys do not belong to. ``sample_skew_seconds`` is by
    how much the newest sample is ahead of the worker's clock (below zero: behind; ``None``: there were no samples).
    """

    items: int
    accepted: Mapping[str, int]
    rejected: Mapping[tuple[str, str], int]
    foreign: Mapping[str, int]
    sample_skew_seconds: float | None


class Telemetry(Protocol):
    """Counts and times what happens. Nothing that it does may fail, wait, or take long."""

    def committed(self, report: CommitReport) -> None:
        """Take note of a commit."""
        ...

    def append_ended(self, seconds: float, events: int, failure: str | None) -> None:
        """Take note of a try to append ``events`` (count), and the code of its failure if it has one."""
        ...

    def operation_ended(self, operation: Operation, seconds: float, outcomes: Mapping[str, int]) -> None:
        """Take note of a run of an operation, and of how many deployments came to which outcome."""
        ...

    def proxy_call_ended(self, address: str, outcome: str, seconds: float) -> None:
        """Take note of a call to an app proxy, the wait for its turn included."""
        ...


class NoTelemetry:
    """A :class:`Telemetry` that nobody looks at."""

    def committed(self, report: CommitReport) -> None: ...
    def append_ended(self, seconds: float, events: int, failure: str | None) -> None: ...
    def operation_ended(self, operation: Operation, seconds: float, outcomes: Mapping[str, int]) -> None: ...
    def proxy_call_ended(self, address: str, outcome: str, seconds: float) -> None: ...


NO_TELEMETRY: Final[Telemetry] = NoTelemetry()


def report_of(commit: Commit, now: datetime, ownership: Ownership) -> CommitReport:
    """Count what a commit held."""
    accepted: Counter[str] = Counter()
    rejected: Counter[tuple[str, str]] = Counter()
    foreign: Counter[str] = Counter()
    items = 0
    for submission in commit.submissions:
        items += len(submission.items)
        for move in submission.moves:
            accepted[move.origin.topic] += len(submission.items)
        for item in submission.items:
            if isinstance(item, RecordItem) and (key := item.deployment_id) is not None:
                origin = item.record.origin
                if ownership.partition_hash(key) % ownership.count != origin.partition:
                    foreign[origin.topic] += 1
    for origin, refused in commit.refused.items():
        accepted[origin.topic] -= len(refused)
        rejected.update((origin.topic, refusal.code) for _, refusal in refused)
    moments = [sample.at for report in commit.samples for sample in report.samples]
    skew = (max(moments) - now).total_seconds() if moments else None
    return CommitReport(items=items, accepted=accepted, rejected=rejected, foreign=foreign, sample_skew_seconds=skew)
