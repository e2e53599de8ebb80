"""Plots as a page of HTML that holds everything it needs: the drawing is inline SVG."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from service.cli.errors import PlotNotDrawn
from service.cli.plots import Mark, Plot, Series, ticks, vertices

_WIDTH: Final = 1000
_HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 20, 50
_COLOURS: Final = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f")
_DASHES: Final = ("6 3", "", "2 2")
_STYLE: Final = (
    "body{font:14px system-ui,sans-serif;margin:2em;max-width:1040px}svg{width:100%;height:auto}"
    "text{font:12px system-ui,sans-serif;fill:#444}.grid{stroke:#ddd}.line{fill:none;stroke-width:2}"
    ".mark{fill:#222}table{border-collapse:collapse}td,th{text-align:left;padding:2px 12px 2px 0;vertical-align:top}"
)


def render_page(title: str, plots: Sequence[Plot], remarks: Sequence[str] = ()) -> str:
    """Write a page with plots below each other, what their marks say, and remarks."""
    body = "\n".join(f"<h2>{escape(plot.title)}</h2>\n{_drawing(plot)}\n{_marks_table(plot)}" for plot in plots)
    body += "".join(f"\n<p>{escape(remark)}</p>" for remark in remarks)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def _drawing(plot: Plot) -> str:
    parts = [*_grid(plot), *_legend(plot)]
    parts += [_line(plot, series, number) for number, series in enumerate(plot.series)]
    parts += [_mark(plot, mark) for mark in plot.marks]
    label = f"{plot.title} in {plot.unit} over time"
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def _x(part: float) -> float:
    return round(_LEFT + part * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(plot: Plot, value: float) -> float:
    return round(_HEIGHT - _BOTTOM - value / plot.highest * (_HEIGHT - _TOP - _BOTTOM), 1)


def _grid(plot: Plot) -> Iterator[str]:
    for number in range(5):
        value = plot.highest * number / 4
        y = _y(plot, value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{value:g}</text>'
    for moment, text in ticks(plot, 9):
        yield f'<text x="{_x(plot.part(moment))}" y="{_HEIGHT - 20}" text-anchor="middle">{text}</text>'
    yield f'<text x="4" y="{_TOP - 6}">{escape(plot.unit)}</text>'


def _legend(plot: Plot) -> Iterator[str]:
    for number, series in enumerate(plot.series):
        x = _LEFT + 10 + number * 150
        yield f'<line class="line" {_look(number)} x1="{x}" x2="{x + 24}" y1="{_TOP - 8}" y2="{_TOP - 8}"/>'
        yield f'<text x="{x + 30}" y="{_TOP - 4}">{escape(series.name)}</text>'


def _line(plot: Plot, series: Series, number: int) -> str:
    points = " ".join(f"{_x(plot.part(at))},{_y(plot, value)}" for at, value in vertices(plot, series))
    return f'<polyline class="line" {_look(number)} points="{points}"><title>{escape(series.name)}</title></polyline>'


def _look(number: int) -> str:
    dash = _DASHES[number % len(_DASHES)]
    return f'stroke="{_COLOURS[number % len(_COLOURS)]}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def _mark(plot: Plot, mark: Mark) -> str:
    x, y = _x(plot.part(mark.at)), _HEIGHT - _BOTTOM + 4
    shapes = {
        True: f"{x},{y} {x - 5},{y + 9} {x + 5},{y + 9}",
        False: f"{x},{y + 9} {x - 5},{y} {x + 5},{y}",
        None: f"{x - 4},{y} {x + 4},{y} {x + 4},{y + 8} {x - 4},{y + 8}",
    }
    return f'<polygon class="mark" points="{shapes[mark.rises]}"><title>{_told(mark)}</title></polygon>'


def _told(mark: Mark) -> str:
    return escape(f"{mark.at:%Y-%m-%d %H:%M:%S} UTC: {mark.label}")


def _marks_table(plot: Plot) -> str:
    rows = "".join(f"<tr><td>{mark.at:%Y-%m-%d %H:%M:%S}</td><td>{escape(mark.label)}</td></tr>" for mark in plot.marks)
    return f"<table><tr><th>Time (UTC)</th><th>What</th></tr>{rows}</table>" if rows else ""


def write_page(file: Path, title: str, plots: Sequence[Plot], remarks: Sequence[str] = ()) -> None:
    """Write a page with plots. Raises :class:`PlotNotDrawn`."""
    try:
        file.write_text(render_page(title, plots, remarks), encoding="utf-8")
    except OSError as error:
        raise PlotNotDrawn(f"--html {file}: {error.strerror}") from None
