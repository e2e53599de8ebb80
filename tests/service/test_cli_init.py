"""`routekeeper init`: creates what is missing, says what it did, and lets each role do what it needs and no more."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from pydantic import SecretStr
from sqlalchemy import make_url

from adapters.event_store.event_log import RecorderEventLog
from adapters.event_store.postgres_log import EventStoreNotReady
from adapters.kafka.connection import KafkaConnection
from adapters.postgres.roles import Roles
from handlers.ports import LogBatch, Retained
from projections.catalogue import VIEWS
from projections.runner import ProjectionRunner
from service.postgres_stores import PostgresStores
from service.settings import DatabaseSettings
from tests.adapters.event_log_reading_contract import created
from tests.adapters.event_log_scaling_support import evaluations, record, report
from tests.adapters.event_log_support import AT, FAR_FUTURE, P0, due, move, outcome
from tests.cli_support import Run, runner_for

PASSWORD = "pa55word"


@pytest.fixture
def run(tmp_path: Path, postgres_database: str) -> Run:
    return runner_for(tmp_path, ROUTEKEEPER_DATABASE__URL=postgres_database)


def test_it_creates_what_is_missing_says_so_and_can_be_repeated(run: Run) -> None:
    first, second = run("init"), run("init")

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert "schema routekeeper: created tables stored_events, notification_tracking, positions" in first.stdout
    assert "schema routekeeper_views: created the schema" in first.stdout
    assert "topics: ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS is unset" in first.stdout
    assert "schema routekeeper: all tables are there" in second.stdout
    assert "schema routekeeper_views: the schema is there" in second.stdout


def test_on_sqlite_it_makes_the_file_of_the_log(tmp_path: Path) -> None:
    run = runner_for(tmp_path / "data")

    assert "events.db: created" in run("init").stdout
    assert "events.db: is there" in run("init").stdout
    assert (tmp_path / "data" / "events.db").is_file()


async def test_topics_that_are_missing_are_created_and_checked(tmp_path: Path, kafka: KafkaConnection) -> None:
    prefix = f"test-{uuid4()}"
    names = ("commands", "routes", "metrics", "dead_letters", "events", "desired_routes")
    topics = {f"ROUTEKEEPER_KAFKA__TOPICS__{name.upper()}": f"{prefix}.{name}" for name in names}
    topics["ROUTEKEEPER_AUDIT__HEADS_TOPIC"] = f"{prefix}.heads"
    run = runner_for(tmp_path, ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=kafka.bootstrap_servers, **topics)

    first = await asyncio.to_thread(run, "init")
    second = await asyncio.to_thread(run, "init", "--repartition")

    assert first.stdout.count(": created\n") == 8, first.stderr
    assert second.stdout.count(": is there\n") == 8, "the log and seven topics"
    assert f"partitions of {prefix}.commands, {prefix}.routes, {prefix}.metrics: 4 each" in second.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--roles",), "only PostgreSQL has roles"),
        (("--roles", "--role-prefix", "x; DROP"), "'x; DROP' is not made of"),
    ],
)
def test_roles_that_cannot_be_made_are_refused(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = runner_for(tmp_path)("init", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("variable", ["URL", "VIEWS_URL"])
def test_an_address_that_is_none_names_the_setting_and_not_the_password(tmp_path: Path, variable: str) -> None:
    variables = {"ROUTEKEEPER_DATABASE__URL": "postgresql://db/x"}
    variables[f"ROUTEKEEPER_DATABASE__{variable}"] = f"postgres//me:{PASSWORD}@db/x"

    result = runner_for(tmp_path, **variables)("init")

    assert result.exit_code == 1
    assert f"error: ROUTEKEEPER_DATABASE__{variable}: a PostgreSQL address looks like" in result.stderr
    assert PASSWORD not in result.stderr + result.stdout


def test_a_misspelt_setting_of_the_database_does_not_show_its_value(tmp_path: Path) -> None:
    result = runner_for(tmp_path, ROUTEKEEPER_DATABASE__ULR=f"postgresql://me:{PASSWORD}@db/x")("init")

    assert result.exit_code == 1
    assert "ROUTEKEEPER_DATABASE__ULR" in result.stderr
    assert PASSWORD not in result.stderr


class Database:
    """A database in which the roles were made, and what each of them has to work with."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.roles = Roles(f"test_{uuid4().hex[:12]}")

    def allow_logins(self) -> None:
        with psycopg.connect(self.url) as connection:
            for role in (self.roles.owner, self.roles.writer, self.roles.reader):
                connection.execute(f"ALTER ROLE {role} LOGIN PASSWORD '{PASSWORD}'".encode())

    def url_as(self, role: str) -> str:
        return make_url(self.url).set(username=role, password=PASSWORD).render_as_string(hide_password=False)

    def stores_as(self, role: str) -> PostgresStores:
        return PostgresStores(DatabaseSettings(url=SecretStr(self.url_as(role))))

    def execute_as(self, role: str, statement: str) -> None:
        with psycopg.connect(self.url_as(role), options="-c search_path=routekeeper,routekeeper_views") as connection:
            connection.execute(statement.encode())

    def drop_roles(self) -> None:
        with psycopg.connect(self.url) as connection:
            for role in (self.roles.owner, self.roles.writer, self.roles.reader):
                connection.execute(f"DROP OWNED BY {role} CASCADE".encode())
                connection.execute(f"DROP ROLE {role}".encode())


