"""Arguments and options that several commands have in common."""

from datetime import datetime
from typing import Annotated

import typer

from service.cli.moments import past_moment
from service.cli.output import OutputFormat

#: Most rows that a command gives (count).
MOST_ROWS = 10_000

Deployment = Annotated[
    str, typer.Argument(metavar="DEPLOYMENT", help="Its id, a beginning of the id that no other has, or its name.")
]
PerhapsDeployment = Annotated[
    str | None,
    typer.Argument(metavar="DEPLOYMENT", help="Its id, a beginning of the id that no other has, or its name."),
]
DeploymentFilter = Annotated[
    str | None, typer.Option("--deployment", "-d", metavar="DEPLOYMENT", help="Only of this deployment.")
]
Output = Annotated[
    OutputFormat, typer.Option("--output", "-o", metavar="FORMAT", help="table for people; json or yaml for programs.")
]
Limit = Annotated[int, typer.Option(min=1, max=MOST_ROWS, metavar="COUNT", help="Most rows to show.")]
Watch = Annotated[
    bool, typer.Option("--watch", "-w", metavar="", help="Go on, and show it anew when it changes; ends on Ctrl-C.")
]
Interval = Annotated[float, typer.Option(min=0.1, max=3600.0, metavar="SECONDS", help="How often --watch looks.")]
Since = Annotated[
    datetime | None,
    typer.Option(metavar="TIME", parser=past_moment, help="Not before this time: ISO 8601 (UTC), or 5m, 2h, 3d ago."),
]


def examples(*lines: str) -> str:
    """Lay out what stands below a command's help; each line is an example."""
    return "\n".join(("Examples:", *(f"$ {line}" for line in lines)))
