"""A history for the command line's tests: decided by the domain, kept in a real log, and folded into real views."""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from typer.testing import CliRunner, Result

from domain import commands as c
from domain.autoscaling.decision import DecisionReason, RuleEvaluation, ScalingDecision
from domain.autoscaling.rules import Comparator, MetricSource, ScalingPolicy, StepRule
from domain.failures import FailureKind
from domain.operations import Operation
from domain.rejections import RejectedRecord
from domain.revision import Revision
from domain.routes import RouteStatus
from service.cli.app import app
from tests.chronicle import Chronicle

CHAT = UUID("0198c0de-4f1a-7000-8000-00000000c4a7")
SEARCH = UUID("0198c0de-9b2c-7000-8000-0000005ea2c4")
GONE = UUID("f0000000-0000-4000-8000-000000000001")
OLD_CHAT = UUID("f0000000-0000-4000-8000-000000000002")
REVISION = Revision(
    revision_id=UUID("77777777-0000-4000-8000-000000000001"), image="registry.example/vllm:0.9", model="llama-3-8b"
)
PROJECT = UUID("11111111-0000-4000-8000-000000000001")
OWNER = UUID("22222222-0000-4000-8000-000000000001")

BUSY = StepRule(
    name="busy",
    source=MetricSource.KERNEL,
    metric="gpu_util",
    comparator=Comparator.GREATER_THAN,
    threshold=80.0,
    step=2,
    cooldown_seconds=300,
)
IDLE = StepRule(
    name="idle",
    source=MetricSource.INFERENCE_FRAMEWORK,
    metric="requests_running",
    comparator=Comparator.LESS_THAN_OR_EQUAL,
    threshold=0.5,
    step=-1,
    cooldown_seconds=600,
    min_replicas=1,
    max_replicas=6,
)
POLICY = ScalingPolicy(rules=(BUSY, IDLE), min_replicas=1, max_replicas=3)


def create(deployment_id: UUID, name: str, replicas: int, **more: object) -> c.CreateDeployment:
    """The command that begins a deployment."""
    fields = {
        "resource_group": "gpu",
        "domain": "default",
        "project": PROJECT,
        "owner": OWNER,
        "replica_count": replicas,
    }
    return c.CreateDeployment.model_validate({"deployment_id": deployment_id, "name": name, **fields, **more})


def report(deployment_id: UUID, status: RouteStatus, routes: Sequence[UUID], detail: str = "") -> c.ReportRoutes:
    """The report that routes are in a status."""
    reports = tuple(c.RouteReport(route_id=route, status=status, detail=detail) for route in routes)
    return c.ReportRoutes(deployment_id=deployment_id, reports=reports)


def live_through(chronicle: Chronicle) -> None:
    """Let much of what can happen, happen.

    ``chat`` is ready and was scaled by a rule; ``search`` cannot be registered; ``gone`` and an earlier ``chat`` are
    destroyed; one record was refused.
    """
    bring_up(chronicle, OLD_CHAT, "chat")
    take_down(chronicle, OLD_CHAT)
    bring_up(chronicle, CHAT, "chat", scaling_policy=POLICY)
    scale_by_rule(chronicle)
    chronicle.ask(create(SEARCH, "search", 2, resource_group="edge", target_revision=REVISION), actor="bob")
    for attempt in (1, 2):
        fail_to_register(chronicle, attempt)
    bring_up(chronicle, GONE, "gone")
    take_down(chronicle, GONE)
    chronicle.refuse(
        RejectedRecord(
            offset=41, digest="0" * 64, length=12, code="invalid-json", field="", value="", reason="expected value"
        ),
        RejectedRecord(
            offset=42,
            digest="1" * 64,
            length=230,
            code="invalid-field",
            field="data.replica_count",
            value="-3",
            reason="data.replica_count: input should be greater than or equal to 0, not -3",
            source="/somebody",
            id="oops",
        ),
    )
    chronicle.fold()


def bring_up(chronicle: Chronicle, deployment_id: UUID, name: str, **more: object) -> None:
    """Let a deployment with one replica become ready."""
    chronicle.ask(create(deployment_id, name, 1, target_revision=REVISION, **more))
    deadline = chronicle.now + timedelta(seconds=20)
    start = c.StartEndpointRegistration(
        deployment_id=deployment_id, deadline=deadline, settles_at=deadline + timedelta(seconds=30)
    )
    chronicle.find(start, Operation.CHECK_PENDING)
    url = f"https://{name}.models.example/"
    chronicle.find(c.RecordEndpointRegistered(deployment_id=deployment_id, url=url), Operation.CHECK_PENDING)
    add_routes(chronicle, deployment_id, 1)