@pytest.fixture
def database(run: Run, postgres_database: str) -> Iterator[Database]:
    database = Database(postgres_database)
    result = run("init", "--roles", "--role-prefix", database.roles.prefix)
    assert result.exit_code == 0, result.stderr
    assert f"role {database.roles.writer}: created without the right to log in" in result.stdout
    database.allow_logins()
    yield database
    database.drop_roles()


async def work_as_a_worker_does(log: RecorderEventLog, stores: PostgresStores) -> None:
    """Everything that a worker asks of the database."""
    deployment = uuid4()
    batch = LogBatch(
        events=[created(deployment)],
        positions=[move(P0, None, 1)],
        outcomes=[outcome("one")],
        due=[due(deployment, 1)],
        samples=[report(deployment)],
        evaluations=evaluations(deployment, record()),
    )
    await log.append(batch)
    for _ in range(2):
        for what in Retained:
            assert await log.prune(what, before=FAR_FUTURE, limit=10) < 2
        await log.append(LogBatch(samples=[report(deployment)], evaluations=evaluations(deployment, record())))
    assert len(await log.horizons()) == len(Retained)
    later = LogBatch(positions=[move(P0, 1, 2)], due=[due(deployment, 2), due(uuid4(), 2)._replace(due_at=None)])
    await log.append(later)
    assert await log.move_follower("publisher", expected=0, following=1)
    assert await log.move_follower("publisher", expected=1, following=2)
    assert len(await log.due_work(partitions=[0], of=1, until=AT)) == 1
    engine = stores.open_views()
    runner = ProjectionRunner(engine, VIEWS, log)
    await runner.catch_up()
    await runner.rebuild()
    await runner.catch_up()
    engine.dispose()


