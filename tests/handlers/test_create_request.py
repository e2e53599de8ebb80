"""The body of a create call, as a real proxy was seen to take it."""

import json
from dataclasses import replace
from uuid import UUID

import pytest

from domain.deployment import Endpoint
from domain.failures import FailureKind
from domain.operations import Operation, OperationFailure
from domain.revision import HealthCheck
from handlers.create_request import create_request
from service.demo.reference_proxy_answers import parsed_create
from tests.executor_doubles import NOW, REVISION, a_deployment


def test_it_holds_all_that_the_proxy_asks_for() -> None:
    revision = REVISION.model_copy(update={"health_check": HealthCheck(path="/healthz")})

    assert create_request(a_deployment(1, revision=revision)) == {
        "version": "v2",
        "service_name": "d1",
        "tags": {
            "session": {"user_uuid": str(UUID(int=3)), "group_id": str(UUID(int=2)), "domain_name": "default"},
            "endpoint": {"id": str(UUID(int=1)), "runtime_variant": "custom", "existing_url": None},
        },
        "apps": {},
        "open_to_public": False,
        "health_check": {
            "interval": 10.0,
            "path": "/healthz",
            "max_retries": 10,
            "max_wait_time": 15.0,
            "expected_status_code": 200,
            "initial_delay": 60.0,
        },
    }


def test_the_reference_proxy_understands_it() -> None:
    body = parsed_create(json.dumps(create_request(a_deployment(1))).encode())

    assert (body.service_name, body.health_check) == ("d1", None)


@pytest.mark.parametrize(
    ("kind", "existing_url"),
    [
        (None, "http://worker:1/"),
        (FailureKind.TRANSIENT, "http://worker:1/"),
        (FailureKind.UNKNOWN, "http://worker:1/"),
        (FailureKind.PERMANENT, None),
    ],
)
def test_the_url_that_it_had_is_asked_for_until_the_proxy_refuses(
    kind: FailureKind | None, existing_url: str | None
) -> None:
    registered = replace(a_deployment(1), endpoint=Endpoint(url="http://worker:1/"))
    if kind is not None:
        failure = OperationFailure(
            code="request-rejected", reason="", kind=kind, attempts=1, failed_at=NOW, next_attempt_at=NOW, version=1
        )
        registered = replace(registered, failures={Operation.CHECK_PENDING: failure})

    assert create_request(registered)["tags"]["endpoint"]["existing_url"] == existing_url
