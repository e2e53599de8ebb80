"""Random histories that can really have happened: random commands, decided by the domain, as the log would hold them.

A history is played from steps, so that hypothesis can shorten it, and so that one seed gives the same one again.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import strategies as st

from domain.decide import decide
from domain.deployment import Deployment
from domain.errors import CommandRejected
from domain.evolve import evolve
from domain.recorded import AnyEvent, Cause, LoggedEvent, OperationCause, RecordCause, RecordedEvent
from domain.rejections import RecordsRejected, RejectedRecord, rejection_stream
from tests.history_commands import COMMANDS, Step, create

BEGINNING = datetime(2031, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)

_TOPIC, _EPOCH = "routekeeper.commands", "2031"


class History:
    """What has happened so far: the log, the deployments that it adds up to, and how often something was rejected."""

    def __init__(self) -> None:
        self.log: list[LoggedEvent] = []
        self.states: dict[UUID, Deployment] = {}
        self.versions: dict[UUID, int] = {}
        self.rejections = 0
        self.now = BEGINNING
        self._ids = 1_000

    def apply(self, step: Step) -> Sequence[LoggedEvent]:
        """Let something happen; gives what it led to, possibly nothing."""
        self.now += timedelta(seconds=step.seconds)
        if step.kind == "send_garbage":
            return self._refuse(step)
        deployment_id = UUID(int=step.deployment + 1)
        state = self.states.get(deployment_id)
        command = create(deployment_id, step) if state is None else COMMANDS[step.kind](state, step, self.now)
        try:
            events = decide(state, command, now=self.now, ids=self._new_id)
        except CommandRejected:
            self.rejections += 1
            return ()
        for event in events:
            self.states[deployment_id] = state = evolve(state, event)
        return [self._append(deployment_id, event, OperationCause(operation=step.kind)) for event in events]

    def _refuse(self, step: Step) -> Sequence[LoggedEvent]:
        records = tuple(
            RejectedRecord(
                offset=10 * len(self.log) + number,
                digest=f"{number:064x}",
                length=number,
                code="invalid-json",
                field="data.name",
                value="\0 is nothing that a database likes",
                reason="this is not JSON",
            )
            for number in range(1 + step.variant % 3)
        )
        partition = step.deployment
        event = RecordsRejected(at=self.now, topic=_TOPIC, epoch=_EPOCH, partition=partition, records=records)
        cause = RecordCause(topic=_TOPIC, epoch=_EPOCH, partition=partition, offset=records[0].offset)
        return [self._append(rejection_stream(_TOPIC, _EPOCH, partition), event, cause)]

    def _append(self, stream_id: UUID, event: AnyEvent, cause: Cause) -> LoggedEvent:
        version = self.versions[stream_id] = self.versions.get(stream_id, 0) + 1
        # Positions have gaps, as in a database where transactions were rolled back.
        position = (self.log[-1].position if self.log else 0) + 1 + version % 2
        logged = LoggedEvent(position, RecordedEvent(stream_id=stream_id, version=version, cause=cause, event=event))
        self.log.append(logged)
        return logged

    def _new_id(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)


def play(steps: Iterable[Step]) -> History:
    """Let one thing happen after the other."""
    history = History()
    for step in steps:
        history.apply(step)
    return history


def random_history(seed: int, *, steps: int, deployments: int = 6) -> History:
    """A long history for when hypothesis would be too slow; the same seed gives the same one."""
    random = Random(seed)
    return play(
        Step(random.randrange(deployments), random.choice(_WEIGHTED), random.randrange(100), random.randrange(90))
        for _ in range(steps)
    )


#: Everything that may happen.
KINDS = frozenset(COMMANDS) | {"send_garbage"}

# What is due is done most of the time, or few deployments would ever come to have replicas.
_WEIGHTED = [*sorted(KINDS), *("work", "work", "work", "report", "report_healthy") * 6]

#: Steps for hypothesis.
STEPS = st.builds(
    Step,
    deployment=st.integers(0, 2),
    kind=st.sampled_from(_WEIGHTED),
    variant=st.integers(0, 99),
    seconds=st.integers(0, 90),
)

#: Histories for hypothesis, from none to some sixty steps.
HISTORIES = st.lists(STEPS, max_size=60).map(play)
