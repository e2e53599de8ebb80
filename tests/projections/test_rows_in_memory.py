from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, MetaData, Table, select

from projections.columns import as_utc, count, instant, word
from projections.database import writing
from projections.errors import ViewDamaged
from projections.rows import Key, Row, TableRows
from projections.writer import TableWriter
from tests.projection_support import NOW

THINGS = Table(
    "things", MetaData(), word("kind", key=True), word("name", key=True), count("size"), instant("seen", nullable=True)
)


def thing(name: str, size: int, *, kind: str = "box", seen: datetime | None = None) -> Row:
    return {"kind": kind, "name": name, "size": size, "seen": seen}


class Stored:
    """A table and the rows in memory over it."""

    def __init__(self, engine: Engine, *, limit: int = 100) -> None:
        self.engine = engine
        self.rows = TableRows(THINGS, limit=limit)
        self.writer = TableWriter(THINGS, engine.dialect.name)
        THINGS.create(engine)

    def announce(self, *keys: Key) -> list[Key]:
        """Load what is not known; gives what that was."""
        missing = self.rows.unknown(keys)
        with self.engine.connect() as connection:
            self.writer.load(connection, self.rows, missing)
        return missing

    def write(self) -> None:
        with writing(self.engine) as connection:
            self.writer.write(connection, self.rows)
        self.rows.written()

    @property
    def sizes(self) -> dict[str, int]:
        """What the database holds."""
        with self.engine.connect() as connection:
            return {row.name: row.size for row in connection.execute(select(THINGS).order_by(THINGS.c.name))}


@pytest.fixture
def stored(engine: Engine) -> Stored:
    """A table with three things, none of them in memory."""
    stored = Stored(engine)
    for name, size in (("a", 1), ("b", 2), ("c", 3)):
        stored.rows.put(thing(name, size))
    stored.write()
    stored.rows.forget()
    return stored


def test_what_was_not_announced_cannot_be_asked_for(stored: Stored) -> None:
    """Else rows would depend on what happens to be in memory."""
    with pytest.raises(LookupError, match="without having announced it"):
        stored.rows.get(("box", "a"))


def test_announced_rows_are_known_or_known_to_be_missing(stored: Stored) -> None:
    stored.announce(("box", "a"), ("box", "z"))

    assert stored.rows.get(("box", "a")) == thing("a", 1)
    assert stored.rows.get(("box", "z")) is None
    assert stored.announce(("box", "a"), ("box", "z"), ("box", "b")) == [("box", "b")]


def test_a_row_that_must_be_there_is_missed_loudly(stored: Stored) -> None:
    stored.announce(("box", "z"))

    with pytest.raises(ViewDamaged, match="there is no such row"):
        stored.rows.update(("box", "z"), {"size": 1})


def test_changes_come_together_until_they_are_written(stored: Stored) -> None:
    stored.announce(("box", "a"), ("box", "b"))
    stored.rows.update(("box", "a"), {"size": 10})
    stored.rows.update(("box", "a"), {"size": 11, "seen": NOW})
    stored.rows.delete(("box", "b"))
    stored.rows.put(thing("d", 4))
    stored.rows.update(("box", "d"), {"size": 40})
    stored.rows.append(thing("e", 5))
    assert stored.sizes == {"a": 1, "b": 2, "c": 3}

    stored.write()

    assert stored.sizes == {"a": 11, "c": 3, "d": 40, "e": 5}


def test_a_row_that_is_deleted_and_put_again_is_there(stored: Stored) -> None:
    stored.announce(("box", "a"))
    stored.rows.delete(("box", "a"))
    stored.rows.put(thing("a", 7))

    stored.write()

    assert stored.sizes == {"a": 7, "b": 2, "c": 3}


def test_a_row_that_is_put_and_deleted_again_is_not_there(stored: Stored) -> None:
    stored.rows.put(thing("z", 7))
    stored.rows.delete(("box", "z"))

    stored.write()

    assert stored.sizes == {"a": 1, "b": 2, "c": 3}


