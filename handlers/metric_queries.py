"""Where the answers to rules' own queries come from: the port to a metric store such as Prometheus."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from domain.errors import RoutekeeperError


class Measurement(NamedTuple):
    """A ``value`` (the metric's own unit, finite) at a moment, of one route or of a deployment as a whole."""

    value: float
    at: datetime
    route_id: UUID | None = None


class QueryAnswer(NamedTuple):
    """What a query gave: one value, one for each of several routes, or nothing; ``warnings`` are for people."""

    measurements: Sequence[Measurement]
    warnings: Sequence[str] = ()


class MetricQueryFailed(RoutekeeperError):
    """A query gave nothing that can be used; the message says why, and never holds a credential."""


class MetricQueries(Protocol):
    """Answers queries."""

    async def ask(self, query: str) -> QueryAnswer:
        """Give what ``query`` comes to now. Raises :class:`MetricQueryFailed`."""
        ...
