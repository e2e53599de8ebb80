"""How an operation failed, as a value that policy can act on."""

from enum import StrEnum


class FailureKind(StrEnum):
    """What is known about a call that did not succeed."""

    #: A definite answer: nothing took effect, and trying again may help.
    TRANSIENT = "transient"
    #: No definite answer: the call may still take effect.
    UNKNOWN = "unknown"
    #: A definite answer: nothing took effect, and trying again changes nothing until something else does.
    PERMANENT = "permanent"
