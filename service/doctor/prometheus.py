"""Check of Prometheus, where scaling rules' own queries are asked."""

from collections.abc import Sequence
from typing import Final

from adapters.prometheus import PrometheusQueries
from handlers.metric_queries import MetricQueryFailed
from service.doctor.finding import Finding, Patience, failed, ok, within
from service.prometheus import open_prometheus
from service.settings import Settings, SettingsInvalid

_PROMETHEUS: Final = "prometheus"
#: Comes to one number on every server, whatever it has collected.
_QUERY: Final = "vector(1)"
_REPAIR: Final = (
    "see that the server runs, and that ROUTEKEEPER_PROMETHEUS__URL and, where it asks who we are, "
    "ROUTEKEEPER_PROMETHEUS__TOKEN__… are right"
)


async def check_prometheus(settings: Settings, patience: Patience) -> Sequence[Finding]:
    """Whether Prometheus answers a query and accepts the token; no finding where none is set."""
    try:
        queries = open_prometheus(settings.prometheus)
    except SettingsInvalid as error:
        return [failed(_PROMETHEUS, str(error), "correct the setting or the file")]
    if queries is None:
        return []
    try:
        return await within(patience, _PROMETHEUS, _REPAIR, lambda: _asked(settings.prometheus.url, queries))
    finally:
        await queries.close()


async def _asked(url: str | None, queries: PrometheusQueries) -> Sequence[Finding]:
    try:
        await queries.ask(_QUERY)
    except MetricQueryFailed as error:
        return [failed(_PROMETHEUS, f"{url}: {error}", _REPAIR)]
    return [ok(_PROMETHEUS, f"{url} answers queries")]
