from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from queuectl.duration import MAX_DURATION, format_duration, parse_duration
from queuectl.errors import InvalidDuration, quote
from tests.unit.strategies import DURATIONS

UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
COUNTS = st.fixed_dictionaries({unit: st.none() | st.integers(0, 5000) for unit in UNITS}).filter(
    lambda counts: any(count is not None for count in counts.values())
)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0", timedelta(0)),
        ("90", timedelta(seconds=90)),
        ("1.5", timedelta(seconds=1.5)),
        (".5", timedelta(seconds=0.5)),
        (" 90s\n", timedelta(seconds=90)),
        ("500ms", timedelta(milliseconds=500)),
        ("10m", timedelta(minutes=10)),
        ("10m5ms", timedelta(minutes=10, milliseconds=5)),
        ("2h30m", timedelta(hours=2, minutes=30)),
        ("1.25s", timedelta(milliseconds=1250)),
        ("1d", timedelta(days=1)),
        ("36525d", MAX_DURATION),
        (90, timedelta(seconds=90)),
        (0.25, timedelta(milliseconds=250)),
        (0.0004, timedelta(0)),
        (0.0006, timedelta(milliseconds=1)),
    ],
)
def test_a_duration_is_read(text: str | float, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "s", "-1", "-1s", "+1", "1x", "1 s", "1s1s", "5m2h", "1.5h", "5m30", "1e3", "0x10", "1_000", "1,5"),
        *("inf", "nan", "none", "1d\n1h", "٣", "PT5M", "1.", "1S", -1, -0.001, float("nan"), float("-inf")),
    ],
)
def test_what_is_no_duration_is_refused_with_what_is_allowed(text: str | float) -> None:
    with pytest.raises(InvalidDuration) as refusal:
        parse_duration(text)
    words = str(refusal.value)
    assert words.startswith(repr(text))
    assert "is not a duration: use a number of seconds, or for example 500ms, 90s, 10m, 2h30m, 1d" in words


@pytest.mark.parametrize(
    "text", ["36526d", "36525d1ms", "9" * 400, "9" * 400 + "d", 1e300, float("inf"), pytest.param(10**5000, id="huge")]
)
def test_what_is_too_long_is_refused_with_the_longest(text: str | float) -> None:
    with pytest.raises(InvalidDuration) as refusal:
        parse_duration(text)
    assert str(refusal.value) == f"{quote(text)} is too long a duration: at most 36525d"


@given(COUNTS)
def test_whole_units_in_their_order_add_up(counts: dict[str, int | None]) -> None:
    text = "".join(f"{counts[unit]}{unit}" for unit in UNITS if counts[unit] is not None)
    assert parse_duration(text) == sum((UNITS[unit] * (counts[unit] or 0) for unit in UNITS), timedelta(0))


@given(DURATIONS)
@example(MAX_DURATION)
def test_what_is_written_reads_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration
    assert parse_duration(duration.total_seconds()) == duration
    assert parse_duration(str(duration.total_seconds()) if duration >= timedelta(milliseconds=1) else "0") == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=1, milliseconds=500), "1s500ms"),
        (timedelta(minutes=150), "2h30m"),
        (timedelta(days=30), "30d"),
        (timedelta(microseconds=1600), "2ms"),
    ],
)
def test_a_duration_is_written_in_its_largest_units(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@given(st.text() | st.text("0123456789dhms. -") | st.floats() | st.integers())
def test_whatever_comes_is_a_duration_in_range_or_refused(text: str | float) -> None:
    try:
        duration = parse_duration(text)
    except InvalidDuration:
        return
    assert timedelta(0) <= duration <= MAX_DURATION
    assert duration % timedelta(milliseconds=1) == timedelta(0)