def test_many_rows_that_change_in_the_same_columns_are_changed_in_these_only(stored: Stored) -> None:
    for number in range(30):
        stored.rows.put(thing(f"n{number:02}", number, seen=NOW))
    stored.write()

    for number in range(30):
        stored.rows.update(("box", f"n{number:02}"), {"size": -number})
    stored.write()

    assert [stored.sizes[f"n{number:02}"] for number in range(30)] == [-number for number in range(30)]
    stored.rows.forget()
    stored.announce(("box", "n07"))
    assert stored.rows.get(("box", "n07")) == thing("n07", -7, seen=NOW)


def test_rows_that_are_gone_when_many_are_changed_are_missed(stored: Stored) -> None:
    for number in range(30):
        stored.rows.put(thing(f"n{number:02}", number))
    stored.write()
    with stored.engine.begin() as connection:
        connection.execute(THINGS.delete().where(THINGS.c.name == "n07"))

    for number in range(30):
        stored.rows.update(("box", f"n{number:02}"), {"size": -number})
    with pytest.raises(ViewDamaged, match="things: 1 rows are gone"):
        stored.write()


def test_a_change_of_all_rows_of_a_kind_reaches_those_in_memory_and_those_that_are_not(stored: Stored) -> None:
    """What is in memory has precedence: there a row may no longer be, or only now be, of that kind."""
    for name in ("p", "q", "r"):
        stored.rows.put(thing(name, 1))
    stored.write()
    stored.rows.forget()
    stored.announce(*(("box", name) for name in "abpq"))
    stored.rows.update(("box", "b"), {"size": 1})
    stored.rows.update(("box", "p"), {"size": 9})

    stored.rows.update_where({"kind": "box", "size": 1}, {"size": 5})
    stored.rows.update(("box", "q"), {"size": 6})
    stored.write()

    assert stored.sizes == {"a": 5, "b": 5, "c": 3, "p": 9, "q": 6, "r": 5}


def test_such_a_change_misses_rows_that_are_no_longer_of_that_kind(stored: Stored) -> None:
    """Their stored rows are, until the changes in memory are written."""
    names = [f"n{number:02}" for number in range(30)]
    for name in names:
        stored.rows.put(thing(name, 1))
    stored.write()
    for name in names:
        stored.rows.update(("box", name), {"size": 2})

    stored.rows.update_where({"size": 1}, {"seen": NOW})
    stored.write()

    stored.rows.forget()
    stored.announce(*(("box", name) for name in ("a", *names)))
    assert stored.rows.get(("box", "a")) == thing("a", 1, seen=NOW)
    assert [stored.rows.get(("box", name)) for name in names] == [thing(name, 2) for name in names]


def test_only_so_many_rows_stay_in_memory_the_last_used_ones(engine: Engine) -> None:
    stored = Stored(engine, limit=2)
    for name in "abc":
        stored.rows.put(thing(name, 1))
    stored.write()

    assert stored.announce(("box", "b"), ("box", "c")) == []
    stored.rows.put(thing("d", 1))
    stored.announce(("box", "b"))
    stored.write()

    assert stored.announce(("box", "b"), ("box", "d")) == []
    assert stored.announce(("box", "a"), ("box", "c")) == [("box", "a"), ("box", "c")]


def test_keys_are_ordered_by_code_point_in_every_database(engine: Engine) -> None:
    stored = Stored(engine)
    for name in ("ä", "b", "B", "a", "-", "A"):
        stored.rows.put(thing(name, 1))

    stored.write()

    assert list(stored.sizes) == ["-", "A", "B", "a", "b", "ä"]


@pytest.mark.parametrize(
    ("moment", "stored_moment"),
    [
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))), datetime(1, 1, 1, tzinfo=UTC)),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-9))), datetime.max.replace(tzinfo=UTC)),
        (datetime(2026, 3, 1, 21, tzinfo=timezone(timedelta(hours=9))), datetime(2026, 3, 1, 12, tzinfo=UTC)),
    ],
)
def test_moments_outside_of_what_can_be_written_become_the_nearest_one(
    engine: Engine, moment: datetime, stored_moment: datetime
) -> None:
    """A sender may make up any time; it must not stop a view."""
    stored = Stored(engine)
    stored.rows.put(thing("a", 1, seen=moment))
    stored.write()
    stored.rows.forget()
    stored.announce(("box", "a"))

    assert as_utc(moment) == stored_moment
    assert stored.rows.get(("box", "a")) == thing("a", 1, seen=stored_moment)
