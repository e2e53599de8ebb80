"""Turns state into work: finds who is due, hands them in bounded batches to the executor, and looks again after."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from domain.chunks import chunks
from domain.deployment import Deployment, Lifecycle
from domain.limits import DecisionLimits
from domain.operations import Operation
from domain.pauses import Pauses
from domain.work import Work, next_work, scales
from handlers.commit import Commit
from handlers.decider import Decider
from handlers.due_queue import DueQueue
from handlers.evaluation_schedule import EvaluationSchedule
from handlers.lanes import Lane, Lanes
from handlers.ownership import Ownership
from handlers.patience import load_patiently
from handlers.pausing import PauseGate
from handlers.ports import DueWork, EventLog, LogUnavailable
from handlers.reconciler_limits import ReconcilerLimits
from handlers.reconciliation import Reconciliation
from handlers.scaling_memory import ScalingMemory

log = logging.getLogger(__name__)

_DEFAULT_LIMITS = ReconcilerLimits()


class Reconciler:
    """Keeps at most one operation at a time under way for a deployment.

    Nothing here is durable: who is due is derived from the log's ``due_work`` and from each committed state.
    """

    def __init__(
        self,
        event_log: EventLog,
        decider: Decider,
        reconciliation: Reconciliation,
        ownership: Ownership,
        scaling: ScalingMemory,
        *,
        clock: Callable[[], datetime],
        decision_limits: DecisionLimits,
        limits: ReconcilerLimits = _DEFAULT_LIMITS,
        gate: PauseGate | None = None,
    ) -> None:
        self._log = event_log
        self._decider = decider
        self._reconciliation = reconciliation
        self._ownership = ownership
        self._scaling = scaling
        self._clock = clock
        self._decision_limits = decision_limits
        self._limits = limits
        self._gate = gate or PauseGate(Pauses())
        self._queue = DueQueue()
        self._evaluations = EvaluationSchedule(clock, debounce_seconds=limits.debounce_seconds)
        self._busy: dict[UUID, asyncio.Task[Mapping[UUID, Deployment]]] = {}
        self._news: dict[UUID, Deployment] = {}
        self._stuck: dict[UUID, int] = {}
        self._lanes = Lanes(limits.lanes, limits.batches)
        self._wake = asyncio.Event()
        self._is_draining = False
        decider.listen(self.committed)
        self._gate.listen(self._resumed)

    @property
    def queue(self) -> DueQueue:
        """Who is due when."""
        return self._queue

    def committed(self, commit: Commit) -> None:
        """Take note of what is due now, and of samples that rules are to be held against."""
        for state in commit.states:
            if state.id in self._busy:
                self._news[state.id] = state
            elif self._ownership.owns(state.id):
                self._schedule(state)
            if self._ownership.owns(state.id):
                self._evaluations.has_changed(state)
            if not scales(state):
                self._scaling.forget(state.id)
            if state.lifecycle is Lifecycle.DESTROYED:
                self._evaluations.forget(state.id)
                self._stuck.pop(state.id, None)
        for report in commit.samples:
            if self._ownership.owns(report.deployment_id) and self._scaling.add(report):
                self._evaluations.has_news(report.deployment_id)
        self._wake.set()

    def earliest(self) -> datetime | None:
        """When the next work or evaluation is due that is known of."""
        return min((due for due in (self._queue.earliest(), self._evaluations.earliest()) if due), default=None)

    def look_again(self, groups: Collection[str]) -> None:
        """The app proxies of these scaling groups changed: see at once who waited for that."""
        self._reconciliation.note_changed_proxies(groups)
        self._ownership.changed.set()

    async def drain(self, seconds: float) -> None:
        """Begin nothing more, and wait at most ``seconds`` for the operations under way and their results."""
        self._is_draining = True
        if self._busy:
            await asyncio.wait(set(self._busy.values()), timeout=seconds)

    async def run(self) -> None:
        """Reconcile until cancelled; then operations under way are cancelled too."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_ownership())
            while not self._is_draining:
                self._wake.clear()
                await self._dispatch(group)
                await self._sleep()

    async def _follow_ownership(self) -> None:
        """Ask the log who is due soon: whenever partitions come or go, and every now and then."""
        failures, is_new_owner = 0, True
        while True:
            self._ownership.changed.clear()
            delay = self._limits.poll_seconds
            try:
                await self._look_up_due(is_new_owner=is_new_owner)
                failures, is_new_owner = 0, False
            except LogUnavailable as error:
                failures += 1
                delay = min(delay, self._limits.stuck_backoff.delay(failures, 0.0))
                log.warning("Cannot ask who is due, trying again in %.1f s: %s", delay, error)
            try:
                async with asyncio.timeout(delay):
                    await self._ownership.changed.wait()
                self._give_up_lost()
                is_new_owner = True
            except TimeoutError:
                continue

    async def _look_up_due(self, *, is_new_owner: bool = False) -> None:
        """Queue who is due until the look after next. Who is new here looks at those too that wait for settings."""
        ownership, now = self._ownership, self._clock()
        ahead = max(2 * self._limits.poll_seconds, self._reconciliation.slow_retry_seconds if is_new_owner else 0.0)
        until = now + timedelta(seconds=ahead)
        due = await self._log.due_work(partitions=ownership.partitions, of=ownership.count, until=until)
        # A record in a foreign partition is handled by somebody else: what is in memory here does not know of it.
        self._decider.forget_older({work.deployment_id: work.version for work in due})
        idle = [work for work in due if not self._has_in_hand(work.deployment_id)]
        unheard = [w for w in idle if w.due_at and w.due_at <= now and not self._queue.is_due(w.deployment_id, now)]
        for work in idle:
            if work.due_at is not None:
                due_at = min(work.due_at, now) if is_new_owner else work.due_at
                self._queue.bring_forward(work.deployment_id, due_at)
        if not is_new_owner:
            await self._hear_of(unheard)
        else:
            all_scaling = await self._log.scaling_deployments(partitions=ownership.partitions, of=ownership.count)
            self._evaluations.evaluate_all(all_scaling)
        self._wake.set()

    def _has_in_hand(self, key: UUID) -> bool:
        return key in self._busy or key in self._stuck or self._gate.holds(key)

    async def _hear_of(self, unheard: Sequence[DueWork]) -> None:
        """Look at those that somebody else has handled records of, and has therefore marked as due."""
        for work in unheard:
            self._scaling.forget(work.deployment_id)
        self._evaluations.evaluate_all([work.deployment_id for work in unheard if work.scales])
        await self._decider.restate_due([work.deployment_id for work in unheard])

    def _give_up_lost(self) -> None:
        """Cancel what is under way for deployments that somebody else decides for now."""
        self._queue.clear()
        self._stuck.clear()
        self._evaluations.clear()
        self._scaling.clear()
        self._gate.forget(lambda key: not self._ownership.owns(key))
        for deployment_id, task in list(self._busy.items()):
            if not self._ownership.owns(deployment_id):
                task.cancel()

    async def _sleep(self) -> None:
        """Wait for news or for the next one to be due; never for long, as the clock may be set meanwhile."""
        earliest = self.earliest()
        delay = self._limits.poll_seconds
        if earliest is not None:
            delay = min(delay, max(0.0, (earliest - self._clock()).total_seconds()))
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        """Start a run of each operation that somebody is due for."""
        now = self._clock()
        due = self._queue.take(now, self._limits.dispatch_size, skip=self._busy)
        evaluate = self._evaluations.take(now, self._limits.dispatch_size, busy=self._busy)
        ids = [key for key in evaluate.union(due) if self._ownership.owns(key)]
        planned = self._plan(due, evaluate, self._gate.admit(await self._load(ids), evaluate), now)
        if self._is_draining:
            return
        for lane, some in planned.items():
            for batch in chunks(some, self._limits.batch_size):
                self._start(group, lane, batch)

    def _plan(
        self, due: Sequence[UUID], evaluate: set[UUID], states: Mapping[UUID, Deployment], now: datetime
    ) -> Mapping[Lane, Sequence[UUID]]:
        """Say who goes in which lane. Who has other work to do is evaluated after it."""
        planned: dict[Lane, list[UUID]] = {}
        for key in due:
            work = self._work(states[key]) if key in states else None
            if work is not None and work.due_at <= now:
                planned.setdefault(self._lanes.of(work.operation, states[key]), []).append(key)
                if key in evaluate:
                    evaluate.remove(key)
                    self._evaluations.put_off(key)
            elif key in states and key not in self._queue:  # put again during the load, it knows better than this state
                self._schedule(states[key])
        for key in evaluate:
            if key in states and scales(states[key]):
                failure = states[key].failures.get(Operation.CALCULATE)
                if failure is not None and failure.next_attempt_at > now:
                    self._evaluations.has_changed(states[key])
                else:
                    planned.setdefault(self._lanes.of(Operation.CALCULATE, states[key]), []).append(key)
        return planned

    def _start(self, group: asyncio.TaskGroup, lane: Lane, ids: Sequence[UUID]) -> None:
        task = group.create_task(self._run(lane, ids))
        self._busy.update(dict.fromkeys(ids, task))
        # Not at the end of the task itself: one that is cancelled before its first step never comes to its end.
        task.add_done_callback(partial(self._ended, lane[0], ids))

    async def _run(self, lane: Lane, ids: Sequence[UUID]) -> Mapping[UUID, Deployment]:
        """Do the lane's operation, and give the deployments as they were before it."""
        operation, _ = lane
        async with self._lanes.slot(lane):
            # Pauses may have come while this run waited for its turn.
            before = self._gate.admit(await self._load(ids), ids if operation is Operation.CALCULATE else ())
            try:
                await self._reconciliation.run(operation, list(before.values()))
            except Exception:
                # The outermost loop of background work: a defect in one round must not end all of them.
                log.exception("Operation %s failed for %d deployments", operation, len(ids))
            return before

    def _ended(self, operation: Operation, ids: Sequence[UUID], task: asyncio.Task[Mapping[UUID, Deployment]]) -> None:
        """See what comes next for each deployment of a run that ended or was cut off."""
        cut_off = task.cancelled() or task.exception() is not None
        states = {} if cut_off else task.result()
        for key in ids:
            del self._busy[key]
            news, before = self._news.pop(key, None), states.get(key)
            if operation is Operation.CALCULATE:
                self._evaluations.evaluated(key, self._clock() if cut_off else self._scaling.due_at(key))
            self._evaluations.idle(key)
            if cut_off:
                self._queue.put(key, self._clock())
            elif before is not None:
                self._look_again(operation, before, max(before, news or before, key=lambda state: state.version))
        self._wake.set()

    async def _load(self, ids: Collection[UUID]) -> Mapping[UUID, Deployment]:
        return await load_patiently(self._decider, ids, self._limits.stuck_backoff)

    def _resumed(self, due: Collection[UUID], to_evaluate: Collection[UUID]) -> None:
        """Look at once at those whom a pause has held back."""
        for key in due:
            self._queue.put(key, self._clock())
        self._evaluations.evaluate_all(to_evaluate)
        self._wake.set()

    def _look_again(self, operation: Operation, before: Deployment, state: Deployment) -> None:
        """Schedule what comes next. Work that changed nothing is not repeated at once: what keeps it back may pass."""
        work = self._work(state)
        now = self._clock()
        if work is None or work.due_at > now or state.version > before.version:
            self._stuck.pop(state.id, None)
            self._schedule(state)
        elif work.operation is operation:
            attempts = self._stuck[state.id] = self._stuck.get(state.id, 0) + 1
            delay = self._limits.stuck_backoff.delay(attempts, 0.0)
            self._queue.put(state.id, now + timedelta(seconds=delay))
        elif state.id not in self._queue:
            self._schedule(state)

    def _work(self, state: Deployment) -> Work | None:
        """What is next for the deployment; without delay if it waited only for a proxy that the settings name now."""
        work = next_work(state, self._decision_limits)
        if work is not None and self._reconciliation.has_proxy_again(work.operation, state):
            return Work(state.created_at, work.operation)
        return work

    def _schedule(self, state: Deployment) -> None:
        work = self._work(state)
        self._queue.put(state.id, work.due_at if work else None)
