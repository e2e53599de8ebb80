"""Who follows the log, and how far each has come: one number a follower, moved by compare-and-set."""

from typing import Protocol

from domain.errors import RoutekeeperError


class FollowerConflict(RoutekeeperError):
    """Somebody else has moved the follower's position: ask for it again."""


class FollowerPositions(Protocol):
    """Where followers of the log are."""

    async def get(self, name: str) -> int:
        """The position of the last event that the follower is done with (0: it has not begun)."""
        ...

    async def move(self, name: str, expected: int, next: int) -> None:  # noqa: A002 - the word of every position here
        """Note that the follower is done with everything up to ``next``.

        Raises :class:`FollowerConflict` where the position is no longer ``expected``, and
        :class:`~handlers.ports.LogUnavailable` where the store does not answer now.
        """
        ...
