"""The numbers that decisions are made by, as one value that settings fill in."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from domain.autoscaling.window import MAX_CLOCK_SKEW
from domain.quantities import Seconds, SecondsOrNone


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLimits:
    """Bounds and delays inside the domain; all times in seconds.

    ``start_backoff_*``: after the n-th replica in a row that failed to start, no new one is made for
    ``min(cap, base * 2**(n-1))``; the count begins anew once a route was healthy for ``healthy_resets_after``.
    ``evict_unhealthy_after``: how long a route may be unhealthy before it is replaced.
    ``reassert_endpoint_every``: how often a registered endpoint is asserted again at the proxy.
    ``sample_skew``: how far the clock of whoever sends samples may be ahead of ours, at most 60.
    ``reasons_apart``: how long after a decision another reason to change nothing waits to be recorded.
    """

    start_backoff_base: Seconds = 1.0
    start_backoff_cap: Seconds = 300.0
    healthy_resets_after: SecondsOrNone = 60.0
    evict_unhealthy_after: SecondsOrNone = 300.0
    reassert_endpoint_every: Seconds = 3600.0
    sample_skew: Annotated[float, Field(ge=0, le=MAX_CLOCK_SKEW)] = MAX_CLOCK_SKEW
    reasons_apart: SecondsOrNone = 10.0

    def start_backoff(self, failures: int) -> float:
        """Seconds to wait after ``failures`` (count, from 1) failed starts in a row."""
        return min(self.start_backoff_cap, self.start_backoff_base * 2.0 ** min(failures - 1, 60))
