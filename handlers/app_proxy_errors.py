"""What can go wrong when an app proxy is called, and what each case says about the call's effect.

::

    RoutekeeperError
     └── AppProxyError                kind       how it comes about
          ├── CallNotSent             TRANSIENT
          │    ├── ProxyUnreachable   TRANSIENT  connection refused, name not resolved, connect timeout
          │    ├── CircuitOpen        TRANSIENT  too many failures in a row: the proxy is left alone for a while
          │    └── SlotWaitExceeded   TRANSIENT  too many calls to this proxy are waiting already
          ├── ProxyAnsweredError      (by its subclass)
          │    ├── ProxyBusy          TRANSIENT  408, 425, 429, 503
          │    ├── ProxyFailed        UNKNOWN    any other 5xx
          │    ├── RequestRejected    PERMANENT  any other 4xx
          │    └── ProxyRedirected    PERMANENT  3xx
          ├── AnswerNotUnderstood     UNKNOWN    2xx with a body that is cut, too long or not the promised one
          ├── ConnectionBroken        UNKNOWN    reset or closed after (part of) the request was sent
          ├── ProxyTimedOut           UNKNOWN    no answer within the call's deadline
          └── ProxyTargetInvalid      PERMANENT  the address or the token cannot be used at all

A 503 is the proxy's own "not now": its worker is lost or did not answer in time, and nothing will come of the call any
more. Some releases have kept the endpoint by then; the next create adopts it, and a delete removes it.
A 500 has no such meaning. A proxy that fails after its transaction committed answers 500 as well, so what it did is
unknown; 502 and 504 come from something in front of the proxy that cannot know either.
"""

from typing import ClassVar

from domain.errors import RoutekeeperError
from domain.failures import FailureKind


class AppProxyError(RoutekeeperError):
    """A call to an app proxy did not succeed; ``kind`` says what that means for its effect."""

    kind: ClassVar[FailureKind] = FailureKind.UNKNOWN


class CallNotSent(AppProxyError):
    """The request did not leave this process, so it has no effect, now or later."""

    kind = FailureKind.TRANSIENT


class ProxyUnreachable(CallNotSent):
    """No connection to the proxy could be made."""


class CircuitOpen(CallNotSent):
    """The circuit breaker keeps calls from this proxy; the next one is let through in ``retry_after`` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SlotWaitExceeded(CallNotSent):
    """No slot for a call to this proxy became free in time, or too many calls were waiting for one."""


class ProxyAnsweredError(AppProxyError):
    """The proxy answered with a status other than success; ``error_code`` is the proxy's own word for it, or empty."""

    def __init__(self, message: str, *, status_code: int, error_code: str = "") -> None:
        super().__init__(message)
        self.status_code = status_code
        self.error_code = error_code


class ProxyBusy(ProxyAnsweredError):
    """The proxy cannot serve the call now (408, 425, 429, 503), and will not do so later by itself."""

    kind = FailureKind.TRANSIENT


class ProxyFailed(ProxyAnsweredError):
    """The proxy, or something in front of it, broke while serving the call (5xx)."""


class RequestRejected(ProxyAnsweredError):
    """The proxy will not serve this call however often it is asked (4xx)."""

    kind = FailureKind.PERMANENT


class ProxyRedirected(ProxyAnsweredError):
    """The proxy sent the call elsewhere (3xx); a token is never carried to another address."""

    kind = FailureKind.PERMANENT


class AnswerNotUnderstood(AppProxyError):
    """The proxy reports success in a body that cannot be read."""


class ConnectionBroken(AppProxyError):
    """The connection broke after at least part of the request was sent."""


class ProxyTimedOut(AppProxyError):
    """The proxy gave no complete answer within the call's deadline."""


class ProxyTargetInvalid(AppProxyError):
    """The address or the token of the proxy cannot be used; the settings must change."""

    kind = FailureKind.PERMANENT


def failure_kind(error: BaseException) -> FailureKind:
    """Say what ``error`` means for the call's effect; what is not known here counts as unknown."""
    return error.kind if isinstance(error, AppProxyError) else FailureKind.UNKNOWN
