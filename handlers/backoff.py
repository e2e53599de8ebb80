"""How long to wait before trying again, as a value."""

from dataclasses import dataclass

from domain.quantities import Seconds, Share

#: 2 to this power is beyond every cap, and still a float.
_LARGEST_EXPONENT = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential with jitter and cap; ``base`` and ``cap`` in seconds, ``jitter`` as a ratio of the delay.

    The n-th delay is ``min(cap, base * 2**(n-1))``, less up to ``jitter`` of itself, so that failures that happened
    together are not tried again together.
    """

    base: Seconds = 1.0
    cap: Seconds = 300.0
    jitter: Share = 0.2

    def delay(self, attempt: int, random: float) -> float:
        """Seconds to wait after the ``attempt``-th failure in a row (from 1); ``random`` is in [0, 1)."""
        full = min(self.cap, self.base * 2.0 ** min(attempt - 1, _LARGEST_EXPONENT))
        return full * (1.0 - self.jitter * random)
