"""What can go wrong in the domain.

::

    RoutekeeperError
     └── CommandRejected      the command cannot be applied to the deployment as it is
"""

from enum import StrEnum
from uuid import UUID


class RoutekeeperError(Exception):
    """The root of all errors that Routekeeper raises on purpose."""


class RejectionCode(StrEnum):
    """Why a command was rejected, in a word that programs may compare."""

    UNKNOWN_DEPLOYMENT = "unknown-deployment"
    UNKNOWN_ROUTE = "unknown-route"
    ALREADY_EXISTS = "already-exists"
    BEING_DESTROYED = "being-destroyed"
    DESTROYED = "destroyed"
    ROLLOUT_NOT_SUPPORTED = "rollout-not-supported"
    INVALID_BOUNDS = "invalid-bounds"
    INVALID_UNTIL = "invalid-until"
    UNKNOWN_TIME_ZONE = "unknown-time-zone"
    SAMPLE_IN_FUTURE = "sample-in-future"
    CHANGED_MEANWHILE = "changed-meanwhile"


class CommandRejected(RoutekeeperError):
    """The command cannot be applied to the deployment as it is.

    ``field`` names the part of the command at fault (empty: the command as a whole) and ``value`` what it held.
    """

    def __init__(self, code: RejectionCode, message: str, *, field: str = "", value: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.value = value


def unknown_deployment(deployment_id: UUID) -> CommandRejected:
    """What is to be raised where nothing was ever created under this id."""
    message = f"there is no deployment {deployment_id}"
    unknown = RejectionCode.UNKNOWN_DEPLOYMENT
    return CommandRejected(unknown, message, field="deployment_id", value=str(deployment_id))
