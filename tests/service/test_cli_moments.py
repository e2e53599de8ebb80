"""Times on the command line: what people write, and what they get to read."""

from datetime import UTC, datetime, timedelta

import pytest
import typer

from service.cli.moments import LogPoint, age, ago, future_moment, length, log_point, now, past_moment, shown

NIGHT = datetime(2026, 3, 1, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T03:12:00Z", "2026-03-01 03:12", "2026-03-01T04:12:00+01:00", " 2026-03-01T03:12:00.000000Z "],
)
def test_a_time_is_iso_8601_and_in_utc_without_a_zone(text: str) -> None:
    assert past_moment(text) == NIGHT
    assert future_moment(text) == NIGHT


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m ago", 300), ("1.5h", 5400), ("3d ago", 259_200)])
def test_a_time_may_be_how_long_ago(text: str, seconds: float) -> None:
    earliest = now() - timedelta(seconds=seconds)

    assert earliest <= past_moment(text) <= now() - timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["30m", "in 30m"])
def test_a_time_to_come_may_be_in_how_long(text: str) -> None:
    earliest = now() + timedelta(minutes=30)

    assert earliest <= future_moment(text) <= now() + timedelta(minutes=30)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "5 fortnights", "2026-02-30", "-5m", "999999999d", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_time_is_refused_with_the_text_and_what_is_accepted(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time: give ISO 8601") as caught:
        past_moment(text)

    assert repr(text.strip()) in str(caught.value)


def test_a_point_of_the_log_is_a_position_or_a_time() -> None:
    assert log_point("4711") == LogPoint(position=4711)
    assert log_point("2026-03-01T03:12Z") == LogPoint(moment=NIGHT)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0, "0s"), (119.9, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d"), (1e7, "115d")],
)
def test_a_length_of_time_is_shown_in_one_unit(seconds: float, text: str) -> None:
    assert length(seconds) == text


def test_a_moment_is_shown_with_its_distance() -> None:
    assert shown(NIGHT) == "2026-03-01 03:12:00"
    assert age(NIGHT, NIGHT + timedelta(hours=5)) == "5h"
    assert ago(NIGHT, NIGHT + timedelta(minutes=7)) == "2026-03-01 03:12:00 UTC (7m ago)"
    assert ago(NIGHT, NIGHT - timedelta(seconds=7)) == "2026-03-01 03:12:00 UTC (in 7s)"
