"""The command line: ``routekeeper``."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from domain.errors import RoutekeeperError
from service.cli.options import examples
from service.cli.output import note
from service.garbage import look_for_garbage_seldom


@dataclass(frozen=True, slots=True)
class _Command:
    """Where a command is: a function called ``function`` in a module, or a group of commands called ``app`` there."""

    module: str
    function: str | None = None
    examples: Sequence[str] = ()

    def load(self, name: str) -> Any:  # noqa: ANN401 - Typer keeps the type private
        """Import the command and what it needs."""
        found = import_module(f"service.cli.{self.module}")
        if self.function is None:
            group = typer.main.get_group(found.app)
            group.name = name
            return group
        alone = typer.Typer(add_completion=False)
        alone.command(name, epilog=examples(*self.examples))(getattr(found, self.function))
        return typer.main.get_command(alone)


#: All commands in the order in which they are listed. Each is imported when it is called for: to import all of them
#: takes a quarter of a second longer.
_COMMANDS: Final = MappingProxyType(
    {
        "demo": _Command("run", "demo", ("routekeeper demo", "routekeeper demo --exit")),
        "worker": _Command("run", "worker", ("ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=broker:9092 routekeeper worker",)),
        "follow": _Command("run", "follow", ("ROUTEKEEPER_KAFKA__BOOTSTRAP_SERVERS=broker:9092 routekeeper follow",)),
        "send": _Command("send"),
        "pause": _Command(
            "pause",
            "pause",
            (
                "routekeeper pause llama --reason 'the new image leaks'",
                "routekeeper pause --resource-group gpu --reason 'proxy upgrade' --wait",
                "routekeeper pause --all",
            ),
        ),
        "resume": _Command("pause", "resume", ("routekeeper resume llama", "routekeeper resume --all --wait")),
        "get": _Command("get"),
        "describe": _Command("describe"),
        "history": _Command(
            "history", "history", ("routekeeper history llama", "routekeeper history llama --since 10m -o json")
        ),
        "explain": _Command(
            "explain",
            "explain",
            (
                "routekeeper explain llama",
                "routekeeper explain llama --at 10m --limit 20",
                "routekeeper explain llama --at 4711 -o json",
            ),
        ),
        "diff": _Command(
            "diff",
            "diff",
            (
                "routekeeper diff --from 2026-03-01T03:00:00Z --to 2026-03-01T03:30:00Z",
                "routekeeper diff --from 2h -d llama",
                "routekeeper diff --from 4711 --to 4800 -o json",
            ),
        ),
        "timeline": _Command(
            "timeline",
            "timeline",
            (
                "routekeeper timeline llama --from 6h",
                "routekeeper timeline llama --from 2026-03-01 --to 2026-03-02 --html llama.html",
            ),
        ),
        "simulate": _Command(
            "simulate",
            "simulate",
            (
                "routekeeper simulate -d llama --rules other.yaml --from 12h --plot",
                "routekeeper simulate -d llama --rules a.yaml --rules b.yaml --from 2d --to 1d --html plot.html",
                "routekeeper simulate --samples load.csv --rules first.yaml --replicas 2 --json",
            ),
        ),
        "replay": _Command(
            "replay",
            "replay",
            (
                "routekeeper replay --until 2026-03-01T03:12:00Z",
                "routekeeper replay --until 10m",
                "routekeeper replay --until 4711 --database then.db -o json",
            ),
        ),
        "audit": _Command("audit"),
        "rejected": _Command(
            "rejected",
            "rejected",
            ("routekeeper rejected", "routekeeper rejected --code invalid-json --since 1h -o json"),
        ),
        "init": _Command(
            "init",
            "init",
            (
                "routekeeper init",
                "ROUTEKEEPER_DATABASE__URL=… routekeeper init --roles",
                "ROUTEKEEPER_KAFKA__TOPICS__PARTITIONS=8 routekeeper init --repartition",
            ),
        ),
        "config": _Command("config", "config", ("routekeeper config", "routekeeper config --set -o json")),
        "doctor": _Command("doctor", "doctor", ("routekeeper doctor", "routekeeper doctor --timeout 10 -o json")),
        "copy-log": _Command(
            "copy_log",
            "copy_log",
            ("routekeeper copy-log .routekeeper/events.db postgresql://routekeeper_owner@db/control",),
        ),
        "new-incarnation": _Command("new_incarnation", "new_incarnation", ("routekeeper new-incarnation",)),
    }
)


class _Commands(TyperGroup):
    """Commands whose expected errors are one line on the standard error, with exit code 1."""

    def list_commands(self, _ctx: Any) -> list[str]:  # noqa: ANN401 - Typer keeps the type private
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - Typer keeps the type private
        if cmd_name not in _COMMANDS:
            # Typer suggests the nearest of those that are there.
            for name in _COMMANDS:
                self.get_command(ctx, name)
        elif cmd_name not in self.commands:
            self.commands[cmd_name] = _COMMANDS[cmd_name].load(cmd_name)
        return self.commands.get(cmd_name)

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


def main() -> None:
    """Run the command line; the exit code is 0, 1 (failed) or 2 (used wrongly)."""
    # What commands import are many objects that stay: to look for garbage among them takes a tenth of a start.
    look_for_garbage_seldom()
    app()
