"""Everybody who works on the log shares a lock; who must be alone with the log takes it exclusively."""

from typing import Final

from domain.errors import RoutekeeperError

#: What the lock is called.
LOG_LOCK: Final = "log"


class LogTaken(RoutekeeperError):
    """Somebody is alone with the log, and nobody else may work on it: what was read of it before may be void."""

    def __init__(self) -> None:
        super().__init__("'routekeeper new-incarnation' is at work on the log: start again when it is done")
