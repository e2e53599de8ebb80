"""A history in the making: commands decided by the domain, kept in a real log, and folded into real views."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from adapters.event_store.event_log import open_sqlite_log
from adapters.event_store.instants import microseconds_of
from domain import commands as c
from domain.decide import decide
from domain.deployment import Deployment
from domain.evolve import evolve
from domain.operations import Operation
from domain.recorded import Cause, OperationCause, RecordCause, RecordedEvent
from domain.rejections import RecordsRejected, RejectedRecord, rejection_stream
from handlers.ports import CommandOutcome, LogBatch, Outcome, PositionMove
from handlers.records import PartitionId
from projections.catalogue import VIEWS
from projections.database import open_database
from projections.runner import ProjectionRunner
from service.settings import Settings

BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMMANDS = "routekeeper.commands"


class Chronicle:
    """What has happened so far, one second after the other, in the log of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.settings = Settings(data_dir=data_dir)
        self.now = BEGINNING
        self.states: dict[UUID, Deployment] = {}
        self.head = 0
        self._log = open_sqlite_log(self.settings.log_file)
        self._offset = 16
        self._routes = 0
        self._refusals = 0
        self._next: dict[PartitionId, int] = {}

    def close(self) -> None:
        """Let go of the log."""
        self._log.close()

    def ask(self, command: c.AnyCommand, *, actor: str = "alice") -> None:
        """Let a command arrive through Kafka."""
        self._offset += 1
        name = f"ce-{self._offset}"
        cause = RecordCause(
            topic=COMMANDS, epoch="1", partition=2, offset=self._offset, source="/tests", id=name, actor=actor
        )
        accepted = CommandOutcome("/tests", name, Outcome.ACCEPTED)
        self._decide(command, cause, [] if isinstance(command, c.ReportRoutes) else [accepted])

    def find(self, command: c.AnyCommand, operation: Operation) -> None:
        """Let an operation come to something."""
        self._decide(command, OperationCause(operation=operation.value))

    def refuse(self, *records: RejectedRecord) -> None:
        """Let records of a partition be refused."""
        self._refusals += 1
        self._pass_a_second()
        stream = rejection_stream(COMMANDS, "1", 0)
        event = RecordsRejected(at=self.now, topic=COMMANDS, epoch="1", partition=0, records=records)
        cause = RecordCause(topic=COMMANDS, epoch="1", partition=0, offset=records[0].offset)
        self._append([RecordedEvent(stream, self._refusals, cause, event)], cause)

    def fold(self) -> None:
        """Bring the live views up to the log."""
        with closing(_Views(self.settings)) as views:
            asyncio.run(ProjectionRunner(views.engine, VIEWS, self._log).catch_up())

    def _decide(self, command: c.AnyCommand, cause: Cause, outcomes: Sequence[CommandOutcome] = ()) -> None:
        self._pass_a_second()
        key = command.deployment_id
        state = self.states.get(key)
        recorded = []
        for event in decide(state, command, now=self.now, ids=self._new_route):
            self.states[key] = state = evolve(state, event)
            recorded.append(RecordedEvent(key, state.version, cause, event))
        self._append(recorded, cause, outcomes)

    def _append(self, events: Sequence[RecordedEvent], cause: Cause, outcomes: Sequence[CommandOutcome] = ()) -> None:
        moves = [self._move(cause)] if isinstance(cause, RecordCause) else []
        batch = LogBatch(events=events, positions=moves, outcomes=outcomes)
        positions = asyncio.run(self._log.append(batch))
        self.head = positions[-1] if positions else self.head
        self._commit_now()

    def _commit_now(self) -> None:
        """Have the database's clock show what this history's clock shows."""
        with closing(sqlite3.connect(self.settings.log_file)) as connection, connection:
            moment = (microseconds_of(self.now), self.head)
            connection.execute("UPDATE commits SET committed_at = ? WHERE position = ?", moment)

    def _move(self, cause: RecordCause) -> PositionMove:
        origin = PartitionId(cause.topic, cause.epoch, cause.partition)
        expected = self._next.get(origin)
        self._next[origin] = cause.offset + 1
        return PositionMove(origin=origin, expected=expected, next=cause.offset + 1, digest="")

    def _pass_a_second(self) -> None:
        self.now += timedelta(seconds=1)

    def _new_route(self) -> UUID:
        self._routes += 1
        return UUID(f"{self._routes:08x}-aaaa-4000-8000-000000000000")


class _Views:
    def __init__(self, settings: Settings) -> None:
        self.engine = open_database(settings.views_url)

    def close(self) -> None:
        self.engine.dispose()