def add_routes(chronicle: Chronicle, deployment_id: UUID, count: int) -> None:
    """Let routes be made and become healthy."""
    out = c.ScaleOut(deployment_id=deployment_id, count=count, revision_id=REVISION.revision_id)
    chronicle.find(out, Operation.SCALE)
    routes = chronicle.states[deployment_id].routes.values()
    new = [route.id for route in routes if route.status is RouteStatus.PROVISIONING]
    chronicle.ask(report(deployment_id, RouteStatus.HEALTHY, new), actor="")
    chronicle.find(c.RecordReady(deployment_id=deployment_id), Operation.CHECK_READY)


def scale_by_rule(chronicle: Chronicle) -> None:
    """Let the rule ``busy`` ask for two more replicas than the one there is: 3, and no more than the policy allows."""
    evaluation = RuleEvaluation(
        rule=BUSY.name,
        source=BUSY.source,
        metric_name=BUSY.metric,
        metric=92.5,
        samples=1,
        watermark=chronicle.now,
        comparator=Comparator.GREATER_THAN,
        threshold=80.0,
        unclamped=3,
        proposed=3,
    )
    decision = ScalingDecision(previous=1, desired=3, reason=DecisionReason.RULE, evaluation=evaluation)
    chronicle.find(c.RecordDesiredReplicas(deployment_id=CHAT, decision=decision), Operation.CALCULATE)
    chronicle.find(c.RecordReplicaCountMismatch(deployment_id=CHAT, expected=3, actual=1), Operation.CHECK_READY)
    add_routes(chronicle, CHAT, 2)


def fail_to_register(chronicle: Chronicle, attempt: int) -> None:
    """Let the proxy turn ``search`` away."""
    failure = c.RecordOperationFailure(
        deployment_id=SEARCH,
        operation=Operation.CHECK_PENDING,
        code="proxy-target-missing",
        reason="resource group edge has no app proxy",
        kind=FailureKind.PERMANENT,
        next_attempt_at=chronicle.now + timedelta(minutes=10 * attempt),
    )
    chronicle.find(failure, Operation.CHECK_PENDING)


def take_down(chronicle: Chronicle, deployment_id: UUID) -> None:
    """Let a deployment be destroyed."""
    chronicle.ask(c.DestroyDeployment(deployment_id=deployment_id))
    routes = frozenset(chronicle.states[deployment_id].routes)
    chronicle.find(c.TerminateRoutes(deployment_id=deployment_id, route_ids=routes), Operation.DESTROY)
    gone = c.RecordEndpointUnregistered(deployment_id=deployment_id, sent_at=chronicle.now)
    chronicle.find(gone, Operation.DESTROY)
    chronicle.ask(report(deployment_id, RouteStatus.TERMINATED, sorted(routes), "exit code 0"), actor="")


Run = Callable[..., Result]


def runner_for(data_dir: Path, **environment: str) -> Run:
    """A function that runs the real command line on the data of a folder."""
    # Nobody folds while a command runs: to wait for views that are behind would be in vain.
    unmoved = {"ROUTEKEEPER_AUDIT__VIEWS_WAIT_SECONDS": "0"}
    variables = {"ROUTEKEEPER_DATA_DIR": str(data_dir), "COLUMNS": "200", **unmoved, **environment}

    def run(*arguments: str, stdin: str | None = None, columns: int = 200) -> Result:
        return CliRunner().invoke(app, arguments, input=stdin, env={**variables, "COLUMNS": str(columns)})

    return run


def told(data_dir: Path) -> Run:
    """Live through everything in this folder; gives what runs the command line on it."""
    with closing(Chronicle(data_dir)) as chronicle:
        live_through(chronicle)
    return runner_for(data_dir)


def json_of(result: Result) -> Any:  # noqa: ANN401 - JSON is anything
    """What a command gave as JSON."""
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def row_of(result: Result, beginning: str) -> list[str]:
    """The cells of the one line of a table that begins like this."""
    assert result.exit_code == 0, result.stderr
    (line,) = (line for line in result.stdout.splitlines() if line.strip().startswith(beginning))
    return re.split(r" {2,}", line.strip())
