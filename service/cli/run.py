"""``routekeeper worker``, ``routekeeper follow`` and ``routekeeper demo``: what stays up."""

from typing import Annotated

import typer

from service.settings import load_settings


def worker() -> None:
    """Run a worker: take records from Kafka, keep endpoints and routes as they should be, and keep the views.

    With ROUTEKEEPER_FOLLOW_LOG=false the views are left to 'routekeeper follow'.

    Everything is set by environment variables ROUTEKEEPER_…; without any, embedded parts are used.

    Ends on SIGINT or SIGTERM once what is under way is done.
    """
    from service.worker import run  # noqa: PLC0415 - nobody else has to wait for its imports

    raise typer.Exit(run(load_settings()))


def follow() -> None:
    """Follow the log beside workers: keep the views and the tree, publish, and delete what is kept for a time only.

    For workers with ROUTEKEEPER_FOLLOW_LOG=false. One process follows at a time; others stand by.

    PostgreSQL tells it of what is new. SQLite does not, so there it looks twice a second by default.

    Needs Kafka, and no app proxies. Ends on SIGINT or SIGTERM once the end of the log is reached.
    """
    from service.follow import run  # noqa: PLC0415 - nobody else has to wait for its imports

    raise typer.Exit(run(load_settings()))


def demo(
    context: typer.Context,
    *,
    exit_after: Annotated[
        bool, typer.Option("--exit", metavar="", help="End after the last act; 0 only if each succeeded.")
    ] = False,
) -> None:
    """Bring everything up on embedded defaults, play through the life of deployments, and stay up until Ctrl-C."""
    from service.demo.demo import run  # noqa: PLC0415 - nobody else has to wait for its imports

    def answer(arguments: list[str]) -> int:
        code: int | None = context.find_root().command.main(arguments, prog_name="routekeeper", standalone_mode=False)
        return code or 0

    raise typer.Exit(run(load_settings(), answer, exit_after=exit_after))
