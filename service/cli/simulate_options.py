"""The options of ``routekeeper simulate``."""

from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import TypeAdapter, ValidationError

from domain.message import MAX_REPLICAS, Moment
from service.cli.moments import past_moment

#: The longest length of time that is taken, as for everything that is recorded: a year (seconds).
_LONGEST: Final = 31_536_000
_MOMENT: Final[TypeAdapter[datetime]] = TypeAdapter(Moment)


def _moment(text: str) -> datetime:
    """Read a moment at which something can be recorded; around any other one not all can be reckoned with."""
    try:
        return _MOMENT.validate_python(past_moment(text))
    except ValidationError:
        raise typer.BadParameter(f"{text!r} is not within the years 1970 to 8999") from None


def _finite(number: float | None) -> float | None:
    if number is not None and not isfinite(number):
        raise typer.BadParameter(f"{number} is no number to reckon with")
    return number


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
    typer.Option("--from", metavar="TIME", parser=_moment, help="Begin: ISO 8601 (UTC), or 5m, 2h, 3d ago."),
]
To = Annotated[
    datetime | None, typer.Option("--to", metavar="TIME", parser=_moment, help="End, not included; now by default.")
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
Step = Annotated[
    float,
    typer.Option(min=0.1, max=86_400, metavar="SECONDS", help="How far apart the answers of Prometheus are."),
]
Replicas = Annotated[
    int | None,
    typer.Option(
        min=0, max=MAX_REPLICAS, metavar="COUNT", help="Replicas to begin with, where there is no deployment."
    ),
]
StartUp = Annotated[
    float,
    typer.Option(
        min=0,
        max=_LONGEST,
        callback=_finite,
        metavar="SECONDS",
        help="The model: how long a replica takes until it serves.",
    ),
]
Capacity = Annotated[
    float | None,
    typer.Option(
        "--capacity-per-replica",
        min=0,
        callback=_finite,
        metavar="VALUE",
        help="The model: let replicas share what was measured per replica, up to this much each. By default samples "
        "are used as they were recorded.",
    ),
]
FlapWindow = Annotated[
    float,
    typer.Option(
        min=0,
        max=_LONGEST,
        callback=_finite,
        metavar="SECONDS",
        help="A change of direction within this time is a flap.",
    ),
]
MaxReports = Annotated[
    int, typer.Option(min=1, max=10_000_000, metavar="COUNT", help="Most reports of samples, and most evaluations.")
]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the plot as a page.")]
Png = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the plot as an image.")]
ShowPlot = Annotated[bool, typer.Option("--plot", metavar="", help="Draw the plot in the terminal.")]
Json = Annotated[bool, typer.Option("--json", metavar="", help="The same as -o json.")]
