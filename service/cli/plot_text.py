"""Plots in a terminal: a column of characters is a stretch of time."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.text import Text

from service.cli.output import terminal
from service.cli.plots import Mark, Plot, Series, ticks

_STYLES: Final = ("cyan", "yellow", "green", "magenta", "blue", "red")
_SIGNS: Final = ("─", "▪", "█", "+", "x", "o")
_MARKS: Final = {True: "▲", False: "▼", None: "◆"}
_HEIGHT: Final = 12
#: What is drawn where the output has no width of its own (characters).
_WIDEST: Final = 120
_AXIS: Final = 8


def draw_text(plot: Plot, width: int) -> Text:
    """Draw a plot in so many characters' width; where series meet, the first one is seen."""
    columns = max(10, width - _AXIS - 1)
    rows = min(_HEIGHT, max(1, round(plot.highest))) if plot.highest >= 1 else _HEIGHT
    moments = [plot.begin + (plot.end - plot.begin) * (column + 1) / columns for column in range(columns)]
    heights = [[_row(plot, _value(series, at), rows) for at in moments] for series in plot.series]
    drawn = Text(no_wrap=True, overflow="crop")
    for row in range(rows, -1, -1):
        # Every other row, so that the numbers stay apart.
        numbered = (rows - row) % 2 == 0
        drawn.append(f"{plot.highest * row / rows:>{_AXIS - 2}.4g} ┤" if numbered else " " * (_AXIS - 1) + "│")
        for column in range(columns):
            drawn.append(*_cell(heights, column, row))
        drawn.append("\n")
    drawn.append(_below(plot, columns))
    return drawn


def legend(plot: Plot) -> Text:
    """Say which sign stands for what."""
    drawn = Text()
    for number, series in enumerate(plot.series):
        drawn.append(f"{_SIGNS[number % len(_SIGNS)]} {series.name}   ", style=_STYLES[number % len(_STYLES)])
    return drawn


def sign_of(mark: Mark) -> str:
    """The sign that a mark has below the drawing."""
    return _MARKS[mark.rises]


def _value(series: Series, at: datetime) -> float | None:
    """The last value at or before a moment."""
    known = bisect_right(series.points, at, key=lambda point: point[0])
    return series.points[known - 1][1] if known else None


def _row(plot: Plot, value: float | None, rows: int) -> int | None:
    return None if value is None else round(value / plot.highest * rows)


def _cell(heights: Sequence[Sequence[int | None]], column: int, row: int) -> tuple[str, str]:
    for number, of_series in enumerate(heights):
        if of_series[column] == row:
            return _SIGNS[number % len(_SIGNS)], _STYLES[number % len(_STYLES)]
    return " ", ""


def _below(plot: Plot, columns: int) -> str:
    """The marks, and times."""
    marks, times = [" "] * columns, [" "] * (columns + _AXIS)
    for mark in plot.marks:
        column = min(columns - 1, max(0, int(plot.part(mark.at) * columns)))
        marks[column] = _MARKS[mark.rises] if marks[column] in {" ", _MARKS[mark.rises]} else "◆"
    shown = ticks(plot, max(2, min(7, columns // 16)))
    for number, (_, text) in enumerate(shown):
        begin = round((columns - len(text)) * number / (len(shown) - 1))
        times[_AXIS + begin : _AXIS + begin + len(text)] = text
    return f"{' ' * _AXIS}{''.join(marks)}\n{''.join(times)}"


def print_plots(plots: Sequence[Plot]) -> None:
    """Draw plots below each other on the terminal."""
    console = terminal()
    for plot in plots:
        console.print()
        console.print(Text(plot.title, style="bold"))
        console.print(draw_text(plot, min(console.width, _WIDEST)))
        console.print(legend(plot))
