"""The body that asks an app proxy for an endpoint."""

from typing import Any

from domain.deployment import Deployment
from domain.failures import FailureKind
from domain.operations import Operation
from domain.revision import HealthCheck


def create_request(deployment: Deployment) -> dict[str, Any]:
    """Describe the deployment as the proxy's create call wants it.

    The URL that it had is asked for again, unless the proxy has just refused the call for good: perhaps because of it,
    as the URL's port was given to another endpoint meanwhile.
    """
    revision = deployment.target_revision
    health_check = revision.health_check if revision else None
    failure = deployment.failures.get(Operation.CHECK_PENDING)
    refused = failure is not None and failure.kind is FailureKind.PERMANENT
    return {
        "version": "v2",
        "service_name": deployment.name,
        "tags": {
            "session": {
                "user_uuid": str(deployment.owner),
                "group_id": str(deployment.project),
                "domain_name": deployment.domain,
            },
            "endpoint": {
                "id": str(deployment.id),
                "runtime_variant": revision.runtime_variant if revision else "custom",
                "existing_url": None if refused else deployment.endpoint.url,
            },
        },
        "apps": {},
        "open_to_public": deployment.open_to_public,
        "health_check": health_check and _health_check(health_check),
    }


def _health_check(check: HealthCheck) -> dict[str, Any]:
    return {
        "interval": check.interval_seconds,
        "path": check.path,
        "max_retries": check.max_retries,
        "max_wait_time": check.max_wait_seconds,
        "expected_status_code": check.expected_status_code,
        "initial_delay": check.initial_delay_seconds,
    }
