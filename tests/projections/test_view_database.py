from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from projections.database import defining, open_database, snapshot, writing


def test_whoever_is_going_to_write_waits_for_its_turn_before_it_reads(tmp_path: Path) -> None:
    """On SQLite a transaction that has read cannot write any more after another one wrote."""
    url = f"sqlite:///{tmp_path}/views.db"
    one, other = open_database(url), open_database(url, busy_timeout=0.01)

    with writing(one), pytest.raises(OperationalError, match="database is locked"), writing(other):
        pytest.fail("two write at a time")


def test_readers_see_one_moment_and_hold_up_nobody(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE numbers (n INTEGER)"))

    with snapshot(engine) as reader:
        assert reader.scalar(text("SELECT count(*) FROM numbers")) == 0
        with writing(engine) as writer:
            writer.execute(text("INSERT INTO numbers VALUES (1)"))
        assert reader.scalar(text("SELECT count(*) FROM numbers")) == 0

    with snapshot(engine) as reader:
        assert reader.scalar(text("SELECT count(*) FROM numbers")) == 1


def test_what_failed_half_way_is_undone_also_where_it_made_tables(engine: Engine) -> None:
    def fail_half_way() -> None:
        with defining(engine) as connection:
            connection.execute(text("CREATE TABLE numbers (n INTEGER)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()

    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE numbers (n INTEGER)"))


def test_threads_share_a_database_in_memory() -> None:
    engine = open_database("sqlite://")

    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE numbers (n INTEGER)"))
    with snapshot(engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM numbers")) == 0


@pytest.mark.parametrize(
    "url", ["postgresql://somebody:secret@db/views", "postgresql+psycopg://somebody:secret@db/views"]
)
def test_postgresql_is_always_reached_through_psycopg_and_the_password_stays_secret(url: str) -> None:
    engine = open_database(url)

    assert engine.driver == "psycopg"
    assert "secret" not in repr(engine)
