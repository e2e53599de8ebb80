"""Every setting in one model: from variables ``ROUTEKEEPER_…``, nested names joined by ``__``.

``ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=broker:9092`` sets ``kafka.bootstrap_servers``. Nothing needs to be set: without
a broker's address an embedded broker is used, without a database SQLite files in the data folder.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from adapters.app_proxy import AppProxyClientPoolLimits
from adapters.event_store.postgres_datastore import PostgresLimits
from adapters.event_store.tree_keeper import TreeLimits
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.envelope import RecordLimits
from adapters.kafka.publisher import PublisherLimits
from adapters.kafka.security import KafkaSecurity
from adapters.kafka.topics import Topics
from adapters.postgres.sessions import SessionLimits
from adapters.secrets import FieldInvalid
from domain.errors import RoutekeeperError
from domain.limits import DecisionLimits
from domain.quantities import Bytes, Count, Seconds
from handlers.decider_limits import DeciderLimits
from handlers.metric_poller import MetricPollerLimits
from handlers.pausing import PauseLimits
from handlers.proxy_calls import ProxyCallLimits
from handlers.reconciler_limits import ReconcilerLimits
from handlers.reconciliation import RetryPolicy
from handlers.scaling_memory import ScalingMemoryLimits
from projections.checkpoints import CheckpointLimits
from service.allowed_hosts import checked_hosts
from service.retention import RetentionSettings
from service.secret_source import SecretSource
from service.settings_checks import DatabaseUrl, PrometheusUrl, Servers, is_one_database
from service.settings_errors import complaints, unknown_variables
from service.settings_sources import settings_sources

_SchemaName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,39}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """How to reach Kafka, and what to read of it.

    ``bootstrap_servers``: ``host:port``, several separated by commas (unset: an embedded broker). ``epoch``: the
    incarnation of the topics; another one after they were made anew. ``idempotent_producers``: whether the brokers keep
    what is sent from being stored twice after a lost answer, as Apache Kafka does.
    """

    bootstrap_servers: Servers | None = None
    epoch: str = "1"
    idempotent_producers: bool = True
    security: KafkaSecurity = field(default_factory=KafkaSecurity)
    topics: Topics = field(default_factory=Topics)
    consumer: ConsumerSettings = field(default_factory=ConsumerSettings)
    records: RecordLimits = field(default_factory=RecordLimits)

    def __post_init__(self) -> None:
        """Raise :class:`FieldInvalid` where connections are to be protected and there is nobody to connect to."""
        if self.bootstrap_servers is None and self.security != KafkaSecurity():
            raise FieldInvalid("bootstrap_servers", "is unset, so an embedded broker is used, but security is set")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Where the event log and the views are kept.

    ``url``: a PostgreSQL database, ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``; every option of libpq may follow,
    as in ``?sslmode=verify-full`` (unset: SQLite files in the data folder). ``views_url``: another one for the views
    (unset: the same). ``log_schema`` and ``views_schema`` are the schemas that hold them. All connections must be
    direct, or through a proxy that pools sessions, not transactions.
    """

    url: DatabaseUrl | None = None
    views_url: DatabaseUrl | None = None
    log_schema: _SchemaName = "routekeeper"
    views_schema: _SchemaName = "routekeeper_views"
    limits: PostgresLimits = field(default_factory=PostgresLimits)
    sessions: SessionLimits = field(default_factory=SessionLimits)

    def __post_init__(self) -> None:
        """Raise :class:`FieldInvalid` where the views, which are made anew at will, would stand among the log."""
        if self.url is None or self.log_schema != self.views_schema:
            return
        if self.views_url is None or is_one_database(self.url, self.views_url):
            raise FieldInvalid("views_schema", f"is {self.views_schema!r}, and so is log_schema in the same database")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """How app proxies are called; times in seconds.

    ``call_timeout_seconds`` should stay above the 15 seconds after which a proxy gives up on its own worker.
    ``settle_seconds`` is how long after a call's deadline the proxy may still act on it. ``ca_file``: the certificates
    (PEM) that https proxies are checked against where their target names none (unset: the well-known ones).
    ``allowed_hosts``: the only hosts that proxy targets may name, separated by commas: names, ``*.SUFFIX`` for all
    names below, and networks such as ``10.0.0.0/8`` for addresses in numbers (unset: any).
    """

    call_timeout_seconds: Seconds = 20.0
    settle_seconds: Seconds = 30.0
    ca_file: Path | None = None
    allowed_hosts: Annotated[str, AfterValidator(checked_hosts)] | None = None
    limits: ProxyCallLimits = field(default_factory=ProxyCallLimits)
    connections: AppProxyClientPoolLimits = field(default_factory=AppProxyClientPoolLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSettings:
    """Where scaling rules' own queries are asked; times in seconds, sizes in bytes.

    ``url``: an http(s) address with everything before ``/api/v1`` (unset: nothing is asked, and rules with a query get
    no samples). ``token``: sent as a bearer token, read anew for each query; ``ca_file``: the certificates (PEM) that
    an https server is checked against.
    """

    url: PrometheusUrl | None = None
    ca_file: Path | None = None
    timeout_seconds: Seconds = 5.0
    max_body_bytes: Bytes = 4 * 1024 * 1024
    token: SecretSource = field(default_factory=SecretSource)
    polling: MetricPollerLimits = field(default_factory=MetricPollerLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionSettings:
    """How the views follow the log: events a batch (count), rows kept in memory (count), poll interval (seconds)."""

    batch_size: Count = 500
    cached_rows: Count = 50_000
    poll_seconds: Seconds = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSettings:
    """Where a worker or a follower says how it is: ``/livez``, ``/readyz`` and ``/metrics`` over HTTP.

    ``port``: 0 for none, so that two of them on one machine do not want the same one; 9464 is a good choice. Whoever
    reaches it can read it: it knows no users. ``refresh_seconds`` is how often numbers are asked for that cost a query,
    ``max_connections`` the most at a time (count).
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    refresh_seconds: Seconds = 5.0
    max_connections: Count = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings(TreeLimits):
    """How the log's Merkle tree is kept, and where its heads go; see ``docs/tamper-evidence.md``.

    ``batch_size``: events at a time (count). Rounds are at least ``pause_seconds`` apart, and at most ``poll_seconds``
    where nobody says that there is something new. ``head_every_seconds``: how often a tree head is written at most.
    ``heads_topic``: a Kafka topic to publish tree heads to (unset: none). ``signing_key_file``: an Ed25519 private key
    in PEM to sign them with (unset: they are not signed). ``views_wait_seconds``: for how long verification waits for
    a view that is behind the log to move, as a worker that is busy moves it.
    """

    heads_topic: str | None = None
    signing_key_file: Path | None = None
    views_wait_seconds: Annotated[float, Field(ge=0, le=600)] = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    """How questions about the past are answered.

    ``checkpoints_folder``: where copies of views on the way through the log are kept (unset: ``checkpoints`` in the
    data folder if there is one, else in the user's cache folder); it may be deleted at any time. A question about one
    deployment is answered from its own events alone if there are no more than ``stream_events`` (count).
    """

    checkpoints_folder: Path | None = None
    stream_events: Count = 20_000
    checkpoints: CheckpointLimits = field(default_factory=CheckpointLimits)


class Settings(BaseSettings):
    """Everything that can be set.

    ``data_dir``: where the embedded parts keep their files. ``proxy_targets_file``: which app proxy serves which
    scaling group (YAML). ``stop_grace_seconds``: how long a worker may take to finish what is under way.
    ``pause_after_seconds``: reading pauses when nothing could be committed for so long, and goes on by itself.
    ``follow_log``: whether workers also keep the views, publish, keep the tree and delete what is too old; ``false``
    where processes ``routekeeper follow`` do, see ``docs/deployment.md``.
    """

    model_config = SettingsConfigDict(
        env_prefix="ROUTEKEEPER_", env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    data_dir: Path = Path(".routekeeper")
    proxy_targets_file: Path | None = None
    stop_grace_seconds: Seconds = 20.0
    pause_after_seconds: Seconds = 10.0
    follow_log: bool = True
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    proxy: ProxySettings = Field(default_factory=ProxySettings)
    decisions: DecisionLimits = Field(default_factory=DecisionLimits)
    decider: DeciderLimits = Field(default_factory=DeciderLimits)
    reconciler: ReconcilerLimits = Field(default_factory=ReconcilerLimits)
    retry: RetryPolicy = Field(default_factory=RetryPolicy)
    scaling_memory: ScalingMemoryLimits = Field(default_factory=ScalingMemoryLimits)
    prometheus: PrometheusSettings = Field(default_factory=PrometheusSettings)
    pauses: PauseLimits = Field(default_factory=PauseLimits)
    projections: ProjectionSettings = Field(default_factory=ProjectionSettings)
    publisher: PublisherLimits = Field(default_factory=PublisherLimits)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    history: HistorySettings = Field(default_factory=HistorySettings)
    admin: AdminSettings = Field(default_factory=AdminSettings)

    @field_validator("audit")
    @classmethod
    def _heads_have_a_topic_of_their_own(cls, audit: AuditSettings, known: ValidationInfo) -> AuditSettings:
        # Absent where the settings of Kafka are wrong themselves, which is told then.
        if audit.heads_topic is not None and "kafka" in known.data:
            known.data["kafka"].topics.check_further("heads_topic", audit.heads_topic)
        return audit

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same one is among ours
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - reads no file that the environment names
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - knows no nested names
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in the program, then the environment, secret files and the env file, the first one first."""
        return (init_settings, *settings_sources(settings_cls).values())

    @property
    def log_file(self) -> Path:
        """The SQLite file of the event log."""
        return self.data_dir / "events.db"

    @property
    def views_file(self) -> Path:
        """The SQLite file of the views, which may be deleted at any time and is built anew from the log."""
        return self.data_dir / "views.db"

    @property
    def checkpoints_dir(self) -> Path:
        """Where copies of past views are kept, which may be deleted at any time."""
        if self.history.checkpoints_folder is not None:
            return self.history.checkpoints_folder
        if self.data_dir.is_dir():
            return self.data_dir / "checkpoints"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "routekeeper" / "checkpoints"

    @property
    def views_url(self) -> str:
        """The address of that file as a database."""
        return f"sqlite:///{self.views_file}"


class SettingsInvalid(RoutekeeperError):
    """A setting cannot be used; the message names each with its value."""


def load_settings() -> Settings:
    """Read the settings from the environment and the files that it names. Raises :class:`SettingsInvalid`."""
    try:
        if unknown := unknown_variables(Settings):
            raise SettingsInvalid("\n".join(unknown))
        return Settings()
    except ValidationError as error:
        raise SettingsInvalid("\n".join(complaints(Settings, error))) from None
    except (SettingsError, OSError, UnicodeDecodeError) as error:
        # The cause of the first may hold the value, which may be a secret.
        raise SettingsInvalid(f"settings cannot be read: {error}") from None
