"""Plots as a picture, by matplotlib, which comes with the extra ``routekeeper[plots]``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from service.cli.plots import Mark, Plot, ticks, vertices

_WIDTH: Final = 12.0
_HEIGHT: Final = 4.0
_SIGNS: Final = {True: "^", False: "v", None: "o"}


def write(plots: Sequence[Plot], file: Path) -> None:
    """Draw plots below each other. Raises :class:`OSError` where the file cannot be written."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT * len(plots)), layout="tight")
    # Without a canvas of its own a figure would look for a screen.
    FigureCanvasAgg(figure)
    for axes, plot in zip(figure.subplots(len(plots), squeeze=False).flat, plots, strict=True):
        _draw(axes, plot)
    with file.open("wb") as picture:
        figure.savefig(picture, format="png")


def _draw(axes: Axes, plot: Plot) -> None:
    for series in plot.series:
        corners = vertices(plot, series)
        axes.plot([plot.part(at) for at, _ in corners], [value for _, value in corners], label=series.name)
    for rises, sign in _SIGNS.items():
        marks: Sequence[Mark] = [mark for mark in plot.marks if mark.rises is rises]
        axes.plot([plot.part(mark.at) for mark in marks], [0.0] * len(marks), sign, color="black", clip_on=False)
    moments = ticks(plot, 9)
    axes.set_xticks([plot.part(at) for at, _ in moments], [text for _, text in moments])
    axes.set(title=plot.title, ylabel=plot.unit, xlim=(0.0, 1.0), ylim=(0.0, plot.highest * 1.1))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
