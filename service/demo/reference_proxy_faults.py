"""Reference part: how the reference proxy misbehaves on demand."""

import asyncio
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Count = Annotated[int, Field(ge=0, le=100_000)]
_Seconds = Annotated[float, Field(ge=0, le=3600)]

#: The faults that are used up one by one.
CountedFault = Literal["resets_before_effect", "resets_after_effect", "errors_after_effect", "garbage_answers"]


class ProxyOperation(StrEnum):
    """What can be asked of the proxy."""

    CREATE = "create"
    DELETE = "delete"


class WorkerState(StrEnum):
    """The proxy's worker: READY acknowledges circuits at once, SILENT is listed but does not, LOST is not listed."""

    READY = "ready"
    SILENT = "silent"
    LOST = "lost"


class Faults(BaseModel):
    """What goes wrong, all at once if several are given; counted ones are used up call by call.

    The calls that they strike are those of ``operations``; the worker matters to creates only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    operations: frozenset[ProxyOperation] = frozenset(ProxyOperation)
    delay_seconds: _Seconds = 0.0
    """Every call begins its work this late (seconds), or as soon as the faults are changed."""
    collapse_above: Annotated[int, Field(ge=1)] | None = None
    """With more than this many calls under way (count), further ones are answered 500."""
    next_statuses: Annotated[tuple[Annotated[int, Field(ge=300, le=599)], ...], Field(max_length=1000)] = ()
    """The next calls are answered with these statuses, one each, and do nothing."""
    resets_before_effect: _Count = 0
    """The next calls (count) have their connection reset and do nothing."""
    resets_after_effect: _Count = 0
    """The next calls (count) do their work and have their connection reset instead of an answer."""
    errors_after_effect: _Count = 0
    """The next calls (count) do their work and are answered 500."""
    garbage_answers: _Count = 0
    """The next calls (count) do their work and are answered 200 with ``garbage_body``."""
    garbage_body: Annotated[str, Field(max_length=1_000_000)] = "<html>It works!</html>"
    worker: WorkerState = WorkerState.READY
    worker_answer_seconds: _Seconds = 15.0
    """How long a silent worker is waited for (seconds) before the answer is 503."""


class FaultBoard:
    """Holds the faults in force and hands them out; setting new ones wakes every call that waits."""

    def __init__(self) -> None:
        self._faults = Faults()
        self._changed = asyncio.Event()

    @property
    def faults(self) -> Faults:
        """The faults in force, with what is left of the counted ones."""
        return self._faults

    def set(self, faults: Faults) -> None:
        """Put ``faults`` in force in place of the present ones."""
        self._faults = faults
        self._changed.set()
        self._changed = asyncio.Event()

    def strikes(self, operation: ProxyOperation) -> bool:
        """Whether the faults concern this operation."""
        return operation in self._faults.operations

    def take_status(self) -> int | None:
        """Use up the next status to answer with, if there is one."""
        if not self._faults.next_statuses:
            return None
        status, *rest = self._faults.next_statuses
        self._faults = self._faults.model_copy(update={"next_statuses": tuple(rest)})
        return status

    def take(self, counter: CountedFault) -> bool:
        """Use up one of the fault with this field name, if any is left."""
        left: int = getattr(self._faults, counter)
        if left:
            self._faults = self._faults.model_copy(update={counter: left - 1})
        return left > 0

    async def delay(self) -> None:
        """Wait ``delay_seconds``, or until the faults are changed."""
        if self._faults.delay_seconds:
            await self._change_within(self._faults.delay_seconds)

    async def worker_acknowledges(self) -> bool:
        """Wait for a silent worker; ``False`` if it stays silent for ``worker_answer_seconds``."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._faults.worker_answer_seconds
        while self._faults.worker is WorkerState.SILENT:
            if not await self._change_within(give_up_at - loop.time()):
                return False
        return True

    async def _change_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return False
        return True
