"""A clock for tests: it stands still until it is set."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass
class SetClock:
    """Shows the time that it was set to."""

    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        """The same clock as seconds."""
        return self.now.timestamp()
