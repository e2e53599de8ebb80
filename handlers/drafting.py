"""Drafts a batch: looks up what its items need, and has them decided on that."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from uuid import UUID

from handlers.draft import DecisionContext, Draft
from handlers.known_deployments import KnownDeployments
from handlers.pausing import pauses_for
from handlers.ports import DecisionLog
from handlers.progress import Progress
from handlers.submission import Decided, Submission, begun_by, deployment_ids, items_of, rejection_streams

#: A batch in the making, with the answers to each of its submissions.
Drafted = tuple[Draft, Sequence[Sequence[Decided]]]


class Drafting:
    """Makes drafts on what is known; ``last_report_at`` is when the last samples that were committed were received."""

    def __init__(
        self, event_log: DecisionLog, context: DecisionContext, known: KnownDeployments, clock: Callable[[], datetime]
    ) -> None:
        self.last_report_at: datetime | None = None
        self._log = event_log
        self._context = context
        self._known = known
        self._clock = clock

    async def draft(self, batch: Sequence[Submission], progress: Progress) -> Drafted:
        """Decide the batch. Raises what the log raises.

        A deployment that is to be created is not asked for, which took a sixth of the time of a commit at 200 creations
        a second: as a rule it is not there, and if it is, its first event finds its place taken, which is a conflict.
        After one, everything is asked for.
        """
        begun = set() if progress.reads_all else begun_by(items_of(batch))
        draft, decided = await self._draft(batch, progress, unread=begun)
        if any(draft.states[key] is None for key in begun) or (begun and draft.refused):
            # A creation that was refused or is a repetition conflicts with nothing, and refused records are handed over
            # before anything can: both must be decided on what is there.
            return await self._draft(batch, progress, unread=())
        return draft, decided

    async def _draft(self, batch: Sequence[Submission], progress: Progress, *, unread: Collection[UUID]) -> Drafted:
        items = items_of(batch)
        draft = Draft(
            context=self._context,
            now=self._clock(),
            states=dict.fromkeys(ids := deployment_ids(items)) | dict(await self._known.all(ids, unread)),
            stream_versions=await self._known.stream_versions(rejection_streams(items)),
            duplicates=progress.duplicates,
            pauses=await pauses_for(items, self._log),
            last_report_at=self.last_report_at,
        )
        return draft, [draft.add(submission) for submission in batch]
