"""Every setting in one model: from environment variables ``ROUTEKEEPER_…``, nested names joined by ``__``.

``ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=broker:9092`` sets ``kafka.bootstrap_servers``. Nothing needs to be set: without
a broker's address an embedded broker is used, without a database SQLite files in the data folder.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from adapters.app_proxy import HttpxClientPoolLimits
from adapters.event_store.postgres_datastore import PostgresLimits
from adapters.kafka.consumer_settings import ConsumerSettings
from adapters.kafka.envelope import RecordLimits
from adapters.kafka.topics import Topics
from adapters.postgres.sessions import SessionLimits
from domain.errors import RoutekeeperError
from domain.limits import DecisionLimits
from handlers.decider import DeciderLimits
from handlers.metric_poller import MetricPollerLimits
from handlers.proxy_calls import ProxyCallLimits
from handlers.reconciler import ReconcilerLimits
from handlers.reconciliation import RetryPolicy
from handlers.scaling_memory import ScalingMemoryLimits
from projections.checkpoints import CheckpointLimits
from service.retention import RetentionSettings
from service.secret_source import SecretSource

_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Count = Annotated[int, Field(ge=1)]
_SchemaName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,39}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """How to reach Kafka, and what to read of it.

    ``bootstrap_servers``: ``host:port``, several separated by commas (unset: an embedded broker). ``epoch``: the
    incarnation of the topics; another one after they were made anew. ``idempotent_producers``: whether the brokers keep
    what is sent from being stored twice after a lost answer, as Apache Kafka does.
    """

    bootstrap_servers: str | None = None
    epoch: str = "1"
    idempotent_producers: bool = True
    topics: Topics = field(default_factory=Topics)
    consumer: ConsumerSettings = field(default_factory=ConsumerSettings)
    records: RecordLimits = field(default_factory=RecordLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Where the event log and the views are kept.

    ``url``: a PostgreSQL database, ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``; every option of libpq may follow,
    as in ``?sslmode=verify-full`` (unset: SQLite files in the data folder). ``views_url``: another one for the views
    (unset: the same). ``log_schema`` and ``views_schema`` are the schemas that hold them. All connections must be
    direct, or through a proxy that pools sessions, not transactions.
    """

    url: SecretStr | None = None
    views_url: SecretStr | None = None
    log_schema: _SchemaName = "routekeeper"
    views_schema: _SchemaName = "routekeeper_views"
    limits: PostgresLimits = field(default_factory=PostgresLimits)
    sessions: SessionLimits = field(default_factory=SessionLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """How app proxies are called; times in seconds.

    ``call_timeout_seconds`` should stay above the 15 seconds after which a proxy gives up on its own worker.
    ``settle_seconds`` is how long after a call's deadline the proxy may still act on it.
    """

    call_timeout_seconds: _Seconds = 20.0
    settle_seconds: _Seconds = 30.0
    ca_file: Path | None = None
    limits: ProxyCallLimits = field(default_factory=ProxyCallLimits)
    connections: HttpxClientPoolLimits = field(default_factory=HttpxClientPoolLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSettings:
    """Where scaling rules' own queries are asked; times in seconds, sizes in bytes.

    ``url``: an http(s) address with everything before ``/api/v1`` (unset: nothing is asked, and rules with a query get
    no samples). ``token``: sent as a bearer token, read anew for each query; ``ca_file``: the certificates (PEM) that
    an https server is checked against.
    """

    url: str | None = None
    ca_file: Path | None = None
    timeout_seconds: _Seconds = 5.0
    max_body_bytes: _Count = 4 * 1024 * 1024
    token: SecretSource = field(default_factory=SecretSource)
    polling: MetricPollerLimits = field(default_factory=MetricPollerLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionSettings:
    """How the views follow the log: events a batch (count), rows kept in memory (count), poll interval (seconds)."""

    batch_size: _Count = 500
    cached_rows: _Count = 50_000
    poll_seconds: _Seconds = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherSettings:
    """How the log is published: events a batch (count), and the poll interval (seconds)."""

    batch_size: _Count = 500
    poll_seconds: _Seconds = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    """How questions about the past are answered.

    ``checkpoints_folder``: where copies of views on the way through the log are kept (unset: ``checkpoints`` in the
    data folder if there is one, else in the user's cache folder); it may be deleted at any time. A question about one
    deployment is answered from its own events alone if there are no more than ``stream_events`` (count).
    """

    checkpoints_folder: Path | None = None
    stream_events: _Count = 20_000
    checkpoints: CheckpointLimits = field(default_factory=CheckpointLimits)


class Settings(BaseSettings):
    """Everything that can be set.

    ``data_dir``: where the embedded parts keep their files. ``proxy_targets_file``: which app proxy serves which
    scaling group (YAML). ``stop_grace_seconds``: how long a worker may take to finish what is under way.
    """

    model_config = SettingsConfigDict(
        env_prefix="ROUTEKEEPER_", env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    data_dir: Path = Path(".routekeeper")
    proxy_targets_file: Path | None = None
    stop_grace_seconds: _Seconds = 20.0
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
    projections: ProjectionSettings = Field(default_factory=ProjectionSettings)
    publisher: PublisherSettings = Field(default_factory=PublisherSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    history: HistorySettings = Field(default_factory=HistorySettings)

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
    """Read the settings from the environment. Raises :class:`SettingsInvalid`."""
    if unknown := sorted(name for name in os.environ if _is_unknown(name)):
        raise SettingsInvalid("\n".join(f"{name}: there is no such setting" for name in unknown))
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsInvalid("\n".join(_complaints(error))) from None


def _is_unknown(variable: str) -> bool:
    """Whether a variable looks like a setting and is none; what comes after ``__`` is checked with its group."""
    prefix = Settings.model_config["env_prefix"]
    name = variable.upper().removeprefix(prefix).split("__", 1)[0].lower()
    # What is set for tests is none of ours.
    return variable.upper().startswith(prefix) and not name.startswith("test_") and name not in Settings.model_fields


def _complaints(error: ValidationError) -> list[str]:
    prefix = Settings.model_config["env_prefix"]
    return [
        f"{prefix}{'__'.join(map(str, problem['loc'])).upper()}: {problem['msg']} (it is {_shown(problem)})"
        for problem in error.errors()
    ]


def _shown(problem: ErrorDetails) -> str:
    """The value at fault, unless a password may be in it."""
    secret = problem["loc"][:1] == ("database",) or problem["loc"][:2] == ("prometheus", "token")
    return "not shown" if secret else f"{problem['input']!r:.80}"
