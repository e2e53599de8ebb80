"""Connections are made when needed, kept for the next who asks, and never more than the limit."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from adapters.postgres import arrays
from adapters.postgres.address import PostgresAddress
from adapters.postgres.arrays import Array
from adapters.postgres.connections import CannotConnect, Connections


@pytest.fixture
def connections(postgres_url: str) -> Iterator[Connections]:
    connections = Connections(PostgresAddress(postgres_url), limit=2, wait_seconds=0.05)
    yield connections
    connections.close()


def test_who_comes_next_gets_the_connection_that_was_there(connections: Connections) -> None:
    with connections.borrow() as first:
        pass
    with connections.borrow() as second:
        assert second is first


def test_beyond_the_limit_one_waits_and_is_told_why_it_was_in_vain(connections: Connections) -> None:
    with connections.borrow(), connections.borrow():  # noqa: SIM117 - it is the third one that is refused
        with pytest.raises(CannotConnect, match=r"in use for 0\.05 s"), connections.borrow():
            pass

    with connections.borrow() as connection:
        assert connection.execute("SELECT 1").rowcount == 1


@pytest.mark.parametrize("statement", ["SELECT 1", "SELECT 1 / 0"])
def test_a_transaction_that_was_left_open_is_not_the_next_ones(connections: Connections, statement: str) -> None:
    try:
        with connections.borrow() as connection:
            connection.execute("BEGIN")
            connection.execute(statement.encode())
    except psycopg.Error:
        pass

    with connections.borrow() as connection:
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


def test_one_that_was_cut_takes_those_that_wait_with_it(connections: Connections) -> None:
    """Most likely they were cut too, and each of them would fail one call."""
    with connections.borrow() as cut, connections.borrow() as idle:
        pass
    with connections.borrow() as again:
        again.close()

    with connections.borrow() as fresh:
        assert fresh not in {cut, idle}
    assert cut.closed
    assert idle.closed


def test_after_closing_there_are_none_and_those_in_use_are_closed_when_they_come_back(connections: Connections) -> None:
    with connections.borrow() as connection:
        connections.close()
        assert connection.execute("SELECT 1").rowcount == 1

    assert connection.closed
    with pytest.raises(CannotConnect, match="were closed"), connections.borrow():
        pass


ID, LATER = UUID(int=2**128 - 1), datetime(2100, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
EARLIER = datetime(1969, 7, 20, 20, 17, 40, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (arrays.uuids([ID, str(ID), UUID(int=0)]), [ID, ID, UUID(int=0)]),
        (arrays.bigints([0, -1, 2**63 - 1, -(2**63)]), [0, -1, 2**63 - 1, -(2**63)]),
        (arrays.texts(["", "é✓", 'a,"b"\\{}', "NULL"]), ["", "é✓", 'a,"b"\\{}', "NULL"]),
        (arrays.byteas([b"", b"\0\xff", b"x" * 100_000]), [b"", b"\0\xff", b"x" * 100_000]),
        (arrays.instants([EARLIER, LATER]), [EARLIER, LATER]),
        *((make([]), []) for make in (arrays.uuids, arrays.bigints, arrays.texts, arrays.byteas, arrays.instants)),
    ],
)
def test_whole_columns_arrive_as_they_were_sent(connections: Connections, array: Array, expected: list[object]) -> None:
    with connections.borrow() as connection:
        row = connection.execute("SELECT %s AS given", [array]).fetchone()

    assert row is not None
    assert row["given"] == expected
