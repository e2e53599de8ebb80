"""The one place where decisions are made: one queue, one task, and many decisions to a commit."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import random
from uuid import UUID

from domain.commands import AnyCommand
from domain.deployment import Deployment
from domain.errors import CommandRejected, RejectionCode
from domain.recorded import OperationCause
from domain.rejections import rejection_stream
from handlers.aggregate_cache import AggregateCache
from handlers.backoff import Backoff
from handlers.draft import DecisionContext, Draft
from handlers.ownership import Ownership
from handlers.ports import (
    DeadLetters,
    DeadLettersUnavailable,
    DuplicateCommands,
    EventLog,
    EventLogError,
    EventTooLarge,
    LogUnavailable,
    PositionConflict,
    VersionConflict,
)
from handlers.records import Refusal, SamplesRecord
from handlers.submission import CommandItem, Decided, Item, RecordItem, Submission

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeciderLimits:
    """Bounds of the decider.

    ``batch_size``: most items to a commit (count); ``batch_wait_seconds``: how long the first of a batch waits for
    others; ``cached_deployments`` and ``queued_submissions``: most of each in memory (count); ``conflict_attempts``:
    how often a batch is decided again before its items are committed one by one (count).
    """

    batch_size: int = 200
    batch_wait_seconds: float = 0.005
    cached_deployments: int = 50_000
    queued_submissions: int = 1_000
    conflict_attempts: int = 3
    unavailable_backoff: Backoff = field(default_factory=lambda: Backoff(base=0.05, cap=5.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What has become true: the deployments that changed, and the samples that were received.

    ``position`` is that of the last event in the log (0: this commit held none).
    """

    states: Sequence[Deployment]
    samples: Sequence[SamplesRecord]
    position: int


#: Is told of every commit, in their order.
CommitListener = Callable[[Commit], None]


