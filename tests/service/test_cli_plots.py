"""Plots of many points."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import overload

from service.cli.plot_page import render_page
from service.cli.plots import Plot, Point, Series

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class CountedPoints(Sequence[Point]):
    """Points that count how often somebody goes through them."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points
        self.passes = 0

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Point]: ...
    def __getitem__(self, index: int | slice) -> Point | Sequence[Point]:
        return self._points[index]

    def __len__(self) -> int:
        return len(self._points)

    def __iter__(self) -> Iterator[Point]:
        self.passes += 1
        return iter(self._points)


def test_a_page_goes_through_its_points_no_more_often_for_more_of_them() -> None:
    passes = []
    for count in (10, 100):
        points = CountedPoints([(NOON + timedelta(seconds=number), float(number)) for number in range(count)])
        series = Series(name="queue", points=points)
        end = NOON + timedelta(seconds=count)
        render_page("t", [Plot(title="queue", unit="requests", begin=NOON, end=end, series=[series])])
        passes.append(points.passes)

    assert passes[0] == passes[1]
