"""Doubles for what surrounds the executor, of two makes with one vocabulary: written by hand, and unittest.mock's.

The hand-written session stands below the real client of the proxy, the mock in place of it.
"""

import json as json_module
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock, MagicMock, patch
from uuid import UUID

import pytest

from domain.deployment import Deployment, Lifecycle, ReplicaSpec
from domain.revision import Revision
from domain.routes import Route, RouteStatus
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.executor import DeploymentExecutor
from handlers.proxy_calls import ProxyCalls

#: The repository's methods.
TARGETS = "fetch_scaling_group_proxy_targets"
URLS = "update_endpoint_urls_bulk"
ROUTES = "fetch_active_routes_by_endpoint_ids"
SCALE = "scale_routes"
RULES = "fetch_auto_scaling_rules_by_endpoint_ids"
METRICS = "fetch_metrics_for_autoscaling"
CALCULATE = "calculate_desired_replicas_for_deployment"
DESIRED = "update_desired_replicas_bulk"
TERMINATE = "mark_terminating_route_status_bulk"

#: The makes of doubles.
MAKES = ("recording", "mocks")

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REVISION = Revision(revision_id=UUID(int=7), image="image:1", model="llama")
PROXY = ScalingGroupProxyTarget(addr="proxy:8080", api_token="token")


def a_deployment(
    number: int = 1,
    *,
    replicas: int = 1,
    desired: int | None = None,
    revision: Revision | None = REVISION,
    group: str = "sg1",
    lifecycle: Lifecycle = Lifecycle.PENDING,
) -> Deployment:
    """Make deployment ``d<number>``."""
    return Deployment(
        id=UUID(int=number),
        version=1,
        name=f"d{number}",
        resource_group=group,
        domain="default",
        project=UUID(int=2),
        owner=UUID(int=3),
        open_to_public=False,
        created_at=NOW,
        digest="",
        lifecycle=lifecycle,
        replica_spec=ReplicaSpec(replica_count=replicas, desired_replica_count=desired),
        target_revision=revision,
    )


def a_route(number: int, status: RouteStatus = RouteStatus.HEALTHY, *, age: float = 60) -> Route:
    """Make a route that is ``age`` seconds old."""
    made = NOW - timedelta(seconds=age)
    return Route(
        id=UUID(int=100 + number),
        revision_id=REVISION.revision_id,
        status=status,
        traffic_ratio=1.0,
        created_at=made,
        status_since=made,
    )


class Doubles(ABC):
    """The executor between a double of the repository and one of the proxy."""

    executor: DeploymentExecutor

    @abstractmethod
    def answers(self, method: str, answer: object) -> None:
        """Let the repository's ``method`` give ``answer``."""

    @abstractmethod
    def raises(self, method: str, error: Exception) -> None:
        """Let the repository's ``method`` raise ``error``."""

    @abstractmethod
    def calls(self, method: str) -> list[tuple[Any, ...]]:
        """The positional arguments of each call of the repository's ``method``."""

    @abstractmethod
    def all_calls(self) -> list[str]:
        """The repository's methods that were called."""

    @abstractmethod
    def creates(self, deployment: Deployment, outcome: str | Exception) -> None:
        """Let the proxy answer a create with this URL, or the call raise this."""

    @abstractmethod
    def deletes(self, deployment: Deployment, outcome: Exception | None) -> None:
        """Let the proxy confirm a delete, or the call raise this."""

    @abstractmethod
    def created(self) -> list[UUID]:
        """The endpoints that the proxy was asked to create."""

    @abstractmethod
    def deleted(self) -> list[UUID]:
        """The endpoints that the proxy was asked to delete."""


class RecordingRepository:
    """Gives what it was told to give and notes what it was asked; what it was not told about must not be asked."""

    def __init__(self) -> None:
        self.outcomes: dict[str, object] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, method: str) -> Callable[..., Any]:
        async def called(*args: object) -> object:
            self.calls.append((method, args))
            outcome = self.outcomes[method]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome(*args) if callable(outcome) else outcome

        return called


@dataclass(frozen=True)
class _Response:
    status_code: int
    content: bytes