class Decider:
    """Decides what is submitted, in order, against deployments in memory, and commits it in batches.

    Everybody who changes a deployment goes through here, so that within a worker nobody decides on stale state;
    against other workers the log compares positions and versions.
    """

    def __init__(
        self,
        event_log: EventLog,
        dead_letters: DeadLetters,
        context: DecisionContext,
        *,
        ownership: Ownership,
        clock: Callable[[], datetime],
        limits: DeciderLimits = DeciderLimits(),
    ) -> None:
        self._log = event_log
        self._dead_letters = dead_letters
        self._context = context
        self._clock = clock
        self._ownership = ownership
        self._limits = limits
        self._cache = AggregateCache(limits.cached_deployments)
        self._stream_versions: dict[UUID, int] = {}
        self._queue: asyncio.Queue[Submission] = asyncio.Queue(limits.queued_submissions)
        self._listeners: list[CommitListener] = []
        self.unavailable_since: datetime | None = None

    def listen(self, listener: CommitListener) -> None:
        """Tell ``listener`` of every commit from now on."""
        self._listeners.append(listener)

    async def submit(self, submission: Submission) -> Sequence[Decided]:
        """Have the items decided and committed; returns when that is durable. Raises :class:`EventLogError`."""
        await self._queue.put(submission)
        return await submission.done

    async def execute(self, commands: Sequence[AnyCommand], operation: str) -> Sequence[Decided]:
        """Submit commands of Routekeeper's own that ``operation`` led to."""
        if not commands:
            return []
        cause = OperationCause(operation=operation)
        items = [CommandItem(command, cause) for command in commands]
        return await self.submit(Submission(items, (), asyncio.get_running_loop().create_future()))

    async def load(self, ids: Collection[UUID]) -> Mapping[UUID, Deployment]:
        """The deployments as last committed; ids that do not exist are absent."""
        known = {key: state for key in ids if (state := self._cached(key)) is not None}
        missing = [key for key in ids if key not in known]
        return known | dict(await self._log.deployments(missing)) if missing else known

    def owner_of_route(self, route_id: UUID) -> UUID | None:
        """The deployment in memory that holds this route, found by looking through all of them."""
        return next((d.id for d in self._cache if route_id in d.routes), None)

    def forget(self) -> None:
        """Drop everything in memory: somebody else may own it now."""
        self._cache.clear()
        self._stream_versions.clear()

    async def run(self) -> None:
        """Decide and commit until cancelled."""
        while True:
            batch = await self._next_batch()
            try:
                await self._settle(batch)
            except BaseException as error:
                _fail(batch, error)
                raise

    async def _next_batch(self) -> list[Submission]:
        batch = [await self._queue.get()]
        size = len(batch[0].items)
        deadline = asyncio.get_running_loop().time() + self._limits.batch_wait_seconds
        while size < self._limits.batch_size:
            if self._queue.empty():
                # Whoever waits for an answer submits again only after this commit: waiting for more would only delay.
                await asyncio.sleep(0)
                if self._queue.empty() or asyncio.get_running_loop().time() > deadline:
                    break
            batch.append(self._queue.get_nowait())
            size += len(batch[-1].items)
        return batch

    async def _settle(self, batch: Sequence[Submission]) -> None:
        """Commit the batch, or tell each submission why it could not be."""
        duplicates: set[tuple[str, str]] = set()
        unavailable = 0
        conflicts = 0
        while batch:
            try:
                await self._commit(batch, duplicates)
            except PositionConflict as error:
                self.forget()
                batch = _without(batch, error)
            except DuplicateCommands as error:
                duplicates |= error.keys
            except (LogUnavailable, DeadLettersUnavailable) as error:
                unavailable += 1
                await self._wait(error, unavailable)
            except (VersionConflict, EventTooLarge) as error:
                self.forget()
                conflicts += 1
                if conflicts >= self._limits.conflict_attempts or isinstance(error, EventTooLarge):
                    await self._settle_singly(batch, error)
                    return
            else:
                return

    async def _settle_singly(self, batch: Sequence[Submission], error: EventLogError) -> None:
        if len(batch) > 1:
            for submission in batch:
                await self._settle([submission])
        elif len(batch[0].items) > 1:
            await self._settle_items(batch[0])
        elif isinstance(error, EventTooLarge):
            await self._settle_too_large(batch[0], error)
        else:
            _fail(batch, error)

    async def _settle_items(self, submission: Submission) -> None:
        decided: list[Decided] = []
        for single in submission.singly():
            await self._settle([single])
            try:
                decided += await single.done
            except EventLogError as error:
                _fail([submission], error)
                return
        submission.done.set_result(decided)

    async def _settle_too_large(self, submission: Submission, error: EventTooLarge) -> None:
        item = submission.items[0]
        refusal = Refusal(code="event-too-large", reason=str(error), field="data")
        if not isinstance(item, RecordItem):
            rejection = CommandRejected(RejectionCode.CHANGED_MEANWHILE, str(error))
            submission.done.set_result([Decided(None, rejection=rejection)])
            return
        refused = Submission([RecordItem(item.record, refusal)], submission.moves, submission.done)
        await self._settle([refused])

    async def _wait(self, error: LogUnavailable | DeadLettersUnavailable, attempt: int) -> None:
        self.forget()
        self.unavailable_since = self.unavailable_since or self._clock()
        delay = self._limits.unavailable_backoff.delay(attempt, random())  # noqa: S311 - spreads load, guards nothing
        log.warning("Trying to commit again in %.2f s: %s", delay, error)
        await asyncio.sleep(delay)

    async def _commit(self, batch: Sequence[Submission], duplicates: set[tuple[str, str]]) -> None:
        items = [item for submission in batch for item in submission.items]
        draft = Draft(
            context=self._context,
            now=self._clock(),
            states=await self._states(items),
            stream_versions=await self._rejection_streams(items),
            duplicates=duplicates,
        )
        decided = [draft.add(submission) for submission in batch]
        for refused in draft.refused.values():
            await self._dead_letters.send(refused)
        log_batch = draft.log_batch()
        positions: Sequence[int] = ()
        if log_batch.events or log_batch.positions or log_batch.outcomes:
            positions = await self._log.append(log_batch)
        self.unavailable_since = None
        self._remember(draft)
        for submission, answers in zip(batch, decided, strict=True):
            if not submission.done.done():
                submission.done.set_result(answers)
        self._tell(draft, positions[-1] if positions else 0)

    def _remember(self, draft: Draft) -> None:
        for deployment_id, state in draft.states.items():
            if state is not None and self._ownership.owns(deployment_id):
                self._cache.put(state)
        self._stream_versions |= draft.stream_versions

    def _tell(self, draft: Draft, position: int) -> None:
        changed = [state for key in draft.touched if (state := draft.states[key]) is not None]
        commit = Commit(states=changed, samples=draft.samples, position=position)
        for listener in self._listeners:
            listener(commit)

    async def _states(self, items: Sequence[Item]) -> dict[UUID, Deployment | None]:
        ids = {key for item in items if (key := item.deployment_id) is not None}
        states: dict[UUID, Deployment | None] = dict.fromkeys(ids)
        states.update(await self.load(ids))
        return states

    async def _rejection_streams(self, items: Sequence[Item]) -> dict[UUID, int]:
        origins = {item.record.origin for item in items if isinstance(item, RecordItem)}
        streams = {rejection_stream(o.topic, o.epoch, o.partition) for o in origins}
        for stream in streams - self._stream_versions.keys():
            self._stream_versions[stream] = await self._log.stream_version(stream)
        return {stream: self._stream_versions[stream] for stream in streams}

    def _cached(self, deployment_id: UUID) -> Deployment | None:
        return self._cache.get(deployment_id) if self._ownership.owns(deployment_id) else None


def _without(batch: Sequence[Submission], error: PositionConflict) -> list[Submission]:
    """Tell those who read from the lost partitions; the others go on."""
    lost = [s for s in batch if any(move.origin in error.origins for move in s.moves)]
    _fail(lost, error)
    return [s for s in batch if s not in lost]


def _fail(batch: Sequence[Submission], error: BaseException) -> None:
    for submission in batch:
        if not submission.done.done():
            if isinstance(error, Exception):
                submission.done.set_exception(error)
            else:
                submission.done.cancel()
