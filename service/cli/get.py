"""``routekeeper get``: deployments, routes, numbers of replicas and pauses, from the views."""

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import typer
from sqlalchemy import Connection

from domain.deployment import Lifecycle
from domain.routes import RouteStatus
from projections.control import CONTROL_VIEW, find_pauses, with_pauses
from projections.deployment_fold import DEPLOYMENTS_VIEW
from projections.deployments import DeploymentRow, find_deployments, resolve_deployment
from projections.querying import DEFAULT_LIMIT
from projections.replicas import ReplicaCountsRow, replica_history
from projections.routes import find_routes
from service.cli.options import (
    DeploymentFilter,
    Interval,
    Limit,
    Output,
    PerhapsDeployment,
    Since,
    Watch,
    examples,
)
from service.cli.output import Answer, OutputFormat, limited
from service.cli.past import At, Cache, not_with_watch, seeing
from service.cli.reading import deployment_names, on_deleted
from service.cli.tables import deployments_table, pauses_table, replicas_table, routes_table
from service.cli.watch import show
from service.settings import load_settings

_ONE_OF = "Only {}; may be repeated."


def _words(choices: type[StrEnum]) -> str:
    return ", ".join(choices)


#: What tells of deployments and of whose effects are paused.
_WITH_PAUSES: Final = (DEPLOYMENTS_VIEW, CONTROL_VIEW)

app = typer.Typer(
    no_args_is_help=True, help="Show deployments, routes, replicas or pauses as they are, or as they were with --at."
)


@app.command(
    epilog=examples(
        "routekeeper get deployments",
        "routekeeper get deployments --lifecycle scaling --lifecycle pending --watch",
        "routekeeper get deployments llama -o json",
        "routekeeper get deployments --at 2026-03-01T03:12:00Z",
    )
)
def deployments(
    deployment: PerhapsDeployment = None,
    *,
    lifecycle: Annotated[
        list[Lifecycle] | None, typer.Option(metavar="STATE", help=_ONE_OF.format(_words(Lifecycle)))
    ] = None,
    resource_group: Annotated[
        str | None, typer.Option("--resource-group", "-g", metavar="NAME", help="Only of this resource group.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", metavar="", help="Also those that are destroyed.")] = False,
    limit: Limit = DEFAULT_LIMIT,
    at: At = None,
    cache: Cache = None,
    output: Output = OutputFormat.TABLE,
    watch: Watch = False,
    interval: Interval = 1.0,
) -> None:
    """Show deployments: their state, replicas, endpoint, and what is not as it should be."""
    not_with_watch(at, watch=watch)
    settings = load_settings()

    def find(connection: Connection) -> list[DeploymentRow]:
        if deployment is not None:
            return [resolve_deployment(connection, deployment)]
        return find_deployments(
            connection,
            lifecycle=lifecycle or (),
            destroyed=everything,
            resource_group=resource_group,
            limit=limit,
        )

    def ask() -> Answer:
        with seeing(settings, at, of=deployment, views=_WITH_PAUSES, cache=cache) as (connection, then):
            rows = with_pauses(connection, find(connection))
        return Answer(rows, lambda width: deployments_table(rows, width, then), limited(len(rows), limit))

    show(ask, output, watch=watch, interval=interval)


@app.command(
    epilog=examples(
        "routekeeper get routes -d llama",
        "routekeeper get routes --status unhealthy --status degraded",
        "routekeeper get routes -d llama --all -o yaml",
    )
)
def routes(
    *,
    deployment: DeploymentFilter = None,
    status: Annotated[
        list[RouteStatus] | None, typer.Option(metavar="STATUS", help=_ONE_OF.format(_words(RouteStatus)))
    ] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", metavar="", help="Also those that are over.")] = False,
    limit: Limit = DEFAULT_LIMIT,
    at: At = None,
    cache: Cache = None,
    output: Output = OutputFormat.TABLE,
    watch: Watch = False,
    interval: Interval = 1.0,
) -> None:
    """Show routes: one replica each, with its status and its weight in the traffic."""
    not_with_watch(at, watch=watch)
    settings = load_settings()

    def ask() -> Answer:
        with seeing(settings, at, of=deployment, views=(DEPLOYMENTS_VIEW,), cache=cache) as (connection, then):
            only = None if deployment is None else resolve_deployment(connection, deployment).id
            rows = find_routes(connection, deployment_id=only, status=status or (), ended=everything, limit=limit)
            names = deployment_names(connection, {row.deployment_id for row in rows})
            deleted = on_deleted(connection, DEPLOYMENTS_VIEW, None) if everything else ""
        return Answer(rows, lambda width: routes_table(rows, names, width, then), limited(len(rows), limit) or deleted)

    show(ask, output, watch=watch, interval=interval)


@app.command(
    epilog=examples(
        "routekeeper get replicas",
        "routekeeper get replicas llama --since 2h",
        "routekeeper get replicas llama --watch",
    )
)
def replicas(
    deployment: PerhapsDeployment = None,
    *,
    since: Since = None,
    limit: Limit = DEFAULT_LIMIT,
    at: At = None,
    cache: Cache = None,
    output: Output = OutputFormat.TABLE,
    watch: Watch = False,
    interval: Interval = 1.0,
) -> None:
    """Show numbers of replicas over time, newest first: of one deployment, or the newest of each."""
    not_with_watch(at, watch=watch)
    settings = load_settings()

    def ask() -> Answer:
        with seeing(settings, at, of=deployment, views=(DEPLOYMENTS_VIEW,), cache=cache) as (connection, _):
            if deployment is not None:
                only = resolve_deployment(connection, deployment).id
                rows = replica_history(connection, only, since=since, limit=limit)
            else:
                rows = newest_counts(connection, find_deployments(connection, limit=limit))
            names = deployment_names(connection, {row.deployment_id for row in rows})
            deleted = "" if deployment is None else on_deleted(connection, DEPLOYMENTS_VIEW, since)
        return Answer(rows, lambda width: replicas_table(rows, names, width), limited(len(rows), limit) or deleted)

    show(ask, output, watch=watch, interval=interval)


@app.command(epilog=examples("routekeeper get pauses", "routekeeper get pauses -o json"))
def pauses(
    *,
    at: At = None,
    cache: Cache = None,
    output: Output = OutputFormat.TABLE,
    watch: Watch = False,
    interval: Interval = 1.0,
) -> None:
    """Show whose effects are paused: since when, by whom, and why."""
    not_with_watch(at, watch=watch)
    settings = load_settings()

    def ask() -> Answer:
        with seeing(settings, at, views=_WITH_PAUSES, cache=cache) as (connection, then):
            rows = find_pauses(connection)
            ids = {UUID(row.target) for row in rows if row.scope == "deployment"}
            names = {str(key): name for key, name in deployment_names(connection, ids).items()}
        return Answer(rows, lambda width: pauses_table(rows, names, width, then))

    show(ask, output, watch=watch, interval=interval)


def newest_counts(connection: Connection, of: list[DeploymentRow]) -> list[ReplicaCountsRow]:
    """The newest numbers of replicas of each of these deployments."""
    return [row for deployment in of for row in replica_history(connection, deployment.id, limit=1)]
