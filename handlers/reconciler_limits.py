"""How much is reconciled at once, and how often."""

from dataclasses import dataclass, field

from domain.quantities import Count, Seconds, SecondsOrNone
from handlers.backoff import Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilerLimits:
    """Bounds of the reconciler.

    ``batch_size``: most deployments handed to one run of an operation (count); ``lanes``: over how many lanes the
    scaling groups are spread, so that a slow proxy holds up no other lane (count); ``batches``: most runs of one
    operation at a time in one lane (count); ``dispatch_size``: most deployments looked at in one go (count);
    ``poll_seconds``: how often the log is asked who is due, as a safety net; ``debounce_seconds``: how long after news
    of a deployment its rules are evaluated, with all news that has come by then; ``stuck_backoff``: how long to leave
    a deployment alone whose work changes nothing.
    """

    batch_size: Count = 100
    lanes: Count = 16
    batches: Count = 4
    dispatch_size: Count = 5_000
    poll_seconds: Seconds = 5.0
    debounce_seconds: SecondsOrNone = 0.05
    stuck_backoff: Backoff = field(default_factory=lambda: Backoff(base=0.1, cap=60.0))
