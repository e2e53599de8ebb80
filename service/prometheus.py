"""From the settings to what asks Prometheus."""

from collections.abc import Awaitable, Callable, Container, Sequence
from uuid import UUID

from adapters.prometheus import PrometheusLimits, PrometheusQueries
from domain.autoscaling.samples import MetricsReport
from handlers.metric_poller import MetricPoller, Wanted
from handlers.metric_queries import MetricQueries
from service.settings import PrometheusSettings, SettingsInvalid


def open_prometheus(settings: PrometheusSettings) -> PrometheusQueries | None:
    """Make the client, which the caller closes; ``None`` where no address is set. Raises :class:`SettingsInvalid`."""
    if settings.url is None:
        return None
    limits = PrometheusLimits(
        timeout_seconds=settings.timeout_seconds,
        connections=settings.polling.concurrency,
        max_body_bytes=settings.max_body_bytes,
    )
    try:
        settings.token.read()
        return PrometheusQueries(settings.url, token=settings.token.read, ca_file=settings.ca_file, limits=limits)
    except ValueError as error:
        raise SettingsInvalid(f"ROUTEKEEPER_PROMETHEUS: {error}") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsInvalid(f"ROUTEKEEPER_PROMETHEUS__CA_FILE: {settings.ca_file}: {reason}") from None


def metric_poller(
    settings: PrometheusSettings,
    queries: MetricQueries,
    wanted: Callable[[], Wanted],
    submit: Callable[[Sequence[MetricsReport]], Awaitable[None]],
    *,
    routes_of: Callable[[UUID], Container[UUID]] | None = None,
) -> MetricPoller:
    """Make the poller that asks ``queries`` for what is ``wanted``."""
    return MetricPoller(queries, wanted, submit, routes_of=routes_of, limits=settings.polling)
