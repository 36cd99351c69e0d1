from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from queuectl.retry import Backoff, RetryPolicy
from tests.unit.strategies import CHANCES, CODE_SETS, EXIT_CODES, POLICIES

ATTEMPTS = st.integers(1, 20) | st.integers(1, 10**400)
HUGE = RetryPolicy(max_retries=1000, base=10**300, cap=timedelta(days=36_525))


def seconds(policy: RetryPolicy, *attempts: int) -> list[float]:
    return [policy.delay(number).total_seconds() for number in attempts]


def test_by_default_the_delay_doubles_from_2_seconds_to_the_cap() -> None:
    assert seconds(RetryPolicy(), *range(1, 11)) == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@pytest.mark.parametrize(
    ("backoff", "base", "delays"),
    [
        (Backoff.EXPONENTIAL, 3, [3, 9, 27, 81]),
        (Backoff.EXPONENTIAL, 1, [1, 1, 1, 1]),
        (Backoff.EXPONENTIAL, 1.5, [1.5, 2.25, 3.375, 5.0625]),
        (Backoff.LINEAR, 3, [3, 6, 9, 12]),
        (Backoff.FIXED, 3, [3, 3, 3, 3]),
    ],
)
def test_the_delay_grows_as_the_kind_of_backoff_says(backoff: Backoff, base: float, delays: list[float]) -> None:
    assert seconds(RetryPolicy(backoff=backoff, base=base), 1, 2, 3, 4) == delays


@given(POLICIES, ATTEMPTS, CHANCES)
@example(HUGE, 1000, 0.0)
def test_no_delay_is_negative_or_longer_than_the_cap(policy: RetryPolicy, attempts: int, chance: float) -> None:
    assert timedelta(0) <= policy.delay(attempts, chance=chance) <= policy.cap


@given(POLICIES, ATTEMPTS, ATTEMPTS)
@example(HUGE, 1, 1000)
def test_without_chance_the_delay_never_shrinks(policy: RetryPolicy, one: int, other: int) -> None:
    assert policy.delay(min(one, other)) <= policy.delay(max(one, other))


@given(POLICIES, ATTEMPTS, CHANCES)
def test_jitter_takes_off_its_share_at_most(policy: RetryPolicy, attempts: int, chance: float) -> None:
    whole, rounding = policy.delay(attempts), timedelta(microseconds=1)
    assert whole * (1 - policy.jitter) - rounding <= policy.delay(attempts, chance=chance) <= whole


def test_jitter_takes_off_what_chance_says() -> None:
    policy = RetryPolicy(base=100, backoff=Backoff.FIXED, jitter=0.5)
    assert policy.delay(1, chance=0.0) == timedelta(seconds=100)
    assert policy.delay(1, chance=0.5) == timedelta(seconds=75)


@pytest.mark.parametrize(("max_retries", "last"), [(0, 1), (1, 1), (2, 2), (1000, 1000)])
def test_attempts_are_used_up_at_max_retries(max_retries: int, last: int) -> None:
    policy = RetryPolicy(max_retries=max_retries)
    exhausted = [attempts for attempts in range(1, 1002) if policy.is_exhausted(attempts)]
    assert exhausted[0] == last


@given(CODE_SETS, CODE_SETS, EXIT_CODES)
def test_an_exit_code_is_worth_retrying_if_named_and_not_excluded(
    retry_on: frozenset[int], no_retry_on: frozenset[int], code: int
) -> None:
    named = RetryPolicy(retry_on=retry_on, no_retry_on=no_retry_on)
    assert named.is_worth_retrying(code) is (code in retry_on - no_retry_on)
    assert RetryPolicy(no_retry_on=no_retry_on).is_worth_retrying(code) is (code not in no_retry_on)