async def test_the_writer_may_do_all_that_a_worker_does(database: Database) -> None:
    stores = database.stores_as(database.roles.writer)
    with closing(stores.open_log()) as log:
        await work_as_a_worker_does(log, stores)
        alone = asyncio.Event()

        async def work() -> None:
            alone.set()

        await stores.run_alone("views", work, asyncio.Event())
        assert alone.is_set()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stored_events SET topic = ''",
        "DELETE FROM stored_events",
        "TRUNCATE stored_events",
        "DROP TABLE stored_events",
        "ALTER TABLE stored_events ADD x int",
        "LOCK TABLE stored_events IN EXCLUSIVE MODE",
        "UPDATE commits SET committed_at = now()",
        "DELETE FROM commits",
        "UPDATE command_outcomes SET outcome = ''",
        "UPDATE metric_samples SET samples = ''",
        "UPDATE scaling_evaluations SET desired = 0",
        "DELETE FROM retention_horizons",
        "UPDATE retention_horizons SET name = ''",
        "DELETE FROM positions",
        "UPDATE positions SET topic = ''",
        "UPDATE due_work SET deployment_id = gen_random_uuid()",
        "DELETE FROM followers",
        "SELECT setval('stored_events_notification_id_seq', 1)",
        "CREATE TABLE routekeeper.mine (x int)",
        "DROP SCHEMA routekeeper_views",
        "CREATE SCHEMA mine",
    ],
)
def test_the_writer_may_not_change_what_happened(database: Database, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        database.execute_as(database.roles.writer, statement)


async def test_the_reader_sees_the_views_also_those_built_anew_and_nothing_else(database: Database) -> None:
    stores = database.stores_as(database.roles.writer)
    with closing(stores.open_log()) as log:
        await work_as_a_worker_does(log, stores)

    reader = database.roles.reader
    database.execute_as(reader, "SELECT * FROM deployments, view_positions")
    for forbidden in (
        "SELECT * FROM routekeeper.stored_events",
        "SELECT * FROM routekeeper.positions",
        "DELETE FROM deployments",
        "UPDATE view_positions SET position = 0",
        "CREATE TABLE routekeeper_views.mine (x int)",
    ):
        with pytest.raises(InsufficientPrivilege):
            database.execute_as(reader, forbidden)


def test_the_command_line_reads_the_views_as_the_reader(database: Database, tmp_path: Path) -> None:
    stores = database.stores_as(database.roles.writer)
    with closing(stores.open_log()) as log:
        asyncio.run(work_as_a_worker_does(log, stores))
    run = runner_for(tmp_path, ROUTEKEEPER_DATABASE__URL=database.url_as(database.roles.reader))

    seen, hidden = run("get", "deployments"), run("history", str(uuid4()))

    assert "llama" in seen.stdout, seen.stderr
    assert hidden.exit_code == 1
    assert "permission denied" in hidden.stderr


def test_the_owner_may_repeat_it(database: Database, tmp_path: Path) -> None:
    run = runner_for(tmp_path, ROUTEKEEPER_DATABASE__URL=database.url_as(database.roles.owner))

    result = run("init")

    assert result.exit_code == 0, result.stderr
    assert "all tables are there" in result.stdout


def test_repeated_it_takes_away_what_was_granted_beyond(database: Database, run: Run) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA routekeeper TO {database.roles.writer}".encode())

    result = run("init", "--roles", "--role-prefix", database.roles.prefix)

    assert result.exit_code == 0, result.stderr
    with pytest.raises(InsufficientPrivilege):
        database.execute_as(database.roles.writer, "DELETE FROM stored_events")


def test_who_is_no_superuser_but_owns_the_database_may_make_the_roles(postgres_database: str, tmp_path: Path) -> None:
    database = Database(postgres_database)
    admin = f"{database.roles.prefix}_admin"
    with psycopg.connect(postgres_database) as connection:
        connection.execute(f"CREATE ROLE {admin} CREATEROLE LOGIN PASSWORD '{PASSWORD}'".encode())
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" OWNER TO {admin}'.encode())
    run = runner_for(tmp_path, ROUTEKEEPER_DATABASE__URL=database.url_as(admin))

    first = run("init", "--roles", "--role-prefix", database.roles.prefix)
    second = run("init", "--roles", "--role-prefix", database.roles.prefix)

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    database.drop_roles()
    with psycopg.connect(postgres_database) as connection:
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" OWNER TO CURRENT_USER'.encode())
        connection.execute(f"DROP OWNED BY {admin}; DROP ROLE {admin}".encode())


def test_a_worker_that_may_not_create_tables_is_told_who_can(postgres_database: str) -> None:
    role = f"test_{uuid4().hex[:12]}"
    database = Database(postgres_database)
    with psycopg.connect(postgres_database) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'".encode())

    with pytest.raises(EventStoreNotReady, match=r"permission denied.*routekeeper init") as refused:
        database.stores_as(role).open_log()

    assert PASSWORD not in str(refused.value)
    with psycopg.connect(postgres_database) as connection:
        connection.execute(f"DROP ROLE {role}".encode())
