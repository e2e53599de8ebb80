"""A batch in the making: decides items in order and collects all that is to become true with them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.autoscaling.samples import MetricSample
from domain.chunks import chunks
from domain.commands import AnyCommand, ReportRoutes
from domain.decide import NewId, decide
from domain.deployment import Deployment
from domain.errors import CommandRejected, RejectionCode, unknown_deployment
from domain.evolve import evolve
from domain.limits import DecisionLimits
from domain.recorded import OperationCause, RecordCause, RecordedEvent
from domain.rejections import MAX_REJECTED_PER_EVENT, RecordsRejected, RejectedRecord, rejection_stream
from domain.work import next_work, scales
from handlers.ports import (
    CommandOutcome,
    DeploymentEvaluation,
    DueWork,
    LogBatch,
    Outcome,
    PositionMove,
    SampleReport,
)
from handlers.records import (
    CommandRecord,
    PartitionId,
    ReceivedRecord,
    Refusal,
    SamplesRecord,
    Sender,
)
from handlers.submission import (
    CommandItem,
    Decided,
    EvaluationItem,
    Item,
    RecordItem,
    SamplesItem,
    Submission,
)

#: Longest value shown in a refusal (characters).
_VALUE_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionContext:
    """What deciding depends on beside state and command.

    ``partition_hash`` places a deployment in a partition, by its remainder.
    """

    limits: DecisionLimits
    new_id: NewId
    partition_hash: Callable[[UUID], int]


@dataclass(slots=True, kw_only=True)
class Draft:
    """Holds the states and stream versions as they would be once the batch is committed.

    ``states`` and ``stream_versions`` must hold what the items need, ``duplicates`` the commands that are known to have
    an outcome already; ``touched`` comes to hold the deployments that change, as they were before. No two reports of
    samples are received at one moment: ``last_report_at`` is that of the one before, so that their order is known.
    """

    context: DecisionContext
    now: datetime
    states: dict[UUID, Deployment | None]
    stream_versions: dict[UUID, int]
    duplicates: set[tuple[str, str]]
    events: list[RecordedEvent] = field(default_factory=list)
    outcomes: dict[tuple[str, str], CommandOutcome] = field(default_factory=dict)
    moves: dict[PartitionId, PositionMove] = field(default_factory=dict)
    refused: dict[PartitionId, list[tuple[ReceivedRecord, Refusal]]] = field(default_factory=dict)
    touched: dict[UUID, Deployment | None] = field(default_factory=dict)
    samples: list[SampleReport] = field(default_factory=list)
    last_report_at: datetime | None = None
    evaluations: list[DeploymentEvaluation] = field(default_factory=list)

    def add(self, submission: Submission) -> Sequence[Decided]:
        """Decide the items of ``submission`` in order."""
        for move in submission.moves:
            before = self.moves.get(move.origin)
            expected = move.expected if before is None else before.expected
            self.moves[move.origin] = PositionMove(
                origin=move.origin, expected=expected, next=move.next, digest=move.digest
            )
        return [self._item(item) for item in submission.items]

    def log_batch(self) -> LogBatch:
        """Everything to commit. To be called once, when all is added."""
        rejections = [event for origin in self.refused for event in self._rejections(origin)]
        return LogBatch(
            events=[*self.events, *rejections],
            positions=list(self.moves.values()),
            outcomes=list(self.outcomes.values()),
            due=list(self._due()),
            samples=self.samples,
            evaluations=self.evaluations,
        )

    def _item(self, item: Item) -> Decided:
        match item:
            case RecordItem():
                return self._record(item)
            case CommandItem():
                return self._command(item)
            case EvaluationItem():
                self.evaluations.append(item.evaluation)
                return Decided(None)
            case SamplesItem():
                return self._own_samples(item.report)

    def _command(self, item: CommandItem) -> Decided:
        decided = self._decide(item.command, item.cause)
        if item.evaluation is not None and decided.rejection is None:
            self.evaluations.append(DeploymentEvaluation(item.command.deployment_id, item.evaluation))
        return decided

    def _record(self, item: RecordItem) -> Decided:
        match item.parsed:
            case Refusal():
                self.refused.setdefault(item.record.origin, []).append((item.record, item.parsed))
                return Decided(None)
            case SamplesRecord():
                return self._samples(item.record, item.parsed)
            case CommandRecord():
                return self._command_record(item.record, item.parsed)

    def _samples(self, record: ReceivedRecord, parsed: SamplesRecord) -> Decided:
        state = self.states.get(parsed.report.deployment_id)
        rejection = self._sample_problem(state, parsed)
        if rejection is None:
            report = parsed.report
            self._keep_samples(report.deployment_id, record.received_at, report.samples)
        else:
            self._refuse(record, parsed.sender, rejection)
        return Decided(state)

    def _own_samples(self, report: SampleReport) -> Decided:
        """Keep what is of the deployment itself or of a route that it has, and is not from the future."""
        state = self.states.get(report.deployment_id)
        if state is not None:
            latest = self.now + timedelta(seconds=self.context.limits.sample_skew)
            kept = [s for s in report.samples if s.at <= latest and (s.route_id is None or s.route_id in state.routes)]
            if kept:
                self._keep_samples(report.deployment_id, report.received_at, kept)
        return Decided(state)

    def _keep_samples(self, deployment_id: UUID, received_at: datetime, samples: Sequence[MetricSample]) -> None:
        if self.last_report_at is not None and received_at <= self.last_report_at:
            received_at = self.last_report_at + datetime.resolution
        self.last_report_at = received_at
        self.samples.append(SampleReport(deployment_id=deployment_id, received_at=received_at, samples=samples))

    def _sample_problem(self, state: Deployment | None, parsed: SamplesRecord) -> CommandRejected | None:
        if state is None:
            return unknown_deployment(parsed.report.deployment_id)
        latest = self.now + timedelta(seconds=self.context.limits.sample_skew)
        for number, sample in enumerate(parsed.report.samples):
            if sample.at > latest:
                at = sample.at.isoformat()
                message = f"samples.{number}.at is {at}, more than {self.context.limits.sample_skew:g} s ahead of now"
                in_future = RejectionCode.SAMPLE_IN_FUTURE
                return CommandRejected(in_future, message, field=f"samples.{number}.at", value=at)
        return None

    def _command_record(self, record: ReceivedRecord, parsed: CommandRecord) -> Decided:
        sender, command = parsed.sender, parsed.command
        key = (sender.source, sender.id)
        # A report is an observation: it may be repeated, and its id is not remembered.
        is_command = not isinstance(command, ReportRoutes)
        if is_command and (key in self.duplicates or key in self.outcomes):
            return Decided(self.states.get(command.deployment_id))
        origin = record.origin
        cause = RecordCause(
            topic=origin.topic,
            epoch=origin.epoch,
            partition=origin.partition,
            offset=record.offset,
            source=sender.source,
            id=sender.id,
            type=sender.type,
            actor=sender.actor,
        )
        decided = self._decide(command, cause)
        if decided.rejection is not None:
            self._refuse(record, sender, decided.rejection)
        if is_command:
            outcome = Outcome.ACCEPTED if decided.rejection is None else Outcome.REJECTED
            self.outcomes[key] = CommandOutcome(sender.source, sender.id, outcome)
        return decided

    def _decide(self, command: AnyCommand, cause: RecordCause | OperationCause) -> Decided:
        before = state = self.states.get(command.deployment_id)
        try:
            events = decide(state, command, now=self.now, ids=self.context.new_id, limits=self.context.limits)
        except CommandRejected as rejection:
            return Decided(state, rejection=rejection)
        for event in events:
            state = evolve(state, event)
            self.events.append(RecordedEvent(command.deployment_id, state.version, cause, event))
        if events:
            self.states[command.deployment_id] = state
            self.touched.setdefault(command.deployment_id, before)
        return Decided(state, events)

    def _refuse(self, record: ReceivedRecord, sender: Sender, rejection: CommandRejected) -> None:
        refusal = Refusal(
            code=rejection.code,
            reason=rejection.message,
            field=f"data.{rejection.field}" if rejection.field else "data",
            value="" if rejection.value is None else str(rejection.value)[:_VALUE_LENGTH],
            sender=sender,
        )
        self.refused.setdefault(record.origin, []).append((record, refusal))

    def _rejections(self, origin: PartitionId) -> Iterable[RecordedEvent]:
        stream = rejection_stream(origin.topic, origin.epoch, origin.partition)
        for some in chunks(self.refused[origin], MAX_REJECTED_PER_EVENT):
            event = RecordsRejected(
                at=self.now,
                topic=origin.topic,
                epoch=origin.epoch,
                partition=origin.partition,
                records=tuple(_rejected(record, refusal) for record, refusal in some),
            )
            first = some[0][0]
            cause = RecordCause(topic=origin.topic, epoch=origin.epoch, partition=origin.partition, offset=first.offset)
            self.stream_versions[stream] += 1
            yield RecordedEvent(stream, self.stream_versions[stream], cause, event)

    def _due(self) -> Iterable[DueWork]:
        for deployment_id, before in self.touched.items():
            state = self.states[deployment_id]
            if state is None:
                continue
            due = self._due_work(state)
            # What the log holds about a deployment's work is what its last committed state came to.
            if before is None or due != self._due_work(before):
                due_at, scaling = due
                yield DueWork(
                    deployment_id=deployment_id,
                    hash=self.context.partition_hash(deployment_id),
                    due_at=due_at,
                    version=state.version,
                    scales=scaling,
                )

    def _due_work(self, state: Deployment) -> tuple[datetime | None, bool]:
        work = next_work(state, self.context.limits)
        return work.due_at if work else None, scales(state)


def _rejected(record: ReceivedRecord, refusal: Refusal) -> RejectedRecord:
    return RejectedRecord(
        offset=record.offset,
        digest=record.digest,
        length=len(record.value or b""),
        code=refusal.code,
        field=refusal.field,
        value=refusal.value[:_VALUE_LENGTH],
        reason=refusal.reason[:2000],
        key=(record.key or b"").decode(errors="replace")[:_VALUE_LENGTH],
        source=refusal.sender.source if refusal.sender else "",
        id=refusal.sender.id if refusal.sender else "",
    )
