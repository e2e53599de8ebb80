"""The one place where decisions are made: one queue, one task, and many decisions to a commit."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from random import random
from types import MappingProxyType
from uuid import UUID

from domain.autoscaling.record import EvaluationRecord
from domain.chunks import chunks
from domain.commands import AnyCommand
from domain.deployment import Deployment
from handlers.aggregate_cache import Memory
from handlers.commit import Commit, CommitListener
from handlers.decider_limits import DeciderLimits
from handlers.draft import DecisionContext, Draft
from handlers.drafting import Drafting
from handlers.known_deployments import KnownDeployments
from handlers.ownership import Ownership
from handlers.ports import (
    DeadLetters,
    DeadLettersUnavailable,
    DecisionLog,
    DeploymentEvaluation,
    DuplicateCommands,
    EventLogError,
    EventTooLarge,
    LogUnavailable,
    PositionConflict,
    SampleReport,
    UnknownEventType,
    VersionConflict,
)
from handlers.progress import Progress
from handlers.submission import (
    CommandItem,
    Decided,
    DeciderStopped,
    DueItem,
    EvaluationItem,
    Item,
    SamplesItem,
    Submission,
    begun_by,
    deployment_ids,
    in_line,
    items_of,
    refused_instead,
    rejection_streams,
    without,
)
from handlers.traces import LatestTraces

log = logging.getLogger(__name__)


_DEFAULT_LIMITS = DeciderLimits()


class Decider:
    """Decides what is submitted, in order, against deployments in memory, and commits it in batches.

    Everybody who changes a deployment goes through here, so that within a worker nobody decides on stale state;
    against other workers the log compares positions and versions.
    """

    def __init__(
        self,
        event_log: DecisionLog,
        dead_letters: DeadLetters,
        context: DecisionContext,
        *,
        ownership: Ownership,
        clock: Callable[[], datetime],
        limits: DeciderLimits = _DEFAULT_LIMITS,
    ) -> None:
        self._log = event_log
        self._dead_letters = dead_letters
        self._clock = clock
        self._limits = limits
        self._memory = Memory(ownership, limits.cached_deployments)
        self._known = KnownDeployments(event_log, self._memory)
        self._drafting = Drafting(event_log, context, self._known, clock)
        self._queue: asyncio.Queue[Submission] = asyncio.Queue(limits.queued_submissions)
        self._in_hand: list[Submission] = []
        self._stopped: DeciderStopped | None = None
        self._listeners: list[CommitListener] = []
        self.traces = LatestTraces()
        self.unavailable_since: datetime | None = None
        self.unavailable_reason = ""

    def listen(self, listener: CommitListener) -> None:
        """Tell ``listener`` of every commit from now on."""
        self._listeners.append(listener)

    async def submit(self, submission: Submission) -> Sequence[Decided]:
        """Have the items decided and committed; returns when that is durable.

        Raises :class:`EventLogError`, or :class:`DeciderStopped` once :meth:`run` has ended.
        """
        await self.enqueue(submission)
        return await submission.done

    async def enqueue(self, submission: Submission) -> None:
        """Have the items decided after those enqueued before; waits only while the queue is full."""
        await self._queue.put(submission)
        if self._stopped is not None:
            self._stop(self._stopped)

    async def execute(
        self,
        commands: Sequence[AnyCommand],
        operation: str,
        evaluations: Mapping[UUID, EvaluationRecord] = MappingProxyType({}),
    ) -> Sequence[Decided]:
        """Submit commands of Routekeeper's own that ``operation`` led to, each with its deployment's evaluation."""
        ids = [command.deployment_id for command in commands]
        causes = [self.traces.cause(operation, key) for key in ids]
        return await self._submit([*map(CommandItem, commands, causes, map(evaluations.get, ids))])

    async def record(self, evaluations: Iterable[DeploymentEvaluation]) -> None:
        """Have evaluations recorded that change nothing; as :meth:`submit`."""
        await self._submit([EvaluationItem(evaluation) for evaluation in evaluations])

    async def take_samples(self, reports: Iterable[SampleReport]) -> None:
        """Have samples recorded and passed on that nobody sent as a record; as :meth:`submit`."""
        await self._submit([SamplesItem(report) for report in reports])

    async def restate_due(self, ids: Sequence[UUID]) -> None:
        """Have the log say again, by their states, when these are due; as :meth:`submit`, a batch at a time."""
        for some in chunks(ids, self._limits.batch_size):
            await self._submit([DueItem(deployment_id) for deployment_id in some])

    async def _submit(self, items: Sequence[Item]) -> Sequence[Decided]:
        if not items:
            return []
        return await self.submit(Submission(items, (), asyncio.get_running_loop().create_future()))

    async def load(self, ids: Collection[UUID]) -> Mapping[UUID, Deployment]:
        """The deployments as last committed; those that do not exist are absent, and those that are :attr:`halted`."""
        return await self._known.understood(ids)

    @property
    def halted(self) -> Mapping[UUID, str]:
        """The deployments that are left alone, as they hold events that this version does not know: which, in words."""
        return self._known.halted

    def in_memory(self, deployment_id: UUID) -> Deployment | None:
        """The deployment as last committed, if it need not be loaded."""
        return self._memory.deployment(deployment_id)

    def owner_of_route(self, route_id: UUID) -> UUID | None:
        """The deployment in memory that holds this route, found by looking through all of them."""
        return next((d.id for d in self._memory if route_id in d.routes), None)

    def forget(self) -> None:
        """Drop everything in memory: somebody else may own it now."""
        self._memory.clear()

    def forget_older(self, versions: Mapping[UUID, int]) -> None:
        """Drop deployments from memory that have come to these versions meanwhile, by somebody else's doing."""
        self._memory.drop_older(versions)

    async def run(self) -> None:
        """Decide and commit until cancelled; whoever still waits for an answer then is told that there will be none."""
        self._stopped = None
        try:
            while True:
                await self._next_batch()
                rest = self._in_hand
                while rest:
                    batch, rest = in_line(rest)
                    await self._settle(batch)
                self._in_hand = []
        except BaseException as error:
            stopped = DeciderStopped(f"the decider has ended: {error!r}")
            stopped.__cause__ = error
            self._stop(stopped)
            raise

    def _stop(self, stopped: DeciderStopped) -> None:
        self._stopped = stopped
        while not self._queue.empty():
            self._in_hand.append(self._queue.get_nowait())
        for submission in self._in_hand:
            submission.fail(stopped)
        self._in_hand = []

    async def _next_batch(self) -> None:
        batch = self._in_hand
        batch.append(await self._queue.get())
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

    async def _settle(self, batch: Sequence[Submission]) -> None:
        """Commit the batch, or tell each submission why it could not be."""
        progress = Progress()
        while batch:
            try:
                await self._commit(batch, progress)
            except PositionConflict as error:
                self.unavailable_since = None
                self.forget()
                batch = without(batch, error.origins)
            except DuplicateCommands as error:
                progress.duplicates |= error.keys
            except (LogUnavailable, DeadLettersUnavailable) as error:
                progress.unavailable += 1
                await self._wait(error, progress.unavailable)
            except (VersionConflict, EventTooLarge, UnknownEventType) as error:
                self.unavailable_since = None
                items = items_of(batch)
                self._memory.drop(deployment_ids(items), rejection_streams(items))
                progress.conflicts += 1
                if not progress.reads_all and begun_by(items):
                    # What was taken for new may be there: nobody gives up before that was looked at.
                    progress.reads_all = True
                elif progress.conflicts >= self._limits.conflict_attempts or not isinstance(error, VersionConflict):
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
        elif (refused := refused_instead(batch[0], error)) is not None:
            await self._settle([refused])
        else:
            batch[0].fail(error)

    async def _settle_items(self, submission: Submission) -> None:
        decided: list[Decided] = []
        for single in submission.singly():
            await self._settle([single])
            try:
                decided += await single.done
            except EventLogError as error:
                submission.fail(error)
                return
        submission.settle(decided)

    async def _wait(self, error: LogUnavailable | DeadLettersUnavailable, attempt: int) -> None:
        self.forget()
        self.unavailable_since, self.unavailable_reason = self.unavailable_since or self._clock(), str(error)
        delay = self._limits.unavailable_backoff.delay(attempt, random())  # noqa: S311 - spreads load, guards nothing
        log.warning("Trying to commit again in %.2f s: %s", delay, error)
        await asyncio.sleep(delay)

    async def _commit(self, batch: Sequence[Submission], progress: Progress) -> None:
        generation = self._memory.generation
        draft, decided = await self._drafting.draft(batch, progress)
        for refused in draft.refused.values():
            await progress.hand_over(refused, self._dead_letters)
        log_batch = draft.log_batch()
        positions: Sequence[int] = ()
        if not log_batch.is_empty:
            positions = await self._log.append(log_batch)
        self.unavailable_since, self._drafting.last_report_at = None, draft.last_report_at
        known = [state for state in draft.states.values() if state is not None]
        self._memory.remember(known, draft.stream_versions, generation=generation)
        for submission, answers in zip(batch, decided, strict=True):
            submission.settle(answers)
        self._tell(batch, draft, positions[-1] if positions else 0)

    def _tell(self, batch: Sequence[Submission], draft: Draft, position: int) -> None:
        commit = Commit(
            states=[state for key in draft.touched if (state := draft.states[key]) is not None],
            samples=draft.samples,
            position=position,
            submissions=batch,
            refused=draft.refused,
            events=draft.events,
        )
        self.traces.note(draft.events)
        for listener in self._listeners:
            listener(commit)
