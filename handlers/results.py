"""What an operation of the executor comes to, deployment by deployment."""

from dataclasses import dataclass, field

from domain.failures import FailureKind
from handlers.deployment_repository import DeploymentInfo


@dataclass(slots=True)
class DeploymentExecutionError:
    """Why an operation failed for one deployment.

    ``code`` is a word that programs may compare and ``kind`` says whether to try again; neither counts for equality.
    """

    deployment_info: DeploymentInfo
    reason: str
    error_detail: str
    code: str = field(default="failed", compare=False)
    kind: FailureKind = field(default=FailureKind.UNKNOWN, compare=False)


@dataclass(slots=True)
class DeploymentExecutionResult:
    """Each deployment that was handed in stands in exactly one of the lists, in the order given."""

    successes: list[DeploymentInfo] = field(default_factory=list)
    errors: list[DeploymentExecutionError] = field(default_factory=list)
    skipped: list[DeploymentInfo] = field(default_factory=list)
