"""Waiting until it is known what became of a command: accepted, and visible in the views, or refused."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from adapters.event_store.event_log import RecorderEventLog
from domain.recorded import LoggedEvent, RecordCause
from projections.deployments import resolve_deployment
from projections.errors import UnknownDeployment
from projections.rejected_records import find_rejected_records
from service.cli.errors import CommandRefused, NoEffectSeen, ViewsMissing, ViewsUnreadable
from service.cli.reading import reading_log, reading_views
from service.cli.sending import SentCommand
from service.settings import Settings

#: How often to look (seconds), and at how many events of the log at most (count).
_POLL_SECONDS = 0.1
_EVENTS_A_LOOK = 1000


async def send_and_await(
    send: Callable[[], Awaitable[SentCommand]], settings: Settings, *, seconds: float
) -> SentCommand:
    """Send a command and wait, at most ``seconds``, until the views show what it did.

    Raises :class:`CommandRefused` with the recorded reason, :class:`NoEffectSeen`, what sending raises, and before
    anything is sent :class:`~service.cli.errors.LogMissing`.
    """
    with reading_log(settings) as log:
        head = await log.head()
        sent = await send()
        try:
            async with asyncio.timeout(seconds):
                effect = await _accepted(log, sent, settings, after=head)
                await _shown(effect, settings)
        except TimeoutError:
            raise NoEffectSeen(
                f"nothing was seen to come of {sent.command} for deployment {sent.deployment_id} within {seconds:g} s "
                f"(it is {sent.topic}/{sent.partition}@{sent.offset}): is a worker running?"
            ) from None
    return replace(sent, position=effect.position, version=effect.recorded.version)


async def _accepted(log: RecorderEventLog, sent: SentCommand, settings: Settings, *, after: int) -> LoggedEvent:
    """The last event that the command led to, be it that it had no effect."""
    # A command that was sent before, with the same id, had its one outcome then.
    events = await log.stream(sent.deployment_id)
    while (effect := _caused_by(sent, events)) is None:
        _raise_if_refused(sent, settings)
        await asyncio.sleep(_POLL_SECONDS)
        events = await log.read(after=after, limit=_EVENTS_A_LOOK)
        after = events[-1].position if events else after
    return effect


def _caused_by(sent: SentCommand, events: Iterable[LoggedEvent]) -> LoggedEvent | None:
    for logged in sorted(events, key=lambda logged: logged.position, reverse=True):
        cause = logged.recorded.cause
        if isinstance(cause, RecordCause) and (cause.source, cause.id) == (sent.source, sent.id):
            return logged
    return None


def _raise_if_refused(sent: SentCommand, settings: Settings) -> None:
    refused = []
    with suppress(ViewsMissing, ViewsUnreadable), reading_views(settings) as connection:
        refused = find_rejected_records(connection, source=sent.source, record_id=sent.id, limit=1)
    if refused:
        row = refused[0]
        where = f" ({row.field} is {row.value})" if row.value else ""
        raise CommandRefused(f"{sent.command} was refused: {row.reason}{where} [{row.code}]")


async def _shown(effect: LoggedEvent, settings: Settings) -> None:
    reference, version = str(effect.recorded.stream_id), 0
    while True:
        with suppress(ViewsMissing, ViewsUnreadable, UnknownDeployment), reading_views(settings) as connection:
            version = resolve_deployment(connection, reference).version
        if version >= effect.recorded.version:
            return
        await asyncio.sleep(_POLL_SECONDS)
