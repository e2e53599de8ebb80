"""`routekeeper copy-log`: the whole log arrives in another store, byte by byte, or nothing of it does."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from adapters.event_store.event_log import open_sqlite_log
from adapters.event_store.log_copy import LogNotCopied, copy_log, digests_of
from adapters.event_store.log_copy_postgres import PostgresLogPlace
from adapters.event_store.log_copy_sqlite import SQLiteLogPlace
from adapters.event_store.postgres_log import open_postgres_log
from adapters.event_store.tree_keeper import TreeKeeper
from adapters.event_store.tree_sqlite import SQLiteTreeStore
from adapters.postgres.address import PostgresAddress
from handlers.ports import LogBatch, Retained
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from service.postgres_stores import PostgresStores
from service.settings import DatabaseSettings
from tests.adapters.event_log_scaling_support import evaluations, kept, later, record, report
from tests.adapters.event_log_support import AT, FAR_FUTURE, P0, due, events, move, outcome
from tests.cli_support import CHAT, Run, json_of, runner_for, told

SCALED = uuid4()

READING = [
    ("get", "deployments", "--all"),
    ("get", "routes", "--all"),
    ("get", "replicas", "chat"),
    ("describe", "deployment", "chat"),
    ("history", str(CHAT)),
    ("replay", "--until", "20"),
    ("replay", "--until", "2100-01-01"),
    ("rejected",),
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("data")
    told(data_dir)
    add_what_a_worker_adds(data_dir / "events.db")
    return data_dir


def add_what_a_worker_adds(file: Path) -> None:
    """What the told history has none of, or few: positions, outcomes, due work, a follower, and what scaling keeps."""
    with closing(open_sqlite_log(file)) as log:
        work = [
            due(uuid4(), 1),
            due(uuid4(), 2, AT.replace(microsecond=123_456), 2**31 - 1),
            due(SCALED, 3, None, scales=True),
        ]
        records = [record(AT, memories='{"é":1}'), record(later(1))._replace(recommended=None, watermark=later(0.5))]
        outcomes = [outcome("é\N{HEAVY CHECK MARK}"), outcome("z"), outcome("Z"), outcome("a", "ünïcode")]
        asyncio.run(log.append(LogBatch(positions=[move(P0, None, 7)], outcomes=outcomes, due=work)))
        asyncio.run(log.move_follower("publisher/1", expected=0, following=5))
        # The first one goes again, so that numbers do not begin at 1.
        asyncio.run(log.append(LogBatch(samples=[report(SCALED, later(-9)), report(SCALED)])))
        asyncio.run(log.append(LogBatch(evaluations=evaluations(SCALED, *records))))
        asyncio.run(log.prune(Retained.SAMPLES, before=AT, limit=1))
    with closing(SQLiteTreeStore(file)) as tree:
        keeper = TreeKeeper(tree)
        keeper.step()
        keeper.write_head(AT)


@pytest.fixture(scope="module")
def on_sqlite(data_dir: Path) -> Run:
    return runner_for(data_dir)


@pytest.fixture(scope="module")
def on_postgres(data_dir: Path, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same history in PostgreSQL, copied there, with views that were folded there."""
    schema, views_schema = f"copy_{uuid4().hex}", f"views_{uuid4().hex}"
    variables = {
        "ROUTEKEEPER_DATABASE__URL": postgres_url,
        "ROUTEKEEPER_DATABASE__LOG_SCHEMA": schema,
        "ROUTEKEEPER_DATABASE__VIEWS_SCHEMA": views_schema,
    }
    run = runner_for(tmp_path_factory.mktemp("nothing-here"), **variables)
    copied = run("copy-log", str(data_dir / "events.db"), postgres_url)
    assert copied.exit_code == 0, copied.stderr
    settings = DatabaseSettings(url=SecretStr(postgres_url), log_schema=schema, views_schema=views_schema)
    asyncio.run(fold(PostgresStores(settings)))
    return run


async def fold(stores: PostgresStores) -> None:
    with closing(stores.open_log()) as log:
        engine = stores.open_views()
        await ProjectionRunner(engine, VIEWS, log).catch_up()
        engine.dispose()


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_every_command_that_reads_says_the_same_on_both_stores(
    on_sqlite: Run, on_postgres: Run, command: Sequence[str]
) -> None:
    expected = json_of(on_sqlite(*command, "-o", "json"))

    assert json_of(on_postgres(*command, "-o", "json")) == expected
    assert expected


def test_what_was_copied_is_told_with_its_digests(data_dir: Path, tmp_path: Path) -> None:
    run = runner_for(tmp_path)

    copied = json_of(run("copy-log", str(data_dir / "events.db"), str(tmp_path / "other.db"), "-o", "json"))

    rows = {row["table"]: row["rows"] for row in copied}
    assert rows["command_outcomes"] == 4 + 6
    assert rows["due_work"] == 3
    assert rows["stored_events"] > 20
    assert (rows["metric_samples"], rows["scaling_evaluations"], rows["retention_horizons"]) == (1, 2, 1)
    assert rows.keys() >= {"commits", "positions", "followers"}
    assert len({row["digest"] for row in copied}) == len(rows) == 11
    assert "SHA-256" in run("copy-log", str(tmp_path / "other.db"), str(tmp_path / "third.db")).stdout


