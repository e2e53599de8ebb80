from dataclasses import replace

from sqlalchemy import BigInteger, Column, Engine, Index, MetaData, Table, inspect, select

from domain.events import DeploymentCreated, ReplicaCountSet
from domain.recorded import LoggedEvent
from projections.columns import count, word
from projections.placement import find_view_positions
from projections.rows import Rows
from projections.runner import ProjectionRunner
from projections.view import View
from tests.projection_support import MemoryLog, after, created, log_of

OLD = Table("sizes", MetaData(), word("id", key=True), word("name"), Index("ix_sizes_name", "name"))
OLD_EXTRA = Table("sizes_seen", MetaData(), Column("position", BigInteger, primary_key=True))
NEW = Table("sizes", MetaData(), word("id", key=True), count("size"), Index("ix_sizes_size", "size"))


def _fold_old(rows: Rows, logged: LoggedEvent) -> None:
    event = logged.recorded.event
    if isinstance(event, DeploymentCreated):
        rows.of(OLD).put({"id": str(event.deployment_id), "name": event.deployment_name})
        rows.of(OLD_EXTRA).append({"position": logged.position})


def _fold_new(rows: Rows, logged: LoggedEvent) -> None:
    event = logged.recorded.event
    if isinstance(event, DeploymentCreated | ReplicaCountSet):
        rows.of(NEW).put({"id": str(logged.recorded.stream_id), "size": event.replica_count})


VERSION_1 = View(
    name="sizes", version=1, tables=(OLD, OLD_EXTRA), handles=frozenset({DeploymentCreated}), fold=_fold_old
)
VERSION_2 = View(
    name="sizes", version=2, tables=(NEW,), handles=frozenset({DeploymentCreated, ReplicaCountSet}), fold=_fold_new
)


def resized(number: int) -> ReplicaCountSet:
    return ReplicaCountSet(at=after(number), previous=number, replica_count=number + 1)


def long_log() -> MemoryLog:
    return log_of(created(), *map(resized, range(1, 10)))


def columns(engine: Engine) -> list[str]:
    """The columns that queries of the view see."""
    return [column["name"] for column in inspect(engine).get_columns("sizes")]


def sizes(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.scalars(select(NEW.c.size)))


async def test_a_changed_view_is_built_beside_the_old_one_and_takes_its_place(engine: Engine) -> None:
    log = long_log()
    await ProjectionRunner(engine, [VERSION_1], log).catch_up()
    runner = ProjectionRunner(engine, [VERSION_2], log, batch_size=4)

    await runner.step()
    await runner.step()
    assert columns(engine) == ["id", "name"], "queries still see the old rows"

    await runner.catch_up()
    assert columns(engine) == ["id", "size"]
    assert sizes(engine) == [10]
    assert set(inspect(engine).get_table_names()) == {"sizes", "view_positions"}
    assert [index["name"] for index in inspect(engine).get_indexes("sizes")] == ["ix_sizes_size"]


async def test_a_view_that_took_the_place_of_another_goes_on(engine: Engine) -> None:
    log = long_log()
    await ProjectionRunner(engine, [VERSION_1], log).catch_up()
    runner = ProjectionRunner(engine, [VERSION_2], log)
    await runner.catch_up()

    log.append(resized(41))
    await runner.catch_up()
    assert sizes(engine) == [42]

    log.append(resized(42))
    await ProjectionRunner(engine, [VERSION_2], log).catch_up()
    assert sizes(engine) == [43]


async def test_old_and_new_version_are_kept_side_by_side_until_the_new_one_is_there(engine: Engine) -> None:
    """So it is while workers are replaced one after the other."""
    log = long_log()
    old = ProjectionRunner(engine, [VERSION_1], log)
    await old.catch_up(until=50)
    new = ProjectionRunner(engine, [VERSION_2], log, batch_size=4)
    await new.step()

    await old.catch_up()
    with engine.connect() as connection:
        assert [(row.version, row.position, row.live) for row in find_view_positions(connection)] == [
            (1, 100, True),
            (2, 40, False),
        ]

    await new.catch_up()
    log.append(resized(41))
    assert await old.step() is True
    assert await old.step() is False
    assert old.positions == {}
    assert columns(engine) == ["id", "size"]


async def test_a_later_version_is_left_alone(engine: Engine) -> None:
    log = long_log()
    await ProjectionRunner(engine, [VERSION_2], log).catch_up()

    old = ProjectionRunner(engine, [VERSION_1], log)
    await old.catch_up()

    assert old.positions == {}
    assert sizes(engine) == [10]


async def test_building_a_new_version_goes_on_after_a_restart(engine: Engine) -> None:
    log = long_log()
    await ProjectionRunner(engine, [VERSION_1], log).catch_up()
    await ProjectionRunner(engine, [VERSION_2], log, batch_size=4).step()

    again = ProjectionRunner(engine, [VERSION_2], log, batch_size=4)
    assert await again.step() is True
    assert again.positions == {"sizes": 80}
    await again.catch_up()

    assert sizes(engine) == [10]


async def test_a_new_version_replaces_one_whose_tables_are_gone(engine: Engine) -> None:
    log = long_log()
    await ProjectionRunner(engine, [VERSION_1], log).catch_up()
    OLD.drop(engine)

    await ProjectionRunner(engine, [VERSION_2], log).catch_up()

    assert sizes(engine) == [10]


async def test_a_rebuild_begins_from_zero_also_over_another_version(engine: Engine) -> None:
    log = long_log()
    await ProjectionRunner(engine, [replace(VERSION_2, version=7)], log).catch_up()
    runner = ProjectionRunner(engine, [VERSION_1], log)

    await runner.rebuild(["sizes"])
    await runner.catch_up()

    assert columns(engine) == ["id", "name"]
    assert runner.positions == {"sizes": 100}


async def test_a_dropped_view_leaves_nothing(engine: Engine) -> None:
    log = long_log()
    await ProjectionRunner(engine, [VERSION_1], log).catch_up()
    building = ProjectionRunner(engine, [VERSION_2], log, batch_size=4)
    await building.step()

    await building.drop()

    assert inspect(engine).get_table_names() == ["view_positions"]
    with engine.connect() as connection:
        assert find_view_positions(connection) == []


def test_positions_of_views_that_were_never_made_are_none(engine: Engine) -> None:
    with engine.connect() as connection:
        assert find_view_positions(connection) == []
