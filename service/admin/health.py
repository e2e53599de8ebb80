"""Whether a process is alive, whether it is ready, and what is wrong, in words."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from adapters.event_store.event_log import RecorderEventLog

#: Why the event log does not answer, and since when.
LogTrouble = tuple[datetime, str]


class Status(StrEnum):
    """DEGRADED asks for attention, FAILING makes a process unready."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, how it is, and that in words."""

    name: str
    status: Status
    words: str


class Subject(Protocol):
    """One of the things that a process does, as it is looked at."""

    @property
    def log_trouble(self) -> LogTrouble | None:
        """What it knows of an event log that does not answer."""
        ...

    def checks(self) -> Iterator[Check]:
        """Everything that readiness depends on, or that asks for attention."""
        ...

    def halted(self) -> Mapping[str, int]:
        """How many are halted by events of unknown types, by what they are."""
        ...

    def show(self, now: datetime) -> None:
        """Bring those metrics up to date that cost nothing."""
        ...

    async def refresh(self, head: int | None) -> None:
        """Ask for those that cost a query; ``head`` is the log's last position (``None``: it does not answer)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessParts:
    """The parts of a process that are looked at; ``tasks`` are those without which it cannot work."""

    event_log: RecorderEventLog
    subjects: Sequence[Subject]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Health:
    """Looks at the parts of a process called ``name``; before these are there, it is starting.

    ``log_trouble`` is why the event log did not answer when it was last asked, and since when.
    """

    def __init__(self, name: str) -> None:
        self.parts: ProcessParts | None = None
        self.is_stopping = False
        self.log_trouble: LogTrouble | None = None
        self._name = name

    def dead(self) -> Sequence[str]:
        """Tell the tasks that have ended, though the process has not been told to stop."""
        tasks = () if self.parts is None or self.is_stopping else self.parts.tasks
        return [task.get_name() for task in tasks if task.done()]

    def checks(self) -> Sequence[Check]:
        """Everything that readiness depends on, or that asks for attention."""
        if self.parts is None:
            return [Check(self._name, Status.FAILING, "starting: waiting for Kafka and the event log")]
        subjects = self.parts.subjects
        found = [self._event_log(subjects), *(check for subject in subjects for check in subject.checks())]
        if self.is_stopping:
            found.insert(0, Check(self._name, Status.FAILING, "stopping"))
        return found

    def _event_log(self, subjects: Sequence[Subject]) -> Check:
        troubles = [*(subject.log_trouble for subject in subjects), self.log_trouble]
        trouble = next(filter(None, troubles), None)
        if trouble is None:
            return Check("event log", Status.OK, "ok")
        since, reason = trouble
        return Check("event log", Status.FAILING, f"unavailable since {since:%H:%M:%S} ({reason})")
