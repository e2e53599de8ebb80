"""How many routes a deployment gains or loses in one run of the executor."""

from collections.abc import Sequence
from uuid import UUID

from domain.deployment import Deployment
from domain.routes import Route, termination_order
from handlers.deployment_repository import RouteCreator

#: Most routes that one run makes or takes away for a deployment (count): more, decided in one go, hold up everybody.
MAX_ROUTES_PER_RUN = 2_000

RouteChange = tuple[Sequence[RouteCreator], Sequence[UUID]]


def route_change(deployment: Deployment, active: Sequence[Route]) -> RouteChange | None:
    """What to make and what to take away now, or ``None`` where the count is right or there is nothing to run yet."""
    missing = deployment.target_replica_count - len(active)
    if missing < 0:
        return (), [route.id for route in termination_order(active)[: min(-missing, MAX_ROUTES_PER_RUN)]]
    if missing == 0 or deployment.target_revision is None:
        return None
    creator = RouteCreator(
        endpoint_id=deployment.id,
        revision_id=deployment.target_revision.revision_id,
        session_owner=deployment.owner,
        domain=deployment.domain,
        project=deployment.project,
    )
    return [creator] * min(missing, MAX_ROUTES_PER_RUN), ()
