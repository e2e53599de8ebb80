"""How much is decided at once, and how much is kept in memory."""

from dataclasses import dataclass, field

from domain.quantities import Count, SecondsOrNone
from handlers.backoff import Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class DeciderLimits:
    """Bounds of the decider.

    ``batch_size``: most items to a commit (count); ``batch_wait_seconds``: how long the first of a batch waits for
    others; ``cached_deployments`` and ``queued_submissions``: most of each in memory (count); ``conflict_attempts``:
    how often a batch is decided again before its items are committed one by one (count).
    """

    batch_size: Count = 200
    batch_wait_seconds: SecondsOrNone = 0.005
    cached_deployments: Count = 100_000
    queued_submissions: Count = 1_000
    conflict_attempts: Count = 3
    unavailable_backoff: Backoff = field(default_factory=lambda: Backoff(base=0.05, cap=5.0))
