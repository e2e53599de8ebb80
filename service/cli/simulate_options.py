"""The options of ``routekeeper simulate``."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from service.cli.moments import past_moment

Deployment = Annotated[
    str | None,
    typer.Option("--deployment", "-d", metavar="DEPLOYMENT", help="Whose record is gone through."),
]
Rules = Annotated[
    list[Path] | None,
    typer.Option("--rules", metavar="FILE", help="A scaling policy (YAML or JSON) to try; several are compared."),
]
From = Annotated[
    datetime | None,
    typer.Option("--from", metavar="TIME", parser=past_moment, help="Begin: ISO 8601 (UTC), or 5m, 2h, 3d ago."),
]
To = Annotated[
    datetime | None, typer.Option("--to", metavar="TIME", parser=past_moment, help="End, not included; now by default.")
]
Samples = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Samples from a CSV file instead: time, metric, value, and source and route."),
]
Prometheus = Annotated[str | None, typer.Option(metavar="URL", help="Samples from Prometheus instead.")]
Query = Annotated[
    list[str] | None,
    typer.Option(metavar="METRIC=QUERY", help="What to ask Prometheus for a metric; else what the rules say."),
]
Step = Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="How far apart the answers of Prometheus are.")]
Replicas = Annotated[
    int | None, typer.Option(min=0, metavar="COUNT", help="Replicas to begin with, where there is no deployment.")
]
StartUp = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="The model: how long a replica takes until it serves.")
]
Capacity = Annotated[
    float | None,
    typer.Option(
        "--capacity-per-replica",
        min=0,
        metavar="VALUE",
        help="The model: let replicas share what was measured per replica, up to this much each. By default samples "
        "are used as they were recorded.",
    ),
]
FlapWindow = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="A change of direction within this time is a flap.")
]
MaxReports = Annotated[
    int, typer.Option(min=1, max=10_000_000, metavar="COUNT", help="Most reports of samples, and most evaluations.")
]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the plot as a page.")]
Png = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the plot as an image.")]
ShowPlot = Annotated[bool, typer.Option("--plot", metavar="", help="Draw the plot in the terminal.")]
Json = Annotated[bool, typer.Option("--json", metavar="", help="The same as -o json.")]
