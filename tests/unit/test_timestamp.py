from __future__ import annotations

import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.errors import InvalidTime
from queuectl.timestamp import format_time, from_epoch_ms, parse_time, to_epoch_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
"""Spelt out, so that no time zone database is needed."""
LAST_MS = to_epoch_ms(datetime(9000, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC))
EPOCH_MS = st.integers(0, LAST_MS)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(8999, 1, 1), timezones=ZONES)  # noqa: DTZ001 - `timezones` adds one


@contextmanager
def local_zone(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    try:
        os.environ["TZ"] = name
        time.tzset()
        yield
    finally:
        del os.environ["TZ"]
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2030-01-31T08:00:00Z", "2030-01-31T08:00:00.000Z"),
        ("2030-01-31T08:00+02:00", "2030-01-31T06:00:00.000Z"),
        ("2030-01-31t08:00-0130", "2030-01-31T09:30:00.000Z"),
        (" 2030-01-31 08:00Z ", "2030-01-31T08:00:00.000Z"),
        ("20300131T080000Z", "2030-01-31T08:00:00.000Z"),
        ("2030-W05-4T08Z", "2030-01-31T08:00:00.000Z"),
        ("2030-01-31T08:00:00.123999Z", "2030-01-31T08:00:00.123Z"),
        ("2030-01-31T08:00:00,5Z", "2030-01-31T08:00:00.500Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("9001-01-01T00:30+01:00", "9000-12-31T23:30:00.000Z"),
    ],
)
def test_a_time_is_read(text: str, utc: str) -> None:
    moment = parse_time(text)
    assert moment.tzinfo is UTC
    assert format_time(moment) == utc


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2030-01-31", "2030-01-30T23:00:00.000Z"),
        ("2030-01-31T08:00", "2030-01-31T07:00:00.000Z"),
        ("2030-07-31 08:00:00.5", "2030-07-31T06:00:00.500Z"),
        ("2030-01-31T08:00Z", "2030-01-31T08:00:00.000Z"),
    ],
)
def test_without_an_offset_it_is_local_time(text: str, utc: str) -> None:
    with local_zone(BERLIN):
        assert format_time(parse_time(text)) == utc


def test_a_local_time_that_summer_time_leaves_out_is_as_long_after_the_change() -> None:
    with local_zone(BERLIN):
        assert format_time(parse_time("2030-03-31T02:30:00.25")) == "2030-03-31T01:30:00.250Z"


def test_of_a_local_time_that_comes_twice_the_first_is_meant() -> None:
    with local_zone(BERLIN):
        assert format_time(parse_time("2030-10-27T02:30")) == "2030-10-27T00:30:00.000Z"


@pytest.mark.parametrize(
    "zone", ["UTC", BERLIN, "NZST-12NZDT,M9.5.0,M4.1.0/3", "<+0545>-5:45", "EST5EDT,M3.2.0,M11.1.0"]
)
@given(EPOCH_MS)
def test_the_local_time_of_any_moment_is_read_as_that_moment(zone: str, milliseconds: int) -> None:
    moment = from_epoch_ms(milliseconds).replace(microsecond=0)
    with local_zone(zone):
        local = moment.astimezone()
        read = parse_time(local.replace(tzinfo=None).isoformat())
    # What the clocks show twice is read as the first of both.
    assert read == (moment - timedelta(hours=1) if local.fold else moment)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - local time is what is meant
def test_every_local_time_is_some_time_close_by(local: datetime) -> None:
    with local_zone(BERLIN):
        utc = parse_time(local.isoformat())
    assert timedelta(0) < local - utc.replace(tzinfo=None) <= timedelta(hours=2, milliseconds=1)


@given(TIMES)
def test_every_iso_form_reads_as_the_same_millisecond(moment: datetime) -> None:
    millisecond = from_epoch_ms(to_epoch_ms(moment))
    for text in (moment.isoformat(), moment.isoformat(" "), moment.strftime("%Y%m%dT%H%M%S.%f%z")):
        assert parse_time(text) == millisecond
    utc = moment.astimezone(UTC)
    assert parse_time(utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")) == millisecond
    assert parse_time(utc.isoformat(timespec="minutes")) == millisecond.replace(second=0, microsecond=0)


@given(EPOCH_MS)
def test_what_is_written_reads_back(milliseconds: int) -> None:
    moment = from_epoch_ms(milliseconds)
    assert to_epoch_ms(moment) == milliseconds
    assert parse_time(format_time(moment)) == moment
    assert format_time(moment).endswith("Z")


@given(TIMES)
def test_the_milliseconds_of_a_time_are_rounded_down(moment: datetime) -> None:
    assert timedelta(0) <= moment - from_epoch_ms(to_epoch_ms(moment)) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "tomorrow", "1893456000", "08:00", "2030-01", "2030-02-30", "2030-01-31T25:00"),
        *("2030-01-31T08:60", "2030-01-31T08:00:00 Z", "2030-01-31T08:00+25:00", "31.01.2030", "2030/01/31"),
        *("2030-01-31T", "2030-01-31Tx", "٢٠٣٠-01-31", "2030-01-31T08:00Zjunk", "2030-01-31T08:00\n\nZ", "2030-W60-1"),
    ],
)
def test_what_is_no_time_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(InvalidTime) as refusal:
        parse_time(text)
    assert str(refusal.value).startswith(f"{text!r} is not a time: use ISO 8601, for example 2030-01-31T08:00")


@pytest.mark.parametrize("text", ["2030-01-31+02:00", "2030-01-31-0800", "20300131-08:00", "2030-01-31x08:00"])
def test_only_a_t_or_a_space_stands_between_date_and_time(text: str) -> None:
    # Else the offset behind a bare date would be read as its time.
    with pytest.raises(InvalidTime, match="is not a time"):
        parse_time(text)


@pytest.mark.parametrize(
    "text", ["1969-12-31T23:59:59Z", "1970-01-01T00:00+01:00", "9001-01-01T00:00Z", "9999-12-31T23:59Z"]
)
def test_a_time_out_of_range_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(InvalidTime, match=r"is out of range: use a time in the years 1970 to 9000$"):
        parse_time(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "0001-01-01"])
def test_a_time_beyond_the_calendar_is_refused(text: str) -> None:
    with local_zone("<+14>-14"), pytest.raises(InvalidTime):
        parse_time(text)


@given(st.text() | st.text("0123456789-T:+Z. W", max_size=30))
def test_whatever_comes_is_a_time_in_range_or_refused(text: str) -> None:
    try:
        moment = parse_time(text)
    except InvalidTime:
        return
    assert 1970 <= moment.year <= 9000
    assert from_epoch_ms(to_epoch_ms(moment)) == moment
