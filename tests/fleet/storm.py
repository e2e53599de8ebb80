"""A load that is sent while workers are killed and services struck, and what must hold when it is over."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from random import Random
from uuid import UUID

import psycopg
from aiokafka import AIOKafkaProducer

from domain.deployment import Lifecycle
from domain.rejections import RecordsRejected
from handlers.ports import Outcome
from projections.deployments import DeploymentRow, find_deployments
from service.cli.errors import ViewsMissing, ViewsUnreadable
from service.cli.reading import reading_views
from service.stores import stores_of
from tests.fleet.fleet import Fleet
from tests.fleet.load import SOURCE, Load, send
from tests.oracle import assert_one_story, whole_log


@dataclass(frozen=True)
class Strike:
    """Something that is done to the fleet; ``is_calm``: only when the broker has everything that was sent."""

    name: str
    do: Callable[[Fleet, Random], Awaitable[None]]
    is_calm: bool = False


async def _kill(fleet: Fleet, dice: Random) -> None:
    await fleet.kill(dice.randrange(len(fleet.workers)))


async def _cut(fleet: Fleet, _: Random) -> None:
    await asyncio.to_thread(fleet.cut_database_connections)


KILL = Strike("kill -9 of a worker", _kill)
CUT = Strike("all connections to the database cut", _cut)


async def storm(
    fleet: Fleet,
    load: Load,
    strikes: Sequence[Strike],
    dice: Random,
    *,
    tell: Callable[[str], None] = lambda _: None,
    pause: float = 1.0,
) -> None:
    """Send the load in pieces, one for each strike, and strike at a random moment of each.

    ``pause`` is the longest time between two strikes (seconds).
    """
    topic = fleet.settings.kafka.topics.commands
    producer = AIOKafkaProducer(
        acks="all",
        enable_idempotence=fleet.connection.has_idempotent_producers,
        **fleet.connection.client_options(),
    )
    await producer.start()
    sent = 0
    try:
        *pieces, last = load.pieces(len(strikes) + 1)
        for number, (strike, piece) in enumerate(zip(strikes, pieces, strict=True), 1):
            sending = asyncio.create_task(send(producer, topic, piece))
            if strike.is_calm:
                await sending
            await asyncio.sleep(dice.uniform(0, 0.3))
            before = await asyncio.to_thread(_handled, fleet)
            tell(f"strike {number} of {len(strikes)}, after {before} of {len(load.records)} records: {strike.name}")
            await strike.do(fleet, dice)
            await sending
            sent += len(piece)
            # The next strike is to hit workers that work, not those that only begin to.
            _ = await until_handled(fleet, more_than=before, at_most=sent)
            await asyncio.sleep(dice.uniform(0, pause))
        await send(producer, topic, last)
    finally:
        await producer.stop()


async def until_handled(fleet: Fleet, *, more_than: int, at_most: int, within: float = 90.0) -> int:
    """Wait until more commands are handled than ``more_than``, or ``at_most`` are; gives how many (counts)."""
    async with asyncio.timeout(within):
        while (handled := await asyncio.to_thread(_handled, fleet)) <= more_than and handled < at_most:  # noqa: ASYNC110 - only the database knows
            await asyncio.sleep(0.02)
    return handled


def _handled(fleet: Fleet) -> int:
    """How many records of the commands topic have been handled; none while the database is away."""
    schema = fleet.settings.database.log_schema
    try:
        with psycopg.connect(fleet.database_url, options=f"-c search_path={schema}") as connection:
            topic = [fleet.settings.kafka.topics.commands]
            row = connection.execute("SELECT coalesce(sum(next), 0) FROM positions WHERE topic = %s", topic).fetchone()
            return int(row[0]) if row else 0
    except psycopg.OperationalError:
        return 0


async def until_settled(
    fleet: Fleet, load: Load, *, within: float, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Wait until every record is handled and the views show every deployment as it has to be.

    Fails after ``within`` seconds without progress.
    """
    _ = await until_handled(fleet, more_than=len(load.records), at_most=len(load.records))
    loop = asyncio.get_running_loop()
    best, since = len(load.wanted) + 1, loop.time()
    while unsettled := await asyncio.to_thread(_unsettled, fleet, load):
        if len(unsettled) < best:
            best, since = len(unsettled), loop.time()
            tell(f"{best} of {len(load.wanted)} deployments are on their way")
        assert loop.time() < since + within, f"{best} are stuck, e.g. {list(unsettled.items())[:2]}"
        await asyncio.sleep(0.2)


def _unsettled(fleet: Fleet, load: Load) -> dict[UUID, DeploymentRow | None]:
    rows: dict[UUID, DeploymentRow] = {}
    with suppress(ViewsMissing, ViewsUnreadable), reading_views(fleet.settings) as connection:
        rows = {row.id: row for row in find_deployments(connection, destroyed=True, limit=len(load.wanted) + 1)}
    return {
        each: rows.get(each)
        for each, count in load.wanted.items()
        if each not in rows or not _is_settled(rows[each], count)
    }


def _is_settled(row: DeploymentRow, count: int | None) -> bool:
    if count is None:
        return row.lifecycle is Lifecycle.DESTROYED
    wanted = (Lifecycle.READY, count, count, count)
    return (row.lifecycle, row.target_replica_count, row.active_replicas, row.healthy_replicas) == wanted


async def assert_exactly_right(fleet: Fleet, load: Load) -> None:
    """Check everything: one story of log, views and proxy, of every command the outcome that it must have."""
    stores = stores_of(fleet.settings)
    with closing(stores.read_log()) as log:
        views = stores.read_views()
        circuits = {circuit.endpoint_id for circuit in fleet.proxy.circuits.all()}
        states = await assert_one_story(log, views, circuits)
        views.dispose()
        events = await whole_log(log)
    _same(set(states), set(load.wanted), "deployments")
    _same(circuits, {each for each, count in load.wanted.items() if count is not None}, "endpoints at the proxy")
    _same(set(await asyncio.to_thread(_outcomes, fleet)), set(load.outcomes.items()), "outcomes")
    refused = [
        (event.topic, event.partition, record.offset)
        for logged in events
        if isinstance(event := logged.recorded.event, RecordsRejected)
        and event.topic == fleet.settings.kafka.topics.commands
        for record in event.records
    ]
    assert len(refused) == len(set(refused)), "a refused record was written down twice"
    to_be_refused = load.poison + sum(outcome is Outcome.REJECTED for outcome in load.outcomes.values())
    assert len(refused) == to_be_refused, f"{len(refused)} records were refused instead of {to_be_refused}"


def _outcomes(fleet: Fleet) -> list[tuple[str, str]]:
    schema = fleet.settings.database.log_schema
    with psycopg.connect(fleet.database_url, options=f"-c search_path={schema}") as connection:
        return connection.execute("SELECT id, outcome FROM command_outcomes WHERE source = %s", [SOURCE]).fetchall()


def _same(found: Collection[object], wanted: Collection[object], what: str) -> None:
    """Outside pytest an assertion says nothing of itself."""
    lost, extra = set(wanted) - set(found), set(found) - set(wanted)
    assert not lost, f"{what}: {len(lost)} are missing, e.g. {next(iter(lost))}"
    assert not extra, f"{what}: {len(extra)} are too many, e.g. {next(iter(extra))}"
