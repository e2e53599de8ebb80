"""``routekeeper new-incarnation``: go on with a log that was restored from an older copy."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict

from rich.console import Group, RenderableType

from service.cli.moments import now
from service.cli.options import Output
from service.cli.output import Answer, OutputFormat, give
from service.cli.scaling_words import number
from service.cli.send_options import Actor
from service.kafka_access import kafka_or_embedded
from service.new_incarnation import NewIncarnation, begin_incarnation
from service.settings import Settings, load_settings
from service.stores import stores_of

#: How many deployments are named (count).
_NAMED = 20


def new_incarnation(*, actor: Actor, output: Output = OutputFormat.TABLE) -> None:
    """Go on with an event log that was restored from an older copy.

    Stop all workers and followers first: while one of them runs, this is refused. What the log holds is declared to be
    all that happened: endpoints are asserted or deleted again, routes are published as they should be, and views are
    built anew.

    Says what was done, and what cannot be known. Safe to repeat.
    """
    done = asyncio.run(_begin(load_settings(), actor))
    give(Answer(asdict(done), lambda _width: _drawn(done)), output)


async def _begin(settings: Settings, actor: str) -> NewIncarnation:
    async with kafka_or_embedded(settings) as kafka:
        return await begin_incarnation(settings, stores_of(settings), kafka, now=now(), actor=actor)


def _drawn(done: NewIncarnation) -> RenderableType:
    return Group(*_lines(done))


def _lines(done: NewIncarnation) -> Iterator[str]:
    yield f"incarnation {done.incarnation} of the log goes on from position {done.after_position}"
    yield f"{number(done.doubted, 'endpoint')} in doubt: asserted or deleted again by the next worker"
    yield f"{number(done.routes, 'route')} published anew, {number(done.ghosts, 'unknown route')} told to stop"
    yield "views: built anew by whoever follows the log"
    for lost in done.lost:
        yield (
            f"cannot be known: {lost.topic}/{lost.partition} was deleted from offset {lost.first} to {lost.last} "
            "before it was read; give the topics another epoch in the settings to read what is left of them"
        )
    for deployment_id in done.strangers[:_NAMED]:
        fate = "it comes back if its commands are read again, else look for its endpoint by hand"
        yield f"unknown to the log: deployment {deployment_id} had routes; {fate}"
    if len(done.strangers) > _NAMED:
        yield f"and {len(done.strangers) - _NAMED} more, see --output json"