async def test_there_and_back_again_everything_is_as_it_was_and_the_log_goes_on(
    data_dir: Path, postgres_url: str, tmp_path: Path
) -> None:
    there = PostgresLogPlace(PostgresAddress(postgres_url), f"copy_{uuid4().hex}")
    origin, back = SQLiteLogPlace(data_dir / "events.db"), SQLiteLogPlace(tmp_path / "back.db")

    assert copy_log(origin, there) == copy_log(there, back)

    for log in (
        open_postgres_log(PostgresAddress(postgres_url), schema=there._schema),
        open_sqlite_log(tmp_path / "back.db"),
    ):
        head = await log.head()
        assert list(await log.append(LogBatch(events=events(2), positions=[move(P0, 7, 8)]))) == [head + 1, head + 2]
        assert len(await log.due_work(partitions=range(10), of=10, until=FAR_FUTURE)) == 2
        assert await log.follower("publisher/1") == 5
        assert list(await log.scaling_deployments(partitions=[0], of=1)) == [SCALED]
        assert await log.horizons() == {Retained.SAMPLES: AT}
        await log.append(
            LogBatch(samples=[report(SCALED, later(7))], evaluations=evaluations(SCALED, record(later(7))))
        )
        reports, records = await kept(log, SCALED)
        assert [each.received_at for each in reports] == [AT, later(7)]
        assert [each.recommended for each in records] == [3, None, 3]
        log.close()


async def test_positions_with_gaps_stay_where_they_are(postgres_url: str, tmp_path: Path) -> None:
    """Who follows the log remembers positions, and what was published carries them."""
    schema = f"copy_{uuid4().hex}"
    log = open_postgres_log(PostgresAddress(postgres_url), schema=schema)
    await log.append(LogBatch(events=events(2)))
    with psycopg.connect(postgres_url) as connection:
        connection.execute("SELECT setval(%s, 40)", [f"{schema}.stored_events_notification_id_seq"])
    await log.append(LogBatch(events=events(2)))

    copy_log(PostgresLogPlace(PostgresAddress(postgres_url), schema), SQLiteLogPlace(tmp_path / "log.db"))

    with closing(open_sqlite_log(tmp_path / "log.db")) as copied:
        assert [logged.position for logged in await copied.read(after=0, limit=9)] == [1, 2, 41, 42]
        assert await copied.position_at(FAR_FUTURE) == 42
        assert list(await copied.append(LogBatch(events=events(1)))) == [43]
    log.close()


def test_a_target_that_is_not_empty_is_refused_and_stays_as_it_was(data_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "taken.db"
    with closing(open_sqlite_log(target)) as log:
        asyncio.run(log.append(LogBatch(positions=[move(P0, None, 1)])))

    result = runner_for(tmp_path)("copy-log", str(data_dir / "events.db"), str(target))

    assert result.exit_code == 1
    assert "not empty: there are rows in positions" in result.stderr
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT count(*) FROM stored_events").fetchone() == (0,)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_source_that_is_written_to_meanwhile_is_noticed_and_nothing_stays(
    tmp_path: Path, postgres_url: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SQLiteLogPlace(tmp_path / "log.db")
    with closing(open_sqlite_log(tmp_path / "log.db")) as log:
        asyncio.run(log.append(LogBatch(events=events(3))))
        in_postgres = PostgresLogPlace(PostgresAddress(postgres_url), f"copy_{uuid4().hex}")
        target = in_postgres if kind == "postgres" else SQLiteLogPlace(tmp_path / "target.db")
        read, looks = source.read, count(1)

        def write_before_the_second_look() -> object:
            if next(looks) == 2:
                log._recorder.move_follower("publisher", 0, 3)
            return read()

        monkeypatch.setattr(source, "read", write_before_the_second_look)

        with pytest.raises(LogNotCopied, match="stop the workers; different are followers"):
            copy_log(source, target)

    with target.read() as tables:
        assert {digest.rows for digest in digests_of(tables)} == {0}


@pytest.mark.parametrize("source", ["nowhere.db", "sqlite:///nowhere.db", "POSTGRES"])
def test_a_source_that_is_none_is_an_error_of_one_line(tmp_path: Path, postgres_url: str, source: str) -> None:
    run = runner_for(tmp_path, ROUTEKEEPER_DATABASE__LOG_SCHEMA="nothing_here")

    result = run("copy-log", source.replace("POSTGRES", postgres_url), str(tmp_path / "target.db"))

    assert result.exit_code == 1
    assert result.stderr.startswith("error: there is no log at ")
    assert result.stderr.count("\n") == 1


def test_a_database_that_does_not_answer_is_an_error_without_the_password(tmp_path: Path) -> None:
    result = runner_for(tmp_path)("copy-log", "postgresql://me:s3cr3t@127.0.0.1:1/x", str(tmp_path / "target.db"))

    assert result.exit_code == 1
    assert "refused" in result.stderr
    assert "s3cr3t" not in result.stderr + result.stdout
