from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.errors import InvalidQueue
from queuectl.queue_rules import Bucket, QueueRules, format_rate, parse_rate
from tests.unit.strategies import NOW

RATES = st.floats(0.001, 1000) | st.integers(1, 100).map(float)
STEPS = st.lists(st.integers(0, 3_000), max_size=40)
"""Milliseconds."""


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", 10.0),
        ("10", 10.0),
        ("0.5/s", 0.5),
        ("30/m", 0.5),
        ("1/h", 1 / 3600),
        ("1/d", 1 / 86400),
        (" 2/s ", 2.0),
    ],
)
def test_a_rate_is_read(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "10/w", "-1/s", "1/s/s", "10 /s", "nan", "1e3/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(InvalidQueue, match="use for example 10/s"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["10/s", "30/m", "7/h", "1/d", "1/s"])
def test_a_rate_is_written_as_it_was_read(text: str) -> None:
    assert format_rate(parse_rate(text)) == text


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("no name", {}, "the queue is 'no name'"),
        ("a", {"concurrency": 0}, "concurrency is 0: use an integer from 1"),
        ("a", {"rate": 0.0}, "the rate is 0/s: use at least 1e-09/s"),
        ("a", {"rate": 1e-10}, "the rate is 1e-10/s: use at least 1e-09/s"),
        ("a", {"rate": 2e6}, "at most 1000000/s"),
    ],
)
def test_what_cannot_be_a_rule_is_refused(name: str, values: dict[str, float], words: str) -> None:
    with pytest.raises(InvalidQueue, match=words):
        QueueRules(name, **values)  # type: ignore[arg-type]


def test_only_a_limit_or_a_rate_wants_a_look() -> None:
    assert not QueueRules("a", paused=True).is_limited
    assert QueueRules("a", concurrency=1).is_limited
    assert QueueRules("a", rate=1.0).is_limited


@given(RATES, STEPS)
def test_no_more_are_started_than_a_seconds_worth_and_what_the_rate_allows(rate: float, steps: list[int]) -> None:
    now, bucket, started = NOW, Bucket.full(rate, NOW), 0
    for step in steps:
        now += timedelta(milliseconds=step)
        bucket = bucket.refill(rate, now)
        while bucket.whole:
            bucket, started = bucket.take(), started + 1
        assert started <= max(1.0, rate) + rate * (now - NOW).total_seconds() + 1e-6


@given(RATES, STEPS)
def test_the_next_token_comes_when_it_was_announced_and_not_before(rate: float, steps: list[int]) -> None:
    now, bucket = NOW, Bucket.full(rate, NOW)
    for step in steps:
        now += timedelta(milliseconds=step)
        bucket = bucket.refill(rate, now)
        while bucket.whole:
            bucket = bucket.take()
        due = bucket.next_token(rate)
        assert now < due or rate > 1000 - 1
        assert bucket.refill(rate, due).whole >= 1
        assert bucket.refill(rate, due - timedelta(milliseconds=1)).whole == 0


@given(RATES, st.integers(1, 10**7))
def test_a_clock_that_goes_back_changes_no_token(rate: float, seconds: int) -> None:
    bucket = Bucket.full(rate, NOW).take()
    earlier = NOW - timedelta(seconds=seconds)
    assert bucket.refill(rate, earlier) == Bucket(bucket.tokens, earlier)


def test_a_changed_rate_keeps_the_tokens_that_fit() -> None:
    later = NOW + timedelta(seconds=1)
    slow, fast = QueueRules("a", rate=2.0), QueueRules("a", rate=10.0)
    assert slow.new_bucket(None, None, NOW) == Bucket(2.0, NOW)
    assert fast.new_bucket(2.0, Bucket(0.0, NOW), later) == Bucket(2.0, later)
    assert slow.new_bucket(10.0, Bucket(9.0, NOW), NOW) == Bucket(2.0, NOW)
    assert QueueRules("a").new_bucket(2.0, Bucket(1.0, NOW), NOW) is None
