from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.autoscaling.cron import next_time, parse_cron

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo | None = None) -> datetime:
    """A moment in a zone (UTC if none is given), in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC).astimezone(UTC)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * *", "2026-03-02T12:00:30", "2026-03-02T12:01"),
        ("0 8 * * 1-5", "2026-03-06T08:00", "2026-03-09T08:00"),
        ("0 8 * * mon-fri", "2026-03-06T07:59:59", "2026-03-06T08:00"),
        ("*/15 * * * *", "2026-03-02T12:46", "2026-03-02T13:00"),
        ("5/20 3 * * *", "2026-03-02T03:25", "2026-03-02T03:45"),
        ("0 0 1 jan *", "2026-01-01T00:00", "2027-01-01T00:00"),
        ("0 0 29 2 *", "2026-03-01T00:00", "2028-02-29T00:00"),
        ("30 6,18 * * *", "2026-03-02T06:30", "2026-03-02T18:30"),
        ("0 0 * * 7", "2026-03-02T00:00", "2026-03-08T00:00"),
        ("0 0 13 * 5", "2026-03-02T00:00", "2026-03-06T00:00"),
        ("0 0 13 * *", "2026-03-02T00:00", "2026-03-13T00:00"),
        ("0 22-23/1 31 * *", "2026-03-31T23:00", "2026-05-31T22:00"),
    ],
)
def test_an_expression_comes_true_next_when_its_fields_say(expression: str, after: str, expected: str) -> None:
    assert next_time(expression, ZoneInfo("UTC"), at(after)) == at(expected)


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        pytest.param("0 8 * * *", at("2026-03-28T09:00", BERLIN), "2026-03-29T06:00", id="summer time has begun"),
        pytest.param("0 8 * * *", at("2026-10-24T09:00", BERLIN), "2026-10-25T07:00", id="summer time has ended"),
        pytest.param("30 2 * * *", at("2026-03-29T00:00", BERLIN), "2026-03-29T01:30", id="a time that is skipped"),
        pytest.param("30 2 * * *", at("2026-10-25T00:00", BERLIN), "2026-10-25T00:30", id="a time that comes twice"),
        pytest.param("30 2 * * *", at("2026-10-25T00:30"), "2026-10-26T01:30", id="and counts once"),
    ],
)
def test_local_times_follow_the_clock_changes(expression: str, after: datetime, expected: str) -> None:
    assert next_time(expression, BERLIN, after) == at(expected)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("* * * *", "has 4 fields, not five"),
        ("60 * * * *", "minute '60'"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day of month '0'"),
        ("* * * 13 *", "month '13'"),
        ("* * * * 8", "day of week '8'"),
        ("5-1 * * * *", "minute '5-1'"),
        ("*/0 * * * *", r"minute '\*/0'"),
        ("a * * * *", "minute 'a'"),
        ("1,,2 * * * *", "minute ''"),
        ("-1 * * * *", "minute '-1'"),
        ("* * * mon *", "month 'mon'"),
        ("0 0 31 2 *", "never comes true"),
        ("0 0 30 feb *", "never comes true"),
    ],
)
def test_what_cannot_be_read_is_refused_by_field_and_value(expression: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_cron(expression)


FIELDS = st.tuples(
    st.sampled_from(["*", "0", "*/7", "3-9", "59"]),
    st.sampled_from(["*", "0", "2", "*/5", "23"]),
    st.sampled_from(["*", "1", "15", "28-31"]),
    st.sampled_from(["*", "2", "3,10", "*/4"]),
    st.sampled_from(["*", "0", "1-5", "7"]),
).map(" ".join)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@given(
    expression=FIELDS, after=MOMENTS, zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Seoul", "America/New_York"])
)
def test_the_next_time_lies_ahead_and_matches(expression: str, after: datetime, zone: str) -> None:
    cron = parse_cron(expression)

    moment = next_time(expression, ZoneInfo(zone), after)

    assert moment is not None
    assert moment > after
    local = moment.astimezone(ZoneInfo(zone))
    assert cron.includes(local.date())
    if zone in {"UTC", "Asia/Seoul"}:
        assert (local.minute in cron.minutes, local.hour in cron.hours) == (True, True)