@dataclass
class RecordingSession:
    """Answers creates and deletes as told, by method and endpoint id, and notes the requests."""

    outcomes: dict[tuple[str, UUID], object] = field(default_factory=dict)
    requests: list[tuple[str, UUID]] = field(default_factory=list)
    timeouts: set[float | None] = field(default_factory=set)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        json: Any = None,  # noqa: ANN401 - whatever JSON can express
        timeout: float | None = None,  # noqa: ASYNC109 - the port's own parameter
    ) -> _Response:
        assert url.startswith("http://proxy:8080/v2/endpoints/")
        assert headers["X-BackendAI-Token"] == "token"
        endpoint_id = UUID(url.rpartition("/")[2])
        self.requests.append((method, endpoint_id))
        self.timeouts.add(timeout)
        outcome = self.outcomes[method, endpoint_id]
        if isinstance(outcome, Exception):
            raise outcome
        return _Response(200, json_module.dumps(outcome).encode())

    def load_client_session(self) -> "RecordingSession":
        """Be the pool too."""
        return self


class RecordingDoubles(Doubles):
    """Written by hand."""

    def __init__(self, proxy_calls: ProxyCalls | None = None) -> None:
        self.repository = RecordingRepository()
        self.session = RecordingSession()
        self.executor = DeploymentExecutor(
            deployment_repo=self.repository, client_pool=self.session, proxy_calls=proxy_calls
        )

    def answers(self, method: str, answer: object) -> None:
        self.repository.outcomes[method] = answer

    def raises(self, method: str, error: Exception) -> None:
        self.repository.outcomes[method] = error

    def calls(self, method: str) -> list[tuple[Any, ...]]:
        return [args for name, args in self.repository.calls if name == method]

    def all_calls(self) -> list[str]:
        return [name for name, _ in self.repository.calls]

    def creates(self, deployment: Deployment, outcome: str | Exception) -> None:
        answer = {"success": True, "endpoint": outcome}
        self.session.outcomes["POST", deployment.id] = outcome if isinstance(outcome, Exception) else answer

    def deletes(self, deployment: Deployment, outcome: Exception | None) -> None:
        self.session.outcomes["DELETE", deployment.id] = outcome or {"success": True}

    def created(self) -> list[UUID]:
        return [key for method, key in self.session.requests if method == "POST"]

    def deleted(self) -> list[UUID]:
        return [key for method, key in self.session.requests if method == "DELETE"]


class MockDoubles(Doubles):
    """Plain mocks, as made by somebody who knows the port's names only; ``client`` stands in for the real one.

    Methods that nobody told what to give, give another mock.
    """

    def __init__(self) -> None:
        self.repository = AsyncMock()
        self.client = MagicMock(create_endpoint=AsyncMock(), delete_endpoint=AsyncMock())
        self._creates: dict[UUID, str | Exception] = {}
        self._deletes: dict[UUID, Exception | None] = {}
        self.client.create_endpoint.side_effect = self._create
        self.client.delete_endpoint.side_effect = self._delete
        self.executor = DeploymentExecutor(deployment_repo=self.repository, client_pool=MagicMock())

    def answers(self, method: str, answer: object) -> None:
        double = getattr(self.repository, method)
        double.side_effect, double.return_value = (answer, None) if callable(answer) else (None, answer)

    def raises(self, method: str, error: Exception) -> None:
        getattr(self.repository, method).side_effect = error

    def calls(self, method: str) -> list[tuple[Any, ...]]:
        assert not any(call.kwargs for call in getattr(self.repository, method).await_args_list)
        return [call.args for call in getattr(self.repository, method).await_args_list]

    def all_calls(self) -> list[str]:
        return [name for name, _, _ in self.repository.method_calls]

    def creates(self, deployment: Deployment, outcome: str | Exception) -> None:
        self._creates[deployment.id] = outcome

    def deletes(self, deployment: Deployment, outcome: Exception | None) -> None:
        self._deletes[deployment.id] = outcome

    def created(self) -> list[UUID]:
        return [call.args[0] for call in self.client.create_endpoint.await_args_list]

    def deleted(self) -> list[UUID]:
        return [call.args[0] for call in self.client.delete_endpoint.await_args_list]

    def _create(self, endpoint_id: UUID, _body: object) -> dict[str, str]:
        outcome = self._creates[endpoint_id]
        if isinstance(outcome, Exception):
            raise outcome
        return {"endpoint": outcome}

    def _delete(self, endpoint_id: UUID) -> None:
        outcome = self._deletes[endpoint_id]
        if outcome is not None:
            raise outcome


@contextmanager
def doubles_made(make: str) -> Iterator[Doubles]:
    """Give doubles of one of the :data:`MAKES`."""
    if make == "recording":
        yield RecordingDoubles()
        return
    mocks = MockDoubles()
    with patch("handlers.executor.AppProxyClient", return_value=mocks.client):
        yield mocks


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and text of everything that was logged."""
    return [(record.levelname, record.getMessage()) for record in caplog.records]
