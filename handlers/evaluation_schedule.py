"""When the rules of each deployment are evaluated next: soon after news, or when the last evaluation said.

There is no tick: whoever has no news and nothing to wait for is never looked at.
"""

from collections.abc import Callable, Collection, Container
from datetime import datetime, timedelta
from uuid import UUID

from domain.deployment import Deployment
from domain.operations import Operation
from domain.work import scales
from handlers.due_queue import DueQueue


class EvaluationSchedule:
    """Holds who is to be evaluated when.

    What comes within ``debounce_seconds`` of the first news of a deployment is answered by one evaluation.
    """

    def __init__(self, clock: Callable[[], datetime], *, debounce_seconds: float) -> None:
        self._clock = clock
        self._debounce = timedelta(seconds=debounce_seconds)
        self._queue = DueQueue()
        self._waiting: set[UUID] = set()

    def has_news(self, deployment_id: UUID) -> None:
        """Evaluate soon: samples have arrived."""
        self._queue.bring_forward(deployment_id, self._clock() + self._debounce)

    def has_changed(self, state: Deployment) -> None:
        """Evaluate soon if there is anything to evaluate, after a failure not before the time to try again."""
        if not scales(state):
            self._queue.put(state.id, None)
            return
        soon = self._clock() + self._debounce
        failure = state.failures.get(Operation.CALCULATE)
        self._queue.bring_forward(state.id, soon if failure is None else max(soon, failure.next_attempt_at))

    def evaluate_all(self, ids: Collection[UUID]) -> None:
        """Evaluate now: nothing is known of when they were to be."""
        now = self._clock()
        for deployment_id in ids:
            self._queue.bring_forward(deployment_id, now)

    def evaluated(self, deployment_id: UUID, due_at: datetime | None) -> None:
        """Evaluate again at ``due_at`` if there is no news before (``None``: only after news)."""
        if due_at is not None:
            self._queue.bring_forward(deployment_id, due_at)

    def take(self, now: datetime, limit: int, *, busy: Container[UUID]) -> set[UUID]:
        """Remove and give at most ``limit`` who are due; those in ``busy`` wait until :meth:`idle`."""
        due = self._queue.take(now, limit, skip=())
        waiting = {deployment_id for deployment_id in due if deployment_id in busy}
        self._waiting |= waiting
        return set(due) - waiting

    def put_off(self, deployment_id: UUID) -> None:
        """Wait until :meth:`idle`: there is other work to do first."""
        self._waiting.add(deployment_id)

    def idle(self, deployment_id: UUID) -> None:
        """Go on with who is not busy any more."""
        if deployment_id in self._waiting:
            self._waiting.remove(deployment_id)
            self._queue.bring_forward(deployment_id, self._clock())

    def earliest(self) -> datetime | None:
        """When the next one is due."""
        return self._queue.earliest()

    def forget(self, deployment_id: UUID) -> None:
        """Never evaluate it again."""
        self._queue.put(deployment_id, None)
        self._waiting.discard(deployment_id)

    def clear(self) -> None:
        """Forget everybody."""
        self._queue.clear()
        self._waiting.clear()
