"""The command line: ``routekeeper``."""

from importlib import metadata
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from domain.errors import RoutekeeperError
from service.cli import audit, describe, get, send
from service.cli.config import config
from service.cli.copy_log import copy_log
from service.cli.diff import diff
from service.cli.doctor import doctor
from service.cli.explain import explain
from service.cli.history import history
from service.cli.init import init
from service.cli.new_incarnation import new_incarnation
from service.cli.options import examples
from service.cli.output import note
from service.cli.pause import pause, resume
from service.cli.rejected import rejected
from service.cli.replay import replay
from service.cli.run import demo, worker
from service.cli.simulate import simulate
from service.cli.timeline import timeline

_ORDER: Final = (
    *("demo", "worker", "send", "pause", "resume", "get", "describe", "history", "explain", "diff", "timeline"),
    *("simulate", "replay", "audit", "rejected", "init", "config", "doctor", "copy-log", "new-incarnation"),
)


class _Commands(TyperGroup):
    """Commands whose expected errors are one line on the standard error, with exit code 1."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - Typer keeps the type private
        # Typer would list the groups last.
        return sorted(super().list_commands(ctx), key=_ORDER.index)

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401 - Typer keeps the type private
        try:
            return super().invoke(ctx)
        except RoutekeeperError as error:
            for line in str(error).splitlines():
                note(f"error: {line}")
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Deployments are named by id, by a beginning of the id that no other has, or by name. Exit codes: 0 done, "
        "1 failed, 2 used wrongly. Settings come from environment variables ROUTEKEEPER_…"
    ),
)


def _version() -> str:
    try:
        return metadata.version("routekeeper")
    except metadata.PackageNotFoundError:
        return "from sources that are not installed"


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - called by Typer
    if wanted:
        typer.echo(f"routekeeper {_version()}")
        raise typer.Exit


@app.callback()
def routekeeper(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, metavar="", help="Show the version.")
    ] = False,
) -> None:
    """Keep model-serving deployments running, and be able to say why each replica is there."""


app.command(epilog=examples("routekeeper demo", "routekeeper demo --exit"))(demo)
app.command(epilog=examples("ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=broker:9092 routekeeper worker"))(worker)
app.add_typer(get.app, name="get")
app.add_typer(describe.app, name="describe")
app.command(epilog=examples("routekeeper history llama", "routekeeper history llama --since 10m -o json"))(history)
app.command(
    epilog=examples(
        "routekeeper explain llama",
        "routekeeper explain llama --at 10m --limit 20",
        "routekeeper explain llama --at 4711 -o json",
    )
)(explain)
app.command(
    epilog=examples(
        "routekeeper diff --from 2026-03-01T03:00:00Z --to 2026-03-01T03:30:00Z",
        "routekeeper diff --from 2h -d llama",
        "routekeeper diff --from 4711 --to 4800 -o json",
    )
)(diff)
app.command(
    epilog=examples(
        "routekeeper timeline llama --from 6h",
        "routekeeper timeline llama --from 2026-03-01 --to 2026-03-02 --html llama.html",
    )
)(timeline)
app.command(
    epilog=examples(
        "routekeeper simulate -d llama --rules other.yaml --from 12h --plot",
        "routekeeper simulate -d llama --rules a.yaml --rules b.yaml --from 2d --to 1d --html plot.html",
        "routekeeper simulate --samples load.csv --rules first.yaml --replicas 2 --json",
    )
)(simulate)
app.command(
    epilog=examples(
        "routekeeper replay --until 2026-03-01T03:12:00Z",
        "routekeeper replay --until 10m",
        "routekeeper replay --until 4711 --database then.db -o json",
    )
)(replay)
app.add_typer(audit.app, name="audit")
app.add_typer(send.app, name="send")
app.command(
    epilog=examples(
        "routekeeper pause llama --reason 'the new image leaks'",
        "routekeeper pause --resource-group gpu --reason 'proxy upgrade' --wait",
        "routekeeper pause --all",
    )
)(pause)
app.command(epilog=examples("routekeeper resume llama", "routekeeper resume --all --wait"))(resume)
app.command(epilog=examples("routekeeper rejected", "routekeeper rejected --code invalid-json --since 1h -o json"))(
    rejected
)
app.command(
    epilog=examples(
        "routekeeper init",
        "ROUTEKEEPER_DATABASE__URL=… routekeeper init --roles",
        "ROUTEKEEPER_KAFKA__TOPICS__PARTITIONS=8 routekeeper init --repartition",
    )
)(init)
app.command(epilog=examples("routekeeper config", "routekeeper config --set -o json"))(config)
app.command(epilog=examples("routekeeper doctor", "routekeeper doctor --timeout 10 -o json"))(doctor)
app.command(
    "copy-log", epilog=examples("routekeeper copy-log .routekeeper/events.db postgresql://routekeeper_owner@db/control")
)(copy_log)

app.command("new-incarnation", epilog=examples("routekeeper new-incarnation"))(new_incarnation)


def main() -> None:
    """Run the command line; the exit code is 0, 1 (failed) or 2 (used wrongly)."""
    app()
