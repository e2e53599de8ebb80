"""``routekeeper pause`` and ``routekeeper resume``: hold back effects, and let them go on."""

import asyncio
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import ValidationError

from adapters.kafka.encoding import encode_command
from domain.pauses import (
    PAUSES_ID,
    Everything,
    PauseCommand,
    PauseEffects,
    Pauses,
    ResourceGroup,
    ResumeEffects,
    Scope,
    SingleDeployment,
)
from handlers.pausing import stored_pauses
from service.cli.delivery import addressed, valid
from service.cli.errors import NoEffectSeen
from service.cli.model_files import complaints
from service.cli.moments import now
from service.cli.options import PerhapsDeployment
from service.cli.output import note
from service.cli.reading import reading_log
from service.cli.send_options import Actor, CommandId, Timeout
from service.cli.sending import SOURCE, produce
from service.cli.system_words import describe_scope
from service.kafka_access import known_kafka
from service.settings import Settings, load_settings

#: How often to look whether a command has taken effect (seconds).
_POLL_SECONDS = 0.1

All = Annotated[bool, typer.Option("--all", metavar="", help="Of everything.")]
Group = Annotated[
    str | None,
    typer.Option("--resource-group", "-g", metavar="NAME", help="Of all deployments of this resource group."),
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, for whoever finds it.")]
Wait = Annotated[bool, typer.Option("--wait", metavar="", help="Wait until the event log has it; 1 if it does not.")]


def pause(
    deployment: PerhapsDeployment = None,
    *,
    everything: All = False,
    resource_group: Group = None,
    reason: Reason = "",
    actor: Actor,
    command_id: CommandId = None,
    wait: Wait = False,
    timeout: Timeout = 30.0,
) -> None:
    """Hold back the effects of a deployment, of a resource group, or of everything.

    No calls to app proxies, no routes made or taken away, no scaling rules evaluated. Commands, reports and samples
    are recorded all the same, and what is under way is finished. Every worker knows within about a second.
    """
    scope = _scope(deployment, everything=everything, resource_group=resource_group)
    _ask(valid(PauseEffects, scope=scope, reason=reason), actor, command_id, timeout if wait else None)


def resume(
    deployment: PerhapsDeployment = None,
    *,
    everything: All = False,
    resource_group: Group = None,
    reason: Reason = "",
    actor: Actor,
    command_id: CommandId = None,
    wait: Wait = False,
    timeout: Timeout = 30.0,
) -> None:
    """Lift the pause of a deployment, of a resource group, or of everything.

    Only the pause of exactly that scope: after --all, what is paused by itself stays paused. See routekeeper get
    pauses.
    """
    scope = _scope(deployment, everything=everything, resource_group=resource_group)
    _ask(valid(ResumeEffects, scope=scope, reason=reason), actor, command_id, timeout if wait else None)


def _scope(deployment: str | None, *, everything: bool, resource_group: str | None) -> Scope:
    if [deployment is not None, everything, resource_group is not None].count(True) != 1:
        raise typer.BadParameter("name one of DEPLOYMENT, --resource-group and --all")
    if deployment is not None:
        return SingleDeployment(deployment_id=addressed(deployment))
    return Everything() if resource_group is None else valid(ResourceGroup, resource_group=resource_group)


def _ask(command: PauseCommand, actor: str, command_id: str | None, wait_seconds: float | None) -> None:
    settings = load_settings()
    connection = known_kafka(settings).connection
    topic = settings.kafka.topics.commands
    try:
        record = encode_command(command, source=SOURCE, id=command_id or str(uuid4()), actor=actor, time=now())
    except ValidationError as error:
        raise typer.BadParameter(complaints(error)) from None

    async def go() -> tuple[int, int]:
        placed = await produce(record, topic, connection)
        if wait_seconds is not None:
            await _await_effect(command, settings, wait_seconds)
        return placed

    partition, offset = asyncio.run(go())
    said = "paused" if isinstance(command, PauseEffects) else "resumed"
    done = "" if wait_seconds is not None else "to be "
    note(f"{describe_scope(command.scope)} {done}{said}: {type(command).__name__} is {topic}/{partition}@{offset}")


def _is_done(command: PauseCommand, pauses: Pauses) -> bool:
    return (command.scope in pauses.standing) is isinstance(command, PauseEffects)


async def _await_effect(command: PauseCommand, settings: Settings, seconds: float) -> None:
    with reading_log(settings) as log:
        try:
            async with asyncio.timeout(seconds):
                while not _is_done(command, await stored_pauses(log)):  # noqa: ASYNC110 - another process tells nobody
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            name = type(command).__name__
            raise NoEffectSeen(
                f"nothing was seen to come of {name} (key {PAUSES_ID}) within {seconds:g} s: is a worker running?"
            ) from None
