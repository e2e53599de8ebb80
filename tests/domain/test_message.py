from datetime import UTC

import pytest
from pydantic import ValidationError

from domain import commands as c
from domain.revision import HealthCheck
from domain.routes import RouteStatus
from tests.domain.histories import DEPLOYMENT, route_id
from tests.domain.scenario import NOW


def override_until(text: str) -> c.OverrideReplicas:
    return c.OverrideReplicas.model_validate({"deployment_id": DEPLOYMENT, "replica_count": 1, "until": text})


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59-23:00", "9000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:00"],
)
def test_a_moment_that_other_time_zones_cannot_express_is_refused(text: str) -> None:
    """Accepted, it would fail for ever wherever it is turned into another zone or into seconds."""
    with pytest.raises(ValidationError, match="until"):
        override_until(text)


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "2026-01-01", "tomorrow", "NaN"])
def test_a_moment_without_a_time_zone_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="until"):
        override_until(text)


def test_the_furthest_moment_can_be_turned_into_any_zone() -> None:
    until = override_until("8999-12-31T00:59:59-23:00").until

    assert until is not None
    assert until.astimezone(UTC) > NOW


def test_text_from_anywhere_is_made_storable() -> None:
    report = c.RouteReport(route_id=route_id(1), status=RouteStatus.UNHEALTHY, detail="exit\0 137")

    assert report.detail == "exit\N{REPLACEMENT CHARACTER} 137"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 31_536_001.0])
def test_a_length_of_time_is_a_number_of_seconds_up_to_a_year(number: float) -> None:
    with pytest.raises(ValidationError, match="interval_seconds"):
        HealthCheck(interval_seconds=number)


@pytest.mark.parametrize("count", [-1, 100_001, 1.5])
def test_a_number_of_replicas_has_bounds(count: float) -> None:
    with pytest.raises(ValidationError, match="replica_count"):
        c.SetReplicaCount.model_validate({"deployment_id": DEPLOYMENT, "replica_count": count})


def test_a_message_never_changes_and_knows_all_its_fields() -> None:
    command = c.SetReplicaCount(deployment_id=DEPLOYMENT, replica_count=1)

    with pytest.raises(ValidationError, match="frozen"):
        command.replica_count = 2  # type: ignore[misc] # what the type checker forbids must fail at run time too
    with pytest.raises(ValidationError, match="Extra inputs"):
        c.SetReplicaCount.model_validate({"deployment_id": DEPLOYMENT, "replica_count": 1, "count": 1})
