"""Statements in a pipeline are sent together: nobody looks at the connection before answers are waited for."""

from collections.abc import Iterator
from typing import Any, TypeVar

import pytest
from psycopg import Connection
from psycopg.abc import PQGen
from psycopg.errors import UniqueViolation

from adapters.postgres.sending import SendingCursor

T = TypeVar("T")


class WatchedConnection(Connection[Any]):
    """Counts how often somebody looks whether there is something to read or room to write."""

    looks = 0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        return super().wait(self._counted(gen), interval, timeout)

    def _counted(self, gen: PQGen[T]) -> PQGen[T]:
        ready: Any = None
        while True:
            try:
                wanted = gen.send(ready)
            except StopIteration as end:
                value: T = end.value
                return value
            self.looks += 1
            ready = yield wanted


@pytest.fixture
def connection(postgres_url: str) -> Iterator[WatchedConnection]:
    with WatchedConnection.connect(postgres_url, autocommit=True) as connection:
        yield connection


def test_statements_are_sent_without_a_look_at_the_connection(connection: WatchedConnection) -> None:
    """The driver's own way of executing may be renamed under ours, which would be slower without any error."""
    with connection.pipeline() as pipeline:
        connection.looks = 0

        cursors = [SendingCursor(connection, pipeline).execute("SELECT %s", [n], prepare=True) for n in range(3)]

        assert connection.looks == 0
        pipeline.sync()
        assert [cursor.fetchall() for cursor in cursors] == [[(0,)], [(1,)], [(2,)]]


def test_an_error_is_told_when_answers_are_waited_for(connection: WatchedConnection) -> None:
    connection.execute("CREATE TEMPORARY TABLE once (id integer PRIMARY KEY)")

    with connection.pipeline() as pipeline:
        for _ in range(2):
            SendingCursor(connection, pipeline).execute("INSERT INTO once VALUES (%s)", [1], prepare=True)

        with pytest.raises(UniqueViolation):
            pipeline.sync()
