"""From a command line to a command that is on its way, and what is printed of it."""

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import typer
from pydantic import ValidationError

from adapters.kafka.encoding import encode_command, topic_of
from domain.commands import ExternalCommand
from domain.message import Message
from domain.revision import HealthCheck, Revision
from service.cli.effects import send_and_await
from service.cli.model_files import complaints, read_model
from service.cli.moments import now
from service.cli.output import OutputFormat, note, write
from service.cli.reading import deployment_id
from service.cli.sending import SOURCE, SentCommand, produce
from service.kafka_access import known_kafka
from service.settings import load_settings

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a command is sent: on whose behalf, under which id, whether to wait and how long (seconds)."""

    actor: str
    command_id: str | None
    wait: bool
    timeout: float
    output: OutputFormat


def deliver(command: ExternalCommand, delivery: Delivery) -> None:
    """Send a command, and print the deployment's id, or for programs all about what was sent.

    Raises what sending and waiting raise.
    """
    settings = load_settings()
    connection = known_kafka(settings).connection
    topic = topic_of(command, settings.kafka.topics)
    name = delivery.command_id or str(uuid4())
    try:
        record = encode_command(command, source=SOURCE, id=name, actor=delivery.actor, time=now())
    except ValidationError as error:
        raise typer.BadParameter(complaints(error)) from None

    async def send() -> SentCommand:
        partition, offset = await produce(record, topic, connection)
        return SentCommand(
            deployment_id=command.deployment_id,
            command=type(command).__name__,
            source=SOURCE,
            id=name,
            actor=delivery.actor,
            topic=topic,
            partition=partition,
            offset=offset,
        )

    async def go() -> SentCommand:
        return await send_and_await(send, settings, seconds=delivery.timeout) if delivery.wait else await send()

    sent = asyncio.run(go())
    if delivery.output is not OutputFormat.TABLE:
        write(asdict(sent), delivery.output)
        return
    typer.echo(sent.deployment_id)
    where = f"{sent.command} is {sent.topic}/{sent.partition}@{sent.offset}"
    note(where if sent.position is None else f"{where}, accepted: position {sent.position}, version {sent.version}")


def addressed(deployment: str) -> UUID:
    """The id of the deployment that a command is for. Raises what :func:`service.cli.reading.deployment_id` raises."""
    return deployment_id(load_settings(), deployment)


def valid(model: type[M], /, **fields: object) -> M:
    """Make a value of what was given. Raises ``typer.BadParameter``, which names each field at fault and its value."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise typer.BadParameter(complaints(error)) from None


def revision_of(image: str, model: str, runtime: str, revision_id: UUID | None, health_check: Path | None) -> Revision:
    """Make a revision of what was given; ``health_check`` is a file. Raises ``typer.BadParameter``."""
    return valid(
        Revision,
        revision_id=revision_id or uuid4(),
        image=image,
        model=model,
        runtime_variant=runtime,
        health_check=read_model(health_check, HealthCheck, what="health check") if health_check else None,
    )
