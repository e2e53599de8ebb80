"""The event log and the views in PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from pydantic import SecretStr
from sqlalchemy import Engine

from adapters.event_store.event_log import RecorderEventLog
from adapters.event_store.postgres_datastore import LogDatastore
from adapters.event_store.postgres_log import create_postgres_log, open_postgres_log
from adapters.event_store.postgres_tables import channel_of
from adapters.event_store.tree_postgres import PostgresTreeStore
from adapters.postgres.address import PostgresAddress, PostgresAddressInvalid
from adapters.postgres.notifications import Notifications
from adapters.postgres.roles import Roles, grant_on_log, grant_on_views
from adapters.postgres.schemas import prepare_schema
from adapters.postgres.singleton import Singleton
from projections.database import open_database, session_settings
from service.log_sharing import LOG_LOCK, LogTaken
from service.settings import DatabaseSettings


class PostgresStores:
    """A schema for the log and one for the views, in one database or two, for any number of processes."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Raise :class:`PostgresAddressInvalid` for a setting that is no address."""
        self._settings = settings
        self.log_address = _address("URL", settings.url)
        self.views_address = self.log_address
        if settings.views_url is not None:
            self.views_address = _address("VIEWS_URL", settings.views_url)

    @property
    def log_place(self) -> str:
        return f"{self.log_address}, schema {self._settings.log_schema}"

    @property
    def views_place(self) -> str:
        return f"{self.views_address}, schema {self._settings.views_schema}"

    def create(self) -> Iterator[str]:
        settings = self._settings
        created = create_postgres_log(self.log_address, schema=settings.log_schema, limits=settings.limits)
        what = f"created tables {', '.join(created)}" if created else "all tables are there"
        yield f"event log {self.log_place}: {what}"
        is_created = prepare_schema(self.views_address, settings.views_schema)
        yield f"views {self.views_place}: {'created the schema' if is_created else 'the schema is there'}"

    def create_roles(self, roles: Roles) -> Iterator[str]:
        """Create roles that are missing, give each its rights, and say what was done. Raises :class:`RolesNotMade`."""
        settings = self._settings
        created = [
            *grant_on_log(self.log_address, settings.log_schema, roles),
            *grant_on_views(self.views_address, settings.views_schema, roles),
        ]
        yield f"roles {roles.owner}, {roles.writer}, {roles.reader}: each has its rights and no others"
        for name in created:
            yield f"role {name}: created without the right to log in: ALTER ROLE {name} LOGIN PASSWORD '…'"

    def open_log(self) -> RecorderEventLog:
        return self._open_log(is_read_only=False)

    def read_log(self) -> RecorderEventLog:
        return self._open_log(is_read_only=True)

    def _open_log(self, *, is_read_only: bool) -> RecorderEventLog:
        settings = self._settings
        return open_postgres_log(
            self.log_address, schema=settings.log_schema, limits=settings.limits, is_read_only=is_read_only
        )

    def open_tree(self) -> PostgresTreeStore:
        return self._open_tree(is_read_only=False)

    def read_tree(self) -> PostgresTreeStore:
        return self._open_tree(is_read_only=True)

    def _open_tree(self, *, is_read_only: bool) -> PostgresTreeStore:
        settings = self._settings
        return PostgresTreeStore(
            LogDatastore(
                self.log_address, schema=settings.log_schema, limits=settings.limits, is_read_only=is_read_only
            )
        )

    def open_views(self) -> Engine:
        prepare_schema(self.views_address, self._settings.views_schema)
        return self._open_views()

    def read_views(self) -> Engine:
        return self._open_views(default_transaction_read_only="on")

    def _open_views(self, **session: str) -> Engine:
        session = {**session_settings(), "search_path": self._settings.views_schema, **session}
        return open_database("postgresql://", parameters=self.views_address.parameters(session))

    async def take_part(self, heard: Callable[[], None], joined: Callable[[], Awaitable[None]] | None = None) -> None:
        channel, shared_lock = channel_of(self._settings.log_schema), self._lock(LOG_LOCK)
        limits = self._settings.sessions
        await Notifications(self.log_address, channel, shared_lock=shared_lock, limits=limits).run(heard, joined)
        raise LogTaken

    async def run_alone(self, name: str, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        await Singleton(self.log_address, self._lock(name), limits=self._settings.sessions).run(work, stop)

    def _lock(self, name: str) -> str:
        return f"{name} of {self._settings.log_schema}"


def _address(setting: str, url: SecretStr | None) -> PostgresAddress:
    try:
        return PostgresAddress("" if url is None else url.get_secret_value())
    except PostgresAddressInvalid as error:
        raise PostgresAddressInvalid(f"ROUTEKEEPER_DATABASE__{setting}: {error}") from None
