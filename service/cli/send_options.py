"""Arguments and options that the commands of ``routekeeper send`` have in common."""

import getpass
import os
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer


def user() -> str:
    """Who runs this, by the machine's account."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # An account without a name, as containers have.
        return f"uid {os.getuid()}"


Count = Annotated[int, typer.Argument(min=0, metavar="COUNT", help="How many replicas.")]
Image = Annotated[str, typer.Option(metavar="IMAGE", help="Container image to run.")]
Model = Annotated[str, typer.Option(metavar="MODEL", help="Model to serve.")]
Runtime = Annotated[str, typer.Option(metavar="VARIANT", help="Runtime variant that serves the model.")]
RevisionId = Annotated[UUID | None, typer.Option(metavar="UUID", help="Id of the revision; a new one by default.")]
HealthCheckFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Health check, in YAML or JSON; - for the standard input.")
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Scaling rules and bounds, in YAML or JSON; - for the standard input."),
]
Actor = Annotated[
    str, typer.Option(default_factory=user, show_default="the account's name", metavar="WHO", help="On whose behalf.")
]
CommandId = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Id of the command, a new one by default; sent again, it has no second effect."),
]
Wait = Annotated[
    bool, typer.Option("--wait", metavar="", help="Wait until the views show what came of it; 1 if it was refused.")
]
Timeout = Annotated[float, typer.Option(min=0.1, max=3600.0, metavar="SECONDS", help="How long --wait waits.")]
