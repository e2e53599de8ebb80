"""Pauses at work: read from the log by every worker, and held against each deployment before its effects begin."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from domain.deployment import Deployment
from domain.pauses import PAUSES_ID, EffectsPaused, EffectsResumed, Pauses, evolve_pauses
from domain.quantities import Seconds, SecondsOrNone
from handlers.ports import DecisionLog, EventLog, LogUnavailable, UnknownEventType
from handlers.records import PauseRecord
from handlers.submission import Item, RecordItem

log = logging.getLogger(__name__)

#: Is told whom nothing holds back any more: who was due, and who was to be evaluated.
ResumeListener = Callable[[Collection[UUID], Collection[UUID]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseLimits:
    """How soon pauses are seen: ``poll_seconds`` is how often the log is asked without being woken, at most.

    ``least_seconds`` is how long to wait between two questions however often one is woken.
    """

    poll_seconds: Seconds = 0.5
    least_seconds: SecondsOrNone = 0.1


async def stored_pauses(event_log: DecisionLog) -> Pauses:
    """The pauses that stand, by the log. Raises :class:`~handlers.ports.UnknownEventType`."""
    pauses = Pauses()
    for logged in await event_log.stream(PAUSES_ID):
        if isinstance(event := logged.recorded.event, EffectsPaused | EffectsResumed):
            pauses = evolve_pauses(pauses, event)
    return pauses


async def pauses_for(items: Sequence[Item], event_log: DecisionLog) -> Pauses:
    """What is needed to decide the items: the pauses if one of them is about pauses, which is rare."""
    if any(isinstance(item, RecordItem) and isinstance(item.parsed, PauseRecord) for item in items):
        return await stored_pauses(event_log)
    return Pauses()


class PauseGate:
    """Holds back deployments whose effects are paused, until they are not.

    ``closed`` says why everybody is held back: what the log says of pauses is not understood.
    """

    def __init__(self, pauses: Pauses, *, closed: str | None = None) -> None:
        self.pauses = pauses
        self.closed = closed
        self._due: set[UUID] = set()
        self._to_evaluate: set[UUID] = set()
        self._listeners: list[ResumeListener] = []

    @property
    def held(self) -> int:
        """How many deployments wait here with work that is due (count)."""
        return len(self._due | self._to_evaluate)

    def holds(self, deployment_id: UUID) -> bool:
        """Whether the deployment waits here."""
        return deployment_id in self._due or deployment_id in self._to_evaluate

    def forget(self, is_lost: Callable[[UUID], bool]) -> None:
        """Let go of those that somebody else decides for now."""
        self._due = {key for key in self._due if not is_lost(key)}
        self._to_evaluate = {key for key in self._to_evaluate if not is_lost(key)}

    def listen(self, listener: ResumeListener) -> None:
        """Tell ``listener`` whenever those who wait may be looked at again."""
        self._listeners.append(listener)

    def admit(self, states: Mapping[UUID, Deployment], to_evaluate: Collection[UUID] = ()) -> Mapping[UUID, Deployment]:
        """Give those that are not paused; the others wait here, and need not be asked for until they are resumed."""
        if not self.pauses.standing and self.closed is None:
            return states
        held = {key for key, state in states.items() if self.closed is not None or self.pauses.over(state)}
        self._to_evaluate |= held.intersection(to_evaluate)
        self._due |= held.difference(to_evaluate)
        return {key: state for key, state in states.items() if key not in held}

    def close(self, reason: str) -> None:
        """Hold back everybody from now on: what there is to obey is not known."""
        self.closed = reason

    def change(self, pauses: Pauses) -> None:
        """Go by these pauses from now on, and let everybody who waits be looked at again."""
        self.pauses, self.closed = pauses, None
        due, to_evaluate = self._due, self._to_evaluate
        self._due, self._to_evaluate = set(), set()
        for listener in self._listeners:
            listener(due, to_evaluate)


class PauseFollower:
    """Keeps a gate up with the log, and closes it where the log holds what this version does not understand."""

    def __init__(self, event_log: EventLog, gate: PauseGate, limits: PauseLimits = PauseLimits()) -> None:
        self._log = event_log
        self._gate = gate
        self._limits = limits
        self._version = gate.pauses.version
        self._is_away = False

    async def run(self, wake: asyncio.Event) -> None:
        """Follow until cancelled; ``wake`` says that there may be news, and is cleared."""
        while True:
            wake.clear()
            try:
                await self._look()
                self._is_away = False
            except LogUnavailable as error:
                # Once an outage: this is asked several times a second.
                if not self._is_away:
                    log.warning("Cannot ask for pauses, going by those that are known: %s", error)
                self._is_away = True
            await asyncio.sleep(self._limits.least_seconds)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.poll_seconds):
                    await wake.wait()

    async def _look(self) -> None:
        version = await self._log.stream_version(PAUSES_ID)
        if version == self._version:
            return
        try:
            pauses = await stored_pauses(self._log)
        except UnknownEventType as error:
            log.critical("All effects are held back: %s", error, extra={"action": "pauses-unknown"})
            self._gate.close(str(error))
        else:
            log.info("Pauses that stand: %d", len(pauses.standing), extra={"action": "pauses-changed"})
            self._gate.change(pauses)
        self._version = version
