"""Lines over time: in the terminal, as an image, or as a page. What draws them is optional to install."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from io import BytesIO, StringIO
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from service.cli.errors import PlotNotWritten, PlotsMissing

#: Most points of one line that are drawn in a terminal (count); more would not be told apart.
_TERMINAL_POINTS = 2_000
_SIZE_INCHES = (11.0, 6.0)


@dataclass(frozen=True, slots=True)
class Line:
    """Points of time with values; with ``steps`` a value holds until the next one."""

    name: str
    points: Sequence[tuple[datetime, float]]
    steps: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines over the same axes; ``unit`` is what their values are."""

    unit: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Figure:
    """Panels one above the other, over the same time; ``remarks`` stand below."""

    title: str
    panels: Sequence[Panel]
    remarks: Sequence[str] = ()


class Plotter:
    """Draws a figure to wherever it was asked for."""

    def __init__(self, html: Path | None, png: Path | None, *, terminal: bool) -> None:
        self._html = html
        self._png = png
        self._terminal = terminal

    def draw(self, figure: Figure) -> None:
        """Write the files and the terminal. Raises :class:`PlotNotWritten`."""
        if self._terminal:
            print_figure(figure)
        if self._png is not None:
            _write(self._png, as_image(figure, "png"))
        if self._html is not None:
            _write(self._html, as_page(figure).encode())


def open_plotter(*, html: Path | None, png: Path | None, terminal: bool) -> Plotter:
    """Say where to draw. Raises :class:`PlotsMissing` now, not after all the work."""
    if terminal:
        _plotext()
    if html is not None or png is not None:
        _figure_class()
    return Plotter(html, png, terminal=terminal)


def as_image(figure: Figure, kind: str) -> bytes:
    """Draw a figure as ``png`` or ``svg``; the same figure gives the same bytes."""
    import matplotlib as mpl  # noqa: PLC0415 - optional
    from matplotlib.dates import ConciseDateFormatter  # noqa: PLC0415 - optional

    with mpl.rc_context({"svg.hashsalt": "routekeeper", "svg.fonttype": "none"}):
        drawn = _figure_class()(figsize=_SIZE_INCHES, layout="constrained")
        axes = drawn.subplots(len(figure.panels), 1, sharex=True, squeeze=False)[:, 0]
        for panel, axis in zip(figure.panels, axes, strict=True):
            for line in panel.lines:
                times, values = [at for at, _ in line.points], [value for _, value in line.points]
                axis.plot(times, values, label=line.name, drawstyle="steps-post" if line.steps else "default")
            axis.set_ylabel(panel.unit)
            if all(value >= 0 for line in panel.lines for _, value in line.points):
                axis.set_ylim(bottom=0)
            axis.grid(visible=True, alpha=0.3)
            if panel.lines:
                axis.legend(loc="upper left", fontsize="small")
        formatter = cast("Any", ConciseDateFormatter)(axes[-1].xaxis.get_major_locator())
        axes[-1].xaxis.set_major_formatter(formatter)
        drawn.suptitle(figure.title)
        target = BytesIO()
        # Without the date of the drawing, so that the bytes depend on the figure alone.
        drawn.savefig(target, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})
        return target.getvalue()


def as_page(figure: Figure) -> str:
    """Draw a figure as a page that needs nothing beside it."""
    svg = as_image(figure, "svg").decode()
    page = StringIO()
    page.write(f"<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>{escape(figure.title)}</title>\n")
    page.write(svg[svg.index("<svg") :])
    for remark in figure.remarks:
        page.write(f"<p>{escape(remark)}</p>\n")
    page.write("</html>\n")
    return page.getvalue()


def print_figure(figure: Figure) -> None:
    """Draw a figure in the terminal."""
    plot, console = _plotext(), Console()
    for panel in figure.panels:
        plot.clear_figure()
        plot.theme("clear")
        plot.plotsize(console.width, 16)
        plot.date_form("Y-m-d H:M:S")
        for line in panel.lines:
            points = _stairs(line)
            times = [f"{at:%Y-%m-%d %H:%M:%S}" for at, _ in points]
            plot.plot(times, [value for _, value in points], label=line.name)
        plot.ylabel(panel.unit)
        console.print(plot.uncolorize(plot.build()), highlight=False, markup=False, soft_wrap=True)


def _stairs(line: Line) -> Sequence[tuple[datetime, float]]:
    points = list(line.points)
    if line.steps:
        corners = [[one, (other[0], one[1])] for one, other in pairwise(points)]
        points = [*chain.from_iterable(corners), *points[-1:]]
    apart = max(1, -(-len(points) // _TERMINAL_POINTS))
    return points[::apart]


def _figure_class() -> Any:  # noqa: ANN401 - the library is optional, and so are its types
    try:
        from matplotlib.figure import Figure as Drawn  # noqa: PLC0415 - optional
    except ModuleNotFoundError:
        raise PlotsMissing("--html and --png need matplotlib: pip install 'routekeeper[plots]'") from None
    return Drawn


def _plotext() -> Any:  # noqa: ANN401 - the library has no types
    try:
        import plotext  # noqa: PLC0415 - optional
    except ModuleNotFoundError:
        raise PlotsMissing("--plot needs plotext: pip install 'routekeeper[plots]'") from None
    return plotext


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise PlotNotWritten(f"{path} cannot be written: {error.strerror}") from None
