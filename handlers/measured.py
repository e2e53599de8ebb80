"""Parts that do as their base does, and tell how long it took and how it ended."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from domain.deployment import Deployment
from domain.operations import Operation
from domain.recorded import LoggedEvent
from handlers.app_proxy import DEFAULT_TIMEOUT_SECONDS
from handlers.app_proxy_errors import AppProxyError
from handlers.client_session import ClientPool
from handlers.deployment_repository import DeploymentRepository
from handlers.executor import DeploymentExecutor
from handlers.ledger import failure_code
from handlers.log_context import concerning
from handlers.ports import DecisionLog, EventLogError, LogBatch
from handlers.proxy_calls import ProxyCallLimits, ProxyCalls
from handlers.results import DeploymentExecutionResult
from handlers.telemetry import Telemetry
from handlers.traces import TraceOf

T = TypeVar("T")

_SUCCEEDED, _FAILED, _SKIPPED = "succeeded", "failed", "skipped"


class MeasuredLog:
    """A log whose appends are timed and counted."""

    def __init__(self, log: DecisionLog, telemetry: Telemetry) -> None:
        self._log = log
        self._telemetry = telemetry

    async def append(self, batch: LogBatch) -> Sequence[int]:
        started, failure = time.monotonic(), None
        try:
            return await self._log.append(batch)
        except EventLogError as error:
            failure = failure_code(error)
            raise
        finally:
            self._telemetry.append_ended(time.monotonic() - started, len(batch.events), failure)

    async def deployments(self, ids: Collection[UUID]) -> Mapping[UUID, Deployment]:
        return await self._log.deployments(ids)

    async def stream_version(self, stream_id: UUID) -> int:
        return await self._log.stream_version(stream_id)

    async def stream(self, stream_id: UUID) -> Sequence[LoggedEvent]:
        return await self._log.stream(stream_id)


class MeasuredProxyCalls(ProxyCalls):
    """Calls to app proxies that are timed and counted, those included that were not sent."""

    def __init__(self, limits: ProxyCallLimits, telemetry: Telemetry) -> None:
        super().__init__(limits)
        self._telemetry = telemetry

    async def run(self, address: str, call: Callable[[], Awaitable[T]], *, timeout_seconds: float) -> T:
        started, outcome = time.monotonic(), _FAILED
        try:
            answer = await super().run(address, call, timeout_seconds=timeout_seconds)
            outcome = _SUCCEEDED
        except AppProxyError as error:
            outcome = failure_code(error)
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        else:
            return answer
        finally:
            self._telemetry.proxy_call_ended(address, outcome, time.monotonic() - started)


_Operation = Callable[[Sequence[Deployment]], Awaitable[DeploymentExecutionResult]]


class MeasuredExecutor(DeploymentExecutor):
    """An executor whose operations are timed, counted by outcome, and named in what is logged meanwhile."""

    def __init__(
        self,
        deployment_repo: DeploymentRepository,
        client_pool: ClientPool,
        *,
        proxy_calls: ProxyCalls,
        telemetry: Telemetry,
        trace_of: TraceOf,
        proxy_timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(
            deployment_repo,
            client_pool,
            proxy_calls=proxy_calls,
            proxy_timeout_seconds=proxy_timeout_seconds,
            trace_of=trace_of,
        )
        self._telemetry = telemetry

    async def check_pending_deployments(self, deployments: Sequence[Deployment]) -> DeploymentExecutionResult:
        return await self._measure(Operation.CHECK_PENDING, super().check_pending_deployments, deployments)

    async def check_ready_deployments_that_need_scaling(
        self, deployments: Sequence[Deployment]
    ) -> DeploymentExecutionResult:
        check_ready = super().check_ready_deployments_that_need_scaling
        return await self._measure(Operation.CHECK_READY, check_ready, deployments)

    async def scale_deployment(self, deployments: Sequence[Deployment]) -> DeploymentExecutionResult:
        return await self._measure(Operation.SCALE, super().scale_deployment, deployments)

    async def calculate_desired_replicas(self, deployments: Sequence[Deployment]) -> DeploymentExecutionResult:
        return await self._measure(Operation.CALCULATE, super().calculate_desired_replicas, deployments)

    async def destroy_deployment(self, deployments: Sequence[Deployment]) -> DeploymentExecutionResult:
        return await self._measure(Operation.DESTROY, super().destroy_deployment, deployments)

    async def _measure(
        self, operation: Operation, run: _Operation, deployments: Sequence[Deployment]
    ) -> DeploymentExecutionResult:
        started = time.monotonic()
        with concerning(operation=operation):
            result = await run(deployments)
        outcomes = {
            _SUCCEEDED: len(result.successes),
            _FAILED: len(result.errors),
            _SKIPPED: len(result.skipped),
        }
        self._telemetry.operation_ended(operation, time.monotonic() - started, outcomes)
        return result
