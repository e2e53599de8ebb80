"""What the log says beyond single deployments, read before a worker begins."""

from dataclasses import dataclass, field

from domain.incarnations import FIRST_INCARNATION, INCARNATIONS_ID, IncarnationBegun
from domain.pauses import Pauses
from handlers.pausing import stored_pauses
from handlers.ports import EventLog, UnknownEventType


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingFacts:
    """The pauses that stand, and the newest incarnation (``None``: the log was never restored).

    ``pauses_unknown`` says why it is not known which pauses stand.
    """

    pauses: Pauses = field(default_factory=Pauses)
    pauses_unknown: str | None = None
    incarnation: IncarnationBegun | None = None

    @property
    def incarnation_number(self) -> int:
        """The incarnation of the log, from 1."""
        return FIRST_INCARNATION if self.incarnation is None else self.incarnation.incarnation


async def read_standing_facts(event_log: EventLog) -> StandingFacts:
    """Read them from the log.

    Raises :class:`~handlers.ports.LogUnavailable`, and :class:`~handlers.ports.UnknownEventType` where the incarnation
    is not understood: without it nothing can be decided, read or published.
    """
    history = await event_log.stream(INCARNATIONS_ID)
    newest = history[-1].recorded.event if history else None
    incarnation = newest if isinstance(newest, IncarnationBegun) else None
    try:
        return StandingFacts(pauses=await stored_pauses(event_log), incarnation=incarnation)
    except UnknownEventType as error:
        return StandingFacts(pauses_unknown=str(error), incarnation=incarnation)
