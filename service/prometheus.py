"""From the settings to what asks Prometheus."""

from collections.abc import Container, Sequence
from uuid import UUID

from adapters.prometheus import PrometheusLimits, PrometheusQueries
from domain.autoscaling.samples import MetricsReport
from handlers.metric_poller import MetricPoller
from handlers.metric_queries import MetricQueries
from handlers.ports import SampleReport
from service.bootstrap import ControlPlane, utc_now
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


def metric_poller(settings: PrometheusSettings, queries: MetricQueries, plane: ControlPlane) -> MetricPoller:
    """Make the poller that asks what the rules of ``plane`` want, and has the answers committed as samples."""

    async def submit(reports: Sequence[MetricsReport]) -> None:
        now = utc_now()
        await plane.decider.take_samples(
            SampleReport(deployment_id=report.deployment_id, received_at=now, samples=report.samples)
            for report in reports
        )

    def routes_of(deployment_id: UUID) -> Container[UUID] | None:
        known = plane.decider.in_memory(deployment_id)
        return None if known is None else known.routes

    return MetricPoller(queries, plane.scaling.queries, submit, routes_of=routes_of, limits=settings.polling)
