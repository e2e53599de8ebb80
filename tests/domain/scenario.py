"""Given what has happened, when something is asked, then this follows: the vocabulary of the domain's tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Self
from uuid import UUID

from domain.commands import AnyCommand
from domain.decide import decide
from domain.deployment import Deployment
from domain.errors import CommandRejected, RejectionCode
from domain.events import DeploymentEvent
from domain.evolve import replay
from domain.limits import DecisionLimits

#: When commands arrive, unless a test says otherwise.
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

_NEW_ROUTE_IDS_FROM = 1000


def after(seconds: float) -> datetime:
    """So many seconds after :data:`NOW`; negative: before."""
    return NOW + timedelta(seconds=seconds)


def new_route_id(number: int) -> UUID:
    """The id of the ``number``-th route (from 1) that a command makes."""
    return UUID(int=_NEW_ROUTE_IDS_FROM + number)


def numbered_ids() -> Callable[[], UUID]:
    """A source of ids that gives :func:`new_route_id` 1, 2, 3 and so on."""
    numbers = count(1)
    return lambda: new_route_id(next(numbers))


@dataclass(frozen=True, kw_only=True)
class When:
    """A command and what came of it: events, or a rejection."""

    before: Deployment | None
    events: Sequence[DeploymentEvent] = ()
    rejection: CommandRejected | None = None
    limits: DecisionLimits

    def then(self, *expected: DeploymentEvent) -> Self:
        """Exactly these events happened."""
        assert self.rejection is None, f"rejected: {self.rejection}"
        assert list(expected) == list(self.events)
        return self

    def then_events(self, *expected: type[DeploymentEvent]) -> Self:
        """Events of exactly these types happened."""
        assert self.rejection is None, f"rejected: {self.rejection}"
        assert list(expected) == [type(event) for event in self.events]
        return self

    def then_nothing(self) -> Self:
        """Nothing happened, and that was no mistake."""
        return self.then()

    def then_rejected(self, code: RejectionCode, field: str | None = None) -> Self:
        """The command was rejected with this code and, if given, for this field."""
        assert self.rejection is not None, f"not rejected: {list(self.events)}"
        assert code == self.rejection.code
        assert field in {None, self.rejection.field}
        assert self.rejection.message
        return self

    @property
    def state(self) -> Deployment:
        """The deployment afterwards."""
        state = replay(self.events, self.before)
        assert state is not None, "there is no deployment"
        return state

    def and_when(self, command: AnyCommand, *, at: datetime = NOW) -> "When":
        """Go on with another command."""
        return Given(state=self.state, limits=self.limits).when(command, at=at)


@dataclass(frozen=True, kw_only=True)
class Given:
    """A deployment as past events left it."""

    state: Deployment | None
    limits: DecisionLimits = field(default_factory=DecisionLimits)

    def under(self, limits: DecisionLimits) -> Self:
        """Decide by other limits than the default ones."""
        return replace(self, limits=limits)

    def when(self, command: AnyCommand, *, at: datetime = NOW) -> When:
        """Let ``command`` arrive."""
        try:
            events = decide(self.state, command, now=at, ids=numbered_ids(), limits=self.limits)
        except CommandRejected as rejection:
            return When(before=self.state, rejection=rejection, limits=self.limits)
        return When(before=self.state, events=events, limits=self.limits)


def given(*events: DeploymentEvent) -> Given:
    """Begin with what has happened; nothing: there is no deployment yet."""
    return Given(state=replay(events))
