"""A batch in the making: decides items in order and collects all that is to become true with them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.autoscaling.samples import MetricSample
from domain.commands import AnyCommand, CreateDeployment, DoubtEndpoint, ReportRoutes
from domain.decide import NewId, decide
from domain.deciding.route_reports import unknown_routes
from domain.deployment import Deployment
from domain.errors import CommandRejected, RejectionCode, unknown_deployment
from domain.evolve import evolve
from domain.incarnations import IncarnationBegun
from domain.limits import DecisionLimits
from domain.pauses import PAUSES_ID, Pauses, decide_pause, evolve_pauses
from domain.recorded import OperationCause, RecordCause, RecordedEvent
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
    PauseRecord,
    ReceivedRecord,
    Refusal,
    SamplesRecord,
)
from handlers.refused_records import cause_of, refusal_of, rejection_events
from handlers.submission import (
    CommandItem,
    Decided,
    DueItem,
    EvaluationItem,
    Item,
    RecordItem,
    SamplesItem,
    Submission,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionContext:
    """What deciding depends on beside state and command.

    ``partition_hash`` places a deployment in a partition, by its remainder; ``owns`` tells whether this worker decides
    for it, so that nobody else has to be told to look. ``incarnation`` is there once the log was
    restored: deployments whose creation may have been handled before may have an endpoint that the log does not know.
    """

    limits: DecisionLimits
    new_id: NewId
    partition_hash: Callable[[UUID], int]
    owns: Callable[[UUID], bool] = lambda _: True
    incarnation: IncarnationBegun | None = None


@dataclass(slots=True, kw_only=True)
class Draft:
    """Holds the states and stream versions as they would be once the batch is committed.

    ``states``, ``stream_versions`` and ``pauses`` must hold what the items need, ``duplicates`` the commands that are
    known to have an outcome already; ``touched`` comes to hold the deployments that change, as they were before. No two
    reports of samples are received at one moment: ``last_report_at`` is that of the one before, so that their order is
    known.
    """

    context: DecisionContext
    now: datetime
    states: dict[UUID, Deployment | None]
    stream_versions: dict[UUID, int]
    duplicates: set[tuple[str, str]]
    pauses: Pauses = field(default_factory=Pauses)
    events: list[RecordedEvent] = field(default_factory=list)
    outcomes: dict[tuple[str, str], CommandOutcome] = field(default_factory=dict)
    moves: dict[PartitionId, PositionMove] = field(default_factory=dict)
    refused: dict[PartitionId, list[tuple[ReceivedRecord, Refusal]]] = field(default_factory=dict)
    touched: dict[UUID, Deployment | None] = field(default_factory=dict)
    samples: list[SampleReport] = field(default_factory=list)
    last_report_at: datetime | None = None
    evaluations: list[DeploymentEvaluation] = field(default_factory=list)
    restated: set[UUID] = field(default_factory=set)

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
        rejections = [
            recorded
            for origin, refused in self.refused.items()
            for recorded in rejection_events(origin, refused, self.stream_versions, self.now)
        ]
        return LogBatch(
            events=[*self.events, *rejections],
            positions=list(self.moves.values()),
            outcomes=list(self.outcomes.values()),
            due=list(self._changed_due_work()),
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
            case DueItem():
                self.restated.add(item.deployment_id)
                return Decided(self.states.get(item.deployment_id))

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
            case PauseRecord():
                return self._pause(item.record, item.parsed)
            case CommandRecord():
                return self._command_record(item.record, item.parsed)

    def _samples(self, record: ReceivedRecord, parsed: SamplesRecord) -> Decided:
        state = self.states.get(parsed.report.deployment_id)
        rejection = self._sample_problem(state, parsed)
        if rejection is None:
            report = parsed.report
            self._keep_samples(report.deployment_id, record.received_at, report.samples)
        else:
            self._refuse(record, refusal_of(rejection, parsed.sender))
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
        cause = cause_of(record, sender)
        before = self.states.get(command.deployment_id)
        decided = self._decide(command, cause)
        if isinstance(command, CreateDeployment) and decided.events and self._is_reread(record):
            decided = self._doubt(decided, command.deployment_id, cause)
        if decided.rejection is not None:
            self._refuse(record, refusal_of(decided.rejection, sender))
        elif isinstance(command, ReportRoutes) and before and (unknown := unknown_routes(before, command)):
            self._refuse(record, refusal_of(unknown, sender))
        if is_command:
            outcome = Outcome.ACCEPTED if decided.rejection is None else Outcome.REJECTED
            self.outcomes[key] = CommandOutcome(sender.source, sender.id, outcome)
        return decided

    def _is_reread(self, record: ReceivedRecord) -> bool:
        origin, incarnation = record.origin, self.context.incarnation
        return incarnation is not None and incarnation.rereads(
            origin.topic, origin.epoch, origin.partition, record.offset
        )

    def _doubt(self, created: Decided, deployment_id: UUID, cause: RecordCause) -> Decided:
        """Have the endpoint deleted one day even if it is never registered: it may be there from before the restore."""
        settles_at = self.context.incarnation.settles_at if self.context.incarnation else self.now
        doubted = self._decide(DoubtEndpoint(deployment_id=deployment_id, settles_at=settles_at), cause)
        return Decided(doubted.state, [*created.events, *doubted.events])

    def _pause(self, record: ReceivedRecord, parsed: PauseRecord) -> Decided:
        sender = parsed.sender
        key = (sender.source, sender.id)
        if key not in self.duplicates and key not in self.outcomes:
            for event in decide_pause(self.pauses, parsed.command, now=self.now, actor=sender.actor):
                self.pauses = evolve_pauses(self.pauses, event)
                self.events.append(RecordedEvent(PAUSES_ID, self.pauses.version, cause_of(record, sender), event))
            self.outcomes[key] = CommandOutcome(sender.source, sender.id, Outcome.ACCEPTED)
        return Decided(None)

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

    def _refuse(self, record: ReceivedRecord, refusal: Refusal) -> None:
        self.refused.setdefault(record.origin, []).append((record, refusal))

    def _changed_due_work(self) -> Iterable[DueWork]:
        rows: dict[UUID, DueWork] = {}
        for key, before in self.touched.items():
            state = self.states[key]
            if state is None:
                continue
            # What the log holds about a deployment's work is what its last committed state came to.
            if before is None or self._due(state) != self._due(before):
                rows[key] = self._due_work(state)
        rows |= {key: self._due_work(state) for key in self.restated if (state := self.states[key]) is not None}
        for key in (*self.touched, *[report.deployment_id for report in self.samples]):
            if not self.context.owns(key) and (state := self.states[key]) is not None:
                # Whoever owns it does not hear of this commit.
                rows[key] = self._due_work(state)._replace(due_at=self.now)
        return rows.values()

    def _due_work(self, state: Deployment) -> DueWork:
        due_at, is_scaling = self._due(state)
        return DueWork(
            deployment_id=state.id,
            hash=self.context.partition_hash(state.id),
            due_at=due_at,
            version=state.version,
            scales=is_scaling,
        )

    def _due(self, state: Deployment) -> tuple[datetime | None, bool]:
        work = next_work(state, self.context.limits)
        return work and work.due_at, scales(state)
