"""Looks over the reconciler's shoulder: what it runs, and when it has nothing more to do."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from unittest.mock import patch
from uuid import UUID

from domain.deployment import Deployment
from domain.operations import Operation
from handlers.commit import Commit
from handlers.reconciler import Reconciler


@dataclass
class ReconcilerWatch:
    """Notes each run of an operation, and as a defect when one raises or a deployment is in two at a time."""

    defects: list[str] = field(default_factory=list)
    runs: list[tuple[Operation, frozenset[UUID]]] = field(default_factory=list)
    busy: set[UUID] = field(default_factory=set)
    most_busy: int = 0
    committed: asyncio.Event = field(default_factory=asyncio.Event)
    looked_up: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, operation: Operation) -> int:
        """How often this operation was run (count)."""
        return sum(ran is operation for ran, _ in self.runs)

    def note(self, _commit: Commit) -> None:
        """Wake who waits for a commit."""
        self.committed.set()
        self.committed = asyncio.Event()

    async def idle(self, reconciler: Reconciler) -> None:
        """Wait until the reconciler has nothing to do at this moment of its clock."""
        await self.looked_up.wait()
        self._idle.clear()
        reconciler._wake.set()
        await self._idle.wait()

    @contextmanager
    def over(self, reconciler: Reconciler, clock: Callable[[], datetime]) -> Iterator[None]:
        """Watch this reconciler."""
        sleep, look_up, run = reconciler._sleep, reconciler._look_up_due, reconciler._reconciliation.run

        async def observed_sleep() -> None:
            if not _has_work(reconciler, clock()):
                self._idle.set()
            await sleep()

        async def observed_look_up(*, is_new_owner: bool = False) -> None:
            await look_up(is_new_owner=is_new_owner)
            if not reconciler._ownership.changed.is_set():
                self.looked_up.set()

        async def observed_run(operation: Operation, deployments: Sequence[Deployment]) -> None:
            with self._running(operation, frozenset(deployment.id for deployment in deployments)):
                await run(operation, deployments)

        with (
            patch.object(reconciler, "_sleep", observed_sleep),
            patch.object(reconciler, "_look_up_due", observed_look_up),
            patch.object(reconciler._reconciliation, "run", observed_run),
        ):
            yield

    @contextmanager
    def _running(self, operation: Operation, ids: frozenset[UUID]) -> Iterator[None]:
        if ids & self.busy:
            self.defects.append(f"{operation}: a deployment is in two operations at a time")
        self.runs.append((operation, ids))
        self.busy |= ids
        self.most_busy = max(self.most_busy, len(self.busy))
        try:
            yield
        except Exception as error:
            self.defects.append(f"{operation}: {error!r}")
            raise
        finally:
            self.busy -= ids


def _has_work(reconciler: Reconciler, now: datetime) -> bool:
    earliest = reconciler.earliest()
    due = earliest is not None and earliest <= now
    return due or bool(reconciler._busy) or reconciler._wake.is_set()
