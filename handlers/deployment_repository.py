"""What the executor needs of whatever stores deployments, and the values that pass between the two."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

from domain.autoscaling.rules import ScalingRule
from domain.autoscaling.window import SampleWindows
from domain.deployment import Deployment
from domain.errors import RoutekeeperError
from domain.routes import Route, RouteStatus

#: A deployment as the executor is given it.
DeploymentInfo = Deployment

#: A route as the executor is given it.
RouteData = Route

#: A scaling rule as the executor is given it.
AutoScalingRule = ScalingRule


@dataclass(frozen=True, slots=True)
class ScalingGroupProxyTarget:
    """The app proxy of a scaling group (resource group): ``addr`` is ``host:port`` or a URL; the token is secret.

    ``ca_file`` holds the certificates that an https proxy is checked against (``None``: the general ones).
    """

    addr: str
    api_token: str = field(repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCreator:
    """One route to be made for a deployment; ``traffic_ratio`` is its weight among its siblings."""

    endpoint_id: UUID
    revision_id: UUID
    session_owner: UUID
    domain: str
    project: UUID
    traffic_ratio: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchUpdater:
    """Routes that all get one status and no more traffic."""

    route_ids: frozenset[UUID]
    status: RouteStatus = RouteStatus.TERMINATING
    traffic_ratio: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoScalingMetricsData:
    """What scaling rules are held against: active routes and the windows of samples, by deployment id."""

    routes_by_endpoint: Mapping[UUID, Sequence[RouteData]] = field(default_factory=dict)
    samples_by_endpoint: Mapping[UUID, SampleWindows] = field(default_factory=dict)


class BulkOperationFailed(RoutekeeperError):
    """Some parts of a bulk operation failed, each with a cause of its own, by deployment id; all others took effect."""

    def __init__(self, failures: Mapping[UUID, Exception]) -> None:
        super().__init__(f"{len(failures)} parts of a bulk operation failed")
        self.failures = failures


class DeploymentRepository(Protocol):
    """Stores deployments. "Endpoint id" is another word for the deployment's id.

    A bulk operation that can tell its parts' failures apart raises :class:`BulkOperationFailed`; after any other
    exception nothing of it has taken effect.
    """

    async def fetch_scaling_group_proxy_targets(
        self, scaling_groups: set[str]
    ) -> Mapping[str, ScalingGroupProxyTarget | None]:
        """The app proxy of each scaling group; one without is absent or ``None``."""
        ...

    async def update_endpoint_urls_bulk(self, urls: Mapping[UUID, str]) -> None:
        """Store the URLs that the proxy gave, by deployment id."""
        ...

    async def fetch_active_routes_by_endpoint_ids(self, endpoint_ids: set[UUID]) -> Mapping[UUID, Sequence[RouteData]]:
        """The routes that count as replicas, by deployment id."""
        ...

    async def scale_routes(self, creators: Sequence[RouteCreator], updater: BatchUpdater | None) -> None:
        """Make routes, and take others away."""
        ...

    async def fetch_auto_scaling_rules_by_endpoint_ids(
        self, endpoint_ids: set[UUID]
    ) -> Mapping[UUID, Sequence[AutoScalingRule]]:
        """The scaling rules in order of precedence, by deployment id."""
        ...

    async def fetch_metrics_for_autoscaling(
        self, deployments: Sequence[DeploymentInfo], rules: Mapping[UUID, Sequence[AutoScalingRule]]
    ) -> AutoScalingMetricsData:
        """The active routes and the samples of the deployments."""
        ...

    async def update_desired_replicas_bulk(self, desired: Mapping[UUID, int]) -> None:
        """Store the desired numbers of replicas, by deployment id."""
        ...

    async def calculate_desired_replicas_for_deployment(
        self, deployment: DeploymentInfo, rules: Sequence[AutoScalingRule], metrics: AutoScalingMetricsData
    ) -> int | None:
        """The number of replicas that the rules come to; ``None`` if they change nothing."""
        ...

    async def mark_terminating_route_status_bulk(self, route_ids: Collection[UUID]) -> None:
        """Take routes away."""
        ...
