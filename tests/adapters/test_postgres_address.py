"""Addresses of databases are understood as libpq understands them, and never show their password."""

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from adapters.event_store.postgres_log import open_postgres_log
from adapters.postgres.address import PostgresAddress, PostgresAddressInvalid
from handlers.ports import LogUnavailable

SECRET = "s3cr3t-canary"


def test_an_address_gives_what_libpq_connects_with() -> None:
    address = PostgresAddress(f"postgres://me:{SECRET}@db.example:5433/control?sslmode=verify-full")

    given = conninfo_to_dict(address.conninfo({"lock_timeout": "50"}))

    expected = {"user": "me", "host": "db.example", "port": "5433", "dbname": "control", "sslmode": "verify-full"}
    assert expected.items() <= given.items()
    assert given["password"] == SECRET
    assert "-c lock_timeout=50" in str(given["options"])


def test_what_an_address_says_itself_counts_more_than_a_default() -> None:
    address = PostgresAddress("postgresql://db/x?connect_timeout=1&options=-c%20role%3Dwriter&application_name=mine")

    given = conninfo_to_dict(address.conninfo({"lock_timeout": "50"}))

    assert (given["connect_timeout"], given["application_name"]) == ("1", "mine")
    assert str(given["options"]).endswith("-c lock_timeout=50 -c role=writer")


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{SECRET}@db/x",
        f"me:{SECRET}@db/x",
        f"postgresql://me:{SECRET}%zz@db/x",
        f"postgresql://me:p@{SECRET}@db/x",
        f"postgresql://me:p/{SECRET}@db/x",
        f"postgresql://me:p#/{SECRET}@db/x",
        "",
    ],
)
def test_an_address_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(PostgresAddressInvalid, match="looks like postgresql://") as refused:
        PostgresAddress(url)

    assert SECRET not in f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!r}"


def test_neither_an_address_nor_a_failure_to_connect_shows_the_password(postgres_url: str) -> None:
    nowhere = PostgresAddress(f"postgresql://me:{SECRET}@127.0.0.1:1/x")

    with pytest.raises(LogUnavailable) as refused:
        open_postgres_log(nowhere)

    assert "me@127.0.0.1:1/x" in str(refused.value)
    assert "refused" in str(refused.value)
    cause = refused.value.__cause__
    assert isinstance(cause, psycopg.Error)
    assert SECRET not in f"{refused.value!r} {cause!r} {cause.__cause__!r} {nowhere!r} {nowhere}"
