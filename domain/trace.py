"""Where a trace comes from, as W3C Trace Context writes it, so that what follows can be linked to it."""

import re
from typing import Annotated

from pydantic import Field

from domain.message import Message

_TRACEPARENT = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")
_MAX_STATE = 512


class TraceContext(Message):
    """The headers ``traceparent`` (version 00) and ``tracestate`` (at most 512 characters)."""

    parent: Annotated[str, Field(max_length=55)]
    state: Annotated[str, Field(max_length=_MAX_STATE)] = ""

    @property
    def trace_id(self) -> str:
        """What is the same in all of the trace (32 hexadecimal digits)."""
        return self.parent.split("-")[1]

    def headers(self) -> dict[str, str]:
        """The headers that carry it on."""
        headers = {"traceparent": self.parent}
        return headers | {"tracestate": self.state} if self.state else headers


def trace_context(parent: object, state: object = "") -> TraceContext | None:
    """Understand what somebody sent; as the standard asks, nothing where it is not valid, and no complaint."""
    if not isinstance(parent, str) or not _TRACEPARENT.match(parent):
        return None
    fits = isinstance(state, str) and len(state) <= _MAX_STATE and state.isascii() and state.isprintable()
    return TraceContext(parent=parent, state=state if fits and isinstance(state, str) else "")
