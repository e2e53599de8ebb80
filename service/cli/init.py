"""``routekeeper init``: what has to be there before the first worker starts."""

import asyncio
import re
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from adapters.kafka.connection import KafkaConnection
from adapters.kafka.head_publisher import ensure_heads_topic
from adapters.kafka.partitions import raise_partitions
from adapters.kafka.topics import Topics, check_copartitioning, ensure_topics
from adapters.postgres.roles import Roles
from service.kafka_access import NoBroker, known_kafka
from service.postgres_stores import PostgresStores
from service.settings import Settings, load_settings
from service.stores import stores_of

#: What PostgreSQL takes without quotes, with room for what follows.
_ROLE_PREFIX: Final = re.compile(r"[a-z_][a-z0-9_]{0,49}")


def init(
    *,
    roles: Annotated[
        bool, typer.Option("--roles", metavar="", help="Also make roles of PostgreSQL: owner, writer and reader.")
    ] = False,
    role_prefix: Annotated[
        str, typer.Option(metavar="NAME", help="What the names of the roles begin with.")
    ] = "routekeeper",
    repartition: Annotated[
        bool,
        typer.Option("--repartition", metavar="", help="Also raise the partitions of the input topics to one number."),
    ] = False,
) -> None:
    """Create the event log, the views' schema and the topics where they are missing, and say what was done.

    Safe to repeat. A worker does the same when it starts, as far as its rights allow.

    --roles is for a superuser, or for whoever may create roles and owns the database.

    --repartition gives each input topic as many partitions as the largest has, or ROUTEKEEPER_KAFKA__TOPICS__PARTITIONS
    if that is more; never less than it has. Stop the workers before.
    """
    if not _ROLE_PREFIX.fullmatch(role_prefix):
        message = f"{role_prefix!r} is not made of lower-case letters, digits and underscores, 50 at most"
        raise typer.BadParameter(message, param_hint="--role-prefix")
    for step in _steps(load_settings(), Roles(role_prefix) if roles else None, repartition=repartition):
        typer.echo(step)


def _steps(settings: Settings, roles: Roles | None, *, repartition: bool) -> Iterator[str]:
    stores = stores_of(settings)
    if roles is not None:
        if not isinstance(stores, PostgresStores):
            message = "only PostgreSQL has roles: set ROUTEKEEPER_DATABASE__URL"
            raise typer.BadParameter(message, param_hint="--roles")
        yield from stores.create()
        yield from stores.create_roles(roles)
    else:
        yield from stores.create()
    try:
        connection = known_kafka(settings).connection
    except NoBroker:
        yield "topics: ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS is unset, so a worker starts a broker and makes them there"
    else:
        yield from asyncio.run(_topics(connection, settings.kafka.topics, repartition=repartition))
        if settings.audit.heads_topic is not None:
            yield asyncio.run(_heads_topic(connection, settings.audit.heads_topic, settings.kafka.topics))


async def _topics(connection: KafkaConnection, topics: Topics, *, repartition: bool) -> list[str]:
    created = await ensure_topics(connection, topics)
    raised = await raise_partitions(connection, topics) if repartition else {}
    partitions = await check_copartitioning(connection, topics)
    steps = [f"topic {topic}: {'created' if topic in created else 'is there'}" for topic in topics.all]
    steps += [f"topic {topic}: raised from {before} to {after} partitions" for topic, (before, after) in raised.items()]
    return [*steps, f"partitions of {', '.join(topics.inputs)}: {partitions} each"]


async def _heads_topic(connection: KafkaConnection, name: str, topics: Topics) -> str:
    is_new = await ensure_heads_topic(connection, name, replication_factor=topics.replication_factor)
    return f"topic {name}: {'created' if is_new else 'is there'}"
