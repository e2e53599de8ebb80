"""What is handed to the decider: records in order, or commands of Routekeeper's own, and what comes back."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from domain.autoscaling.record import EvaluationRecord
from domain.commands import AnyCommand, CreateDeployment
from domain.deployment import Deployment
from domain.errors import CommandRejected, RejectionCode, RoutekeeperError
from domain.events import DeploymentEvent
from domain.recorded import OperationCause
from domain.rejections import rejection_stream
from handlers.ports import (
    DeploymentEvaluation,
    EventLogError,
    EventTooLarge,
    PositionConflict,
    PositionMove,
    SampleReport,
    UnknownEventType,
)
from handlers.records import CommandRecord, ParsedRecord, PartitionId, ReceivedRecord, Refusal, SamplesRecord

#: The code of a refusal whose event would be larger than the log takes.
_TOO_LARGE = "event-too-large"


class RecordItem(NamedTuple):
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


class CommandItem(NamedTuple):
    """A command of Routekeeper's own, the operation that led to it, and the evaluation that it says the result of."""

    command: AnyCommand
    cause: OperationCause
    evaluation: EvaluationRecord | None = None

    @property
    def deployment_id(self) -> UUID:
        """The deployment that the command is for."""
        return self.command.deployment_id


@dataclass(frozen=True, slots=True)
class EvaluationItem:
    """An evaluation that changes nothing: it is recorded, and nobody's state is needed for that."""

    evaluation: DeploymentEvaluation

    @property
    def deployment_id(self) -> None:
        """No deployment changes."""
        return


@dataclass(frozen=True, slots=True)
class SamplesItem:
    """Samples that Routekeeper has fetched itself."""

    report: SampleReport

    @property
    def deployment_id(self) -> UUID:
        """The deployment that the samples are of."""
        return self.report.deployment_id


@dataclass(frozen=True, slots=True)
class DueItem:
    """A deployment whose state says something else about when it is due than the log does."""

    deployment_id: UUID


Item = RecordItem | CommandItem | EvaluationItem | SamplesItem | DueItem


class Decided(NamedTuple):
    """What became of an item: the deployment afterwards, the events that happened, or why it was rejected."""

    state: Deployment | None
    events: Sequence[DeploymentEvent] = ()
    rejection: CommandRejected | None = None


class DeciderStopped(RoutekeeperError):
    """Nobody decides any more: what was submitted may or may not have become true."""


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """Items that are decided in order and committed together; ``done`` gives one :class:`Decided` an item.

    Records of one submission are of one partition, and ``moves`` then holds its one move; commands have none.
    """

    items: Sequence[Item]
    moves: Sequence[PositionMove]
    done: "asyncio.Future[Sequence[Decided]]"

    def settle(self, decided: Sequence[Decided]) -> None:
        """Give the answer, unless whoever submitted has gone."""
        if not self.done.done():
            self.done.set_result(decided)

    def fail(self, error: Exception) -> None:
        """Say why there is no answer, unless whoever submitted has gone."""
        if not self.done.done():
            self.done.set_exception(error)

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


def items_of(batch: Sequence[Submission]) -> list[Item]:
    """All items of a batch in order."""
    return [item for submission in batch for item in submission.items]


def deployment_ids(items: Sequence[Item]) -> set[UUID]:
    """The deployments that the items are about."""
    return {key for item in items if (key := item.deployment_id) is not None}


def begun_by(items: Sequence[Item]) -> set[UUID]:
    """The deployments of which the first that the items say is that they are to be created."""
    begun: dict[UUID, bool] = {}
    for item in items:
        if (key := item.deployment_id) is not None and key not in begun:
            begun[key] = (
                isinstance(item, RecordItem)
                and isinstance(item.parsed, CommandRecord)
                and isinstance(item.parsed.command, CreateDeployment)
            )
    return {key for key, is_begun in begun.items() if is_begun}


def rejection_streams(items: Sequence[Item]) -> set[UUID]:
    """The streams that refusals of the items would go to."""
    origins = {id(item.record.origin): item.record.origin for item in items if isinstance(item, RecordItem)}
    return {rejection_stream(o.topic, o.epoch, o.partition) for o in origins.values()}


def in_line(batch: Sequence[Submission]) -> tuple[list[Submission], list[Submission]]:
    """Part those that begin where the ones before them end from the others, whom the log is to judge afterwards."""
    reached: dict[PartitionId, int] = {}
    fitting: list[Submission] = []
    strays: list[Submission] = []
    for submission in batch:
        if any(reached.get(move.origin, move.expected) != move.expected for move in submission.moves):
            strays.append(submission)
        else:
            reached |= {move.origin: move.next for move in submission.moves}
            fitting.append(submission)
    return fitting, strays


def refused_instead(submission: Submission, error: EventLogError) -> Submission | None:
    """Make of a single record whose event is too large one that is refused; ``None`` where that would not help.

    A command of Routekeeper's own is answered instead: whoever submitted it looks at the deployment again. A record for
    a deployment that this version does not understand is not refused, a later version may well accept it.
    """
    [item] = submission.items
    if not isinstance(error, EventTooLarge | UnknownEventType):
        return None
    if not isinstance(item, RecordItem):
        submission.settle([Decided(None, rejection=CommandRejected(RejectionCode.CHANGED_MEANWHILE, str(error)))])
        return None
    if isinstance(error, UnknownEventType) or (isinstance(item.parsed, Refusal) and item.parsed.code == _TOO_LARGE):
        return None
    refusal = Refusal(code=_TOO_LARGE, reason=str(error), field="data", sender=item.parsed.sender)
    return Submission([RecordItem(item.record, refusal)], submission.moves, submission.done)


def without(batch: Sequence[Submission], origins: Collection[PartitionId]) -> list[Submission]:
    """Fail those who read from partitions that somebody else has read, and give the others."""
    others = []
    for submission in batch:
        lost = [move.origin for move in submission.moves if move.origin in origins]
        if lost:
            submission.fail(PositionConflict(lost))
        else:
            others.append(submission)
    return others
