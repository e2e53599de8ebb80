"""``routekeeper describe``: everything that the views hold about one deployment."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple

import typer
from rich.console import Group, RenderableType
from rich.text import Text
from sqlalchemy import Connection

from domain.autoscaling.decision import RuleEvaluation, ScalingDecision
from domain.autoscaling.rules import Pause
from domain.conditions import ConditionType
from projections.autoscaling_decisions import AutoscalingDecisionRow, find_decisions
from projections.control import with_pauses
from projections.deployments import DeploymentRow, resolve_deployment
from projections.operation_failures import OperationFailureRow, find_failures
from projections.routes import RouteRow, find_routes
from service.cli.moments import age, ago, shown
from service.cli.options import Deployment, Interval, Output, Watch, examples
from service.cli.output import Answer, Column, OutputFormat, clean, facts, section, table
from service.cli.past import At, Cache, not_with_watch, seeing
from service.cli.rule_words import describe_rule
from service.cli.scaling_words import describe_bounds, describe_decision, describe_pause, number, replicas
from service.cli.tables import conditions_table, lifecycle_text, replicas_text, routes_table
from service.cli.watch import show
from service.cli.words import operation_in_words
from service.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Show everything about one thing.")


class Description(NamedTuple):
    """A deployment with what belongs to it; ``decisions`` are the newest ones, newest first."""

    deployment: DeploymentRow
    routes: Sequence[RouteRow]
    failures: Sequence[OperationFailureRow]
    decisions: Sequence[AutoscalingDecisionRow]


@app.command(
    "deployment",
    epilog=examples(
        "routekeeper describe deployment llama",
        "routekeeper describe deployment 0198c0de -o yaml",
        "routekeeper describe deployment llama --at 2026-03-01T03:12:00Z",
    ),
)
def describe_deployment(
    deployment: Deployment,
    *,
    decisions: Annotated[
        int, typer.Option(min=0, max=1000, metavar="COUNT", help="How many of the newest scaling decisions.")
    ] = 5,
    routes: Annotated[int, typer.Option(min=0, max=10_000, metavar="COUNT", help="How many routes at most.")] = 50,
    at: At = None,
    cache: Cache = None,
    output: Output = OutputFormat.TABLE,
    watch: Watch = False,
    interval: Interval = 1.0,
) -> None:
    """Show everything about a deployment.

    What it runs, its scaling rules in words, its endpoint, conditions and routes.

    Failures that are still open, with the next try, and the newest scaling decisions with their arithmetic.
    """
    not_with_watch(at, watch=watch)
    settings = load_settings()

    def ask() -> Answer:
        with seeing(settings, at, of=deployment, cache=cache) as (connection, then):
            found = describe(connection, deployment, routes=routes, decisions=decisions)
        return Answer(found._asdict(), lambda width: _drawn(found, width, then))

    show(ask, output, watch=watch, interval=interval)


def describe(connection: Connection, reference: str, *, routes: int, decisions: int) -> Description:
    """Collect what the views hold of a deployment, with at most so many routes and decisions."""
    [row] = with_pauses(connection, [resolve_deployment(connection, reference)])
    return Description(
        deployment=row,
        routes=find_routes(connection, deployment_id=row.id, limit=routes),
        failures=find_failures(connection, deployment_id=row.id),
        decisions=find_decisions(connection, deployment_id=row.id, limit=decisions),
    )


def _drawn(found: Description, width: int, at: datetime) -> RenderableType:
    row = found.deployment
    inner = width - 2
    routes = routes_table(found.routes, {row.id: row.name}, inner, at) if found.routes else Text("none", style="dim")
    return Group(
        section(f"{clean(row.name)}  {row.id}", facts(_facts(row, at))),
        "",
        section("Scaling policy", _policy(row)),
        "",
        section("Conditions", conditions_table((*row.conditions, *row.scaling_conditions), inner, at)),
        "",
        section("Routes", routes),
        "",
        section("Open failures", _failures(found.failures, at)),
        "",
        section("Newest scaling decisions", _decisions(found.decisions, inner, at)),
    )


def _facts(row: DeploymentRow, at: datetime) -> Iterator[tuple[str, str | Text]]:
    yield "Lifecycle", lifecycle_text(row.lifecycle)
    for condition in row.conditions:
        if condition.type is ConditionType.PAUSED:
            yield "Paused", Text(clean(condition.message), style="yellow")
    by_hand = f" desired/active/healthy, {row.provisioning_replicas} starting, {row.replica_count} set by hand"
    yield "Replicas", replicas_text(row) + Text(by_hand)
    if row.override is not None:
        until = f"until {ago(row.override.until, at)}" if row.override.until else "until told otherwise"
        yield "Held", f"at {replicas(row.override.replica_count)} {until}, rules suspended"
    if row.start_failures:
        before = f", no new one before {ago(row.scale_out_not_before, at)}" if row.scale_out_not_before else ""
        yield "Failed starts", f"{row.start_failures} in a row{before}"
    yield "Endpoint", _endpoint(row, at)
    if row.revision_id is not None:
        yield "Revision", str(row.revision_id)
        yield "Image", row.image or "-"
        yield "Model", row.model or "-"
        yield "Runtime", row.runtime_variant or "-"
    else:
        yield "Revision", "none yet: nothing was said about what the deployment runs"
    yield "Resource group", row.resource_group
    yield "Domain", row.domain
    yield "Project", str(row.project)
    yield "Owner", str(row.owner)
    yield "Open to public", "yes" if row.open_to_public else "no"
    yield "Created", ago(row.created_at, at)
    yield "Last scaled", ago(row.last_scaled_at, at) if row.last_scaled_at else "never"
    yield "Updated", f"{ago(row.updated_at, at)}, {number(row.version, 'event')} so far"


def _endpoint(row: DeploymentRow, at: datetime) -> str:
    if row.endpoint_url is not None:
        return row.endpoint_url
    if row.registration_deadline is not None:
        return f"being registered, with an answer by {ago(row.registration_deadline, at)}"
    return "none"


def _policy(row: DeploymentRow) -> RenderableType:
    policy = row.scaling_policy
    head = [("bounds", describe_bounds(policy.min_replicas, policy.max_replicas))]
    if (pause := policy.pause.joined(row.scaling_pause)) is not Pause.NONE:
        by = [who for who, what in (("policy", policy.pause), ("command", row.scaling_pause)) if what is not Pause.NONE]
        head.append(("pause", f"{describe_pause(pause)} (by {' and '.join(by)})"))
    if not policy.rules:
        return facts([*head, ("rules", "none: the number set by hand counts")])
    return facts([*head, *((rule.name, describe_rule(rule)) for rule in policy.rules)])


def _failures(failures: Sequence[OperationFailureRow], at: datetime) -> RenderableType:
    if not failures:
        return Text("none", style="dim")
    return facts((operation_in_words(row.operation), _failure(row, at)) for row in failures)


def _failure(row: OperationFailureRow, at: datetime) -> str:
    detail = f" ({row.detail})" if row.detail else ""
    tries = f"{row.attempts} failed {'try' if row.attempts == 1 else 'tries'} since {shown(row.first_failed_at)} UTC"
    return f"{row.reason}{detail} [{row.code}, {row.kind.value}]\n{tries}, next {ago(row.next_attempt_at, at)}"


def _decisions(decisions: Sequence[AutoscalingDecisionRow], width: int, at: datetime) -> RenderableType:
    columns: Sequence[Column[AutoscalingDecisionRow]] = (
        Column(header="TIME (UTC)", cell=lambda row: shown(row.at)),
        Column(header="AGE", cell=lambda row: age(row.at, at), right=True),
        Column(header="DECISION", cell=lambda row: describe_decision(decision_of(row)), wrap=True),
    )
    return table(decisions, columns, width=width, empty="none")


def decision_of(row: AutoscalingDecisionRow) -> ScalingDecision:
    """The decision that a row tells of."""
    evaluation = None
    if row.rule is not None:
        evaluation = RuleEvaluation.model_validate({name: getattr(row, name) for name in RuleEvaluation.model_fields})
    return ScalingDecision(
        previous=row.previous,
        desired=row.desired,
        reason=row.reason,
        evaluation=evaluation,
        reasoning=row.reasoning,
    )
