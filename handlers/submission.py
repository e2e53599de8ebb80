"""What is handed to the decider: records in order, or commands of Routekeeper's own, and what comes back."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.commands import AnyCommand
from domain.deployment import Deployment
from domain.errors import CommandRejected
from domain.events import DeploymentEvent
from domain.recorded import OperationCause
from handlers.ports import PositionMove
from handlers.records import CommandRecord, ParsedRecord, ReceivedRecord, SamplesRecord


@dataclass(frozen=True, slots=True)
class RecordItem:
    """A record from outside, with what it turned out to be."""

    record: ReceivedRecord
    parsed: ParsedRecord

    @property
    def deployment_id(self) -> UUID | None:
        """The deployment that the record is about, if that could be understood."""
        match self.parsed:
            case CommandRecord(command=command):
                return command.deployment_id
            case SamplesRecord(report=report):
                return report.deployment_id
            case _:
                return None


@dataclass(frozen=True, slots=True)
class CommandItem:
    """A command of Routekeeper's own, and the operation that led to it."""

    command: AnyCommand
    cause: OperationCause

    @property
    def deployment_id(self) -> UUID:
        """The deployment that the command is for."""
        return self.command.deployment_id


Item = RecordItem | CommandItem


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of an item: the deployment afterwards, the events that happened, or why it was rejected."""

    state: Deployment | None
    events: Sequence[DeploymentEvent] = ()
    rejection: CommandRejected | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """Items that are decided in order and committed together; ``done`` gives one :class:`Decided` an item.

    Records of one submission are of one partition, and ``moves`` then holds its one move; commands have none.
    """

    items: Sequence[Item]
    moves: Sequence[PositionMove]
    done: "asyncio.Future[Sequence[Decided]]"

    def singly(self) -> Iterator["Submission"]:
        """The items as submissions of their own, in order, each moving the position past its record."""
        loop = asyncio.get_running_loop()
        expected = self.moves[0].expected if self.moves else None
        for item in self.items:
            moves = []
            if isinstance(item, RecordItem):
                record = item.record
                following = record.offset + 1
                move = PositionMove(origin=record.origin, expected=expected, next=following, digest=record.digest)
                moves.append(move)
                expected = following
            yield Submission([item], moves, loop.create_future())
