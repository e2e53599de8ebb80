"""Plots of values over time: in a terminal, as a page with a drawing in it, or as a picture.

The terminal and the page need nothing besides; a picture needs the extra ``routekeeper[plots]``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path

from service.cli.errors import PlotNotDrawn

#: The value of a series at a moment.
Point = tuple[datetime, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values over time, oldest first; with ``steps`` each holds until the next, else they are joined by a line."""

    name: str
    points: Sequence[Point]
    steps: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened at a moment; ``rises`` says which way it pointed, ``None`` if neither."""

    at: datetime
    label: str
    rises: bool | None = None


# Without slots, which leave no room for a cached property.
@dataclass(frozen=True, kw_only=True)
class Plot:
    """What is drawn, from ``begin`` to ``end``; a series may begin later and may end before."""

    title: str
    unit: str
    begin: datetime
    end: datetime
    series: Sequence[Series]
    marks: Sequence[Mark] = ()

    @cached_property
    def highest(self) -> float:
        """The largest value, at least 1."""
        return max((value for each in self.series for _, value in each.points), default=1.0) or 1.0

    def part(self, moment: datetime) -> float:
        """Where a moment lies between begin (0) and end (1)."""
        length = (self.end - self.begin).total_seconds()
        return (moment - self.begin).total_seconds() / length if length > 0 else 0.0


def vertices(plot: Plot, series: Series) -> Sequence[Point]:
    """The corners of a series' line within the plot's time."""
    corners: list[Point] = []
    for at, value in series.points:
        moment = min(max(at, plot.begin), plot.end)
        if corners and series.steps:
            corners.append((moment, corners[-1][1]))
        corners.append((moment, value))
    if corners and series.steps:
        corners.append((plot.end, corners[-1][1]))
    return corners


def ticks(plot: Plot, count: int) -> Sequence[tuple[datetime, str]]:
    """So many moments over the whole time, with how they are written: as much as tells them apart."""
    length = plot.end - plot.begin
    days, short = length.total_seconds() > 86_400, length.total_seconds() < 600  # noqa: PLR2004 - a day, ten minutes
    form = "%m-%d %H:%M" if days else ("%H:%M:%S" if short else "%H:%M")
    moments = [plot.begin + length * number / max(1, count - 1) for number in range(count)]
    return [(each, each.astimezone(UTC).strftime(form)) for each in moments]


def write_png(plots: Sequence[Plot], file: Path) -> None:
    """Draw plots below each other as a picture. Raises :class:`PlotNotDrawn` where the extra is not installed."""
    check_pictures()
    from service.cli import plot_picture  # noqa: PLC0415 - matplotlib is an extra

    try:
        plot_picture.write(plots, file)
    except OSError as error:
        raise PlotNotDrawn(f"--png {file}: {error.strerror}") from None


def check_pictures() -> None:
    """Make sure that pictures can be drawn, before all the work. Raises :class:`PlotNotDrawn`."""
    try:
        import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise PlotNotDrawn(
            f"--png needs {error.name}, which is not installed: pip install 'routekeeper[plots]'"
        ) from None
