"""Keeps book of which deployments of an operation are done, failed or skipped, so that none is lost or mixed up."""

import re
from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.deployment import Deployment
from domain.errors import CommandRejected
from domain.failures import FailureKind
from handlers.app_proxy_errors import failure_kind
from handlers.results import DeploymentExecutionError, DeploymentExecutionResult


class ExecutionLedger:
    """Begins with all deployments open; each is failed or skipped at most once, and what stays open is a success."""

    def __init__(self, deployments: Sequence[Deployment]) -> None:
        self._deployments = deployments
        self._open = {deployment.id: deployment for deployment in deployments}
        self._errors: dict[UUID, DeploymentExecutionError] = {}

    def remaining(self) -> list[Deployment]:
        """The deployments that are neither failed nor skipped, in the order given."""
        return list(self._open.values())

    def skip(self, deployment: Deployment) -> None:
        """Note that there is nothing to do, or nothing that can be done now."""
        self._open.pop(deployment.id, None)

    def fail(self, deployment: Deployment, reason: str, detail: str, *, code: str, kind: FailureKind) -> None:
        """Note why the operation failed for this deployment."""
        if self._open.pop(deployment.id, None) is not None:
            self._errors[deployment.id] = DeploymentExecutionError(deployment, reason, detail, code=code, kind=kind)

    def fail_by(self, deployment: Deployment, error: Exception, detail: str) -> None:
        """Note that ``error`` made the operation fail; it is the reason, ``detail`` says what was tried."""
        self.fail(deployment, failure_text(error), detail, code=failure_code(error), kind=failure_kind(error))

    def fail_each(self, errors: Mapping[UUID, Exception], detail: str) -> None:
        """Note errors by deployment id."""
        for key, error in errors.items():
            if deployment := self._open.get(key):
                self.fail_by(deployment, error, detail)

    def result(self) -> DeploymentExecutionResult:
        """The lists, each in the order in which the deployments were given."""
        result = DeploymentExecutionResult(successes=self.remaining())
        if len(result.successes) != len(self._deployments):
            for deployment in self._deployments:
                if error := self._errors.get(deployment.id):
                    result.errors.append(error)
                elif deployment.id not in self._open:
                    result.skipped.append(deployment)
        return result


def failure_code(error: Exception) -> str:
    """A word for the error that programs may compare: a rejection's own code, else the error's name in kebab case."""
    if isinstance(error, CommandRejected):
        return error.code
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(error).__name__).lower()


def failure_text(error: Exception) -> str:
    """What the error says of itself; its name where that is nothing."""
    return str(error) or type(error).__name__
