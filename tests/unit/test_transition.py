from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from queuectl.errors import WrongState
from queuectl.job import JobState
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, Signalled, SpawnFailed, TimedOut
from queuectl.retry import RetryPolicy
from queuectl.transition import (
    TRANSITIONS,
    Action,
    Bury,
    Cancel,
    Complete,
    Release,
    Retry,
    allowed_from,
    check,
    decide,
    describe,
    if_cancelled,
    require_held,
)
from tests.unit.strategies import (
    CHANCES,
    CODE_SETS,
    CUT_SHORT,
    NOW,
    OUTCOMES,
    OWN_ENDS,
    OWN_FAILURES,
    POLICIES,
    PROCESSING,
    WORDS,
    processing,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.job import Job
    from queuectl.outcome import Outcome

CONTRACT = {
    ("pending", "claim"): {"processing"},
    ("pending", "hold"): {"blocked"},
    ("pending", "cancel"): {"cancelled"},
    ("blocked", "release"): {"pending", "blocked"},
    ("blocked", "cancel"): {"cancelled"},
    ("processing", "complete"): {"completed"},
    ("processing", "fail"): {"failed"},
    ("processing", "bury"): {"dead"},
    ("processing", "cancel"): {"cancelled"},
    ("processing", "give back"): {"pending"},
    ("failed", "claim"): {"processing"},
    ("blocked", "hold"): {"blocked"},
    ("failed", "hold"): {"blocked"},
    ("failed", "cancel"): {"cancelled"},
    ("failed", "retry"): {"pending"},
    ("completed", "retry"): {"pending", "blocked"},
    ("dead", "retry"): {"pending", "blocked"},
    ("cancelled", "retry"): {"pending", "blocked"},
    **{(state, "edit"): {state} for state in ("pending", "blocked", "failed")},
    **{(state.value, "delete"): set() for state in JobState if state is not JobState.PROCESSING},
}
"""Which action leads from which state to which, as users were told."""

ACTION_OF = {
    Complete: Action.COMPLETE,
    Retry: Action.FAIL,
    Bury: Action.BURY,
    Cancel: Action.CANCEL,
    Release: Action.GIVE_BACK,
}


@pytest.mark.parametrize(("state", "action"), [*product(JobState, Action)])
def test_an_action_is_allowed_exactly_where_the_contract_says(state: JobState, action: Action) -> None:
    targets = CONTRACT.get((state.value, action.value))
    if targets is not None:
        check("job1", state, action)
        assert TRANSITIONS[action][state] == targets
        assert state in allowed_from(action)
    else:
        with pytest.raises(WrongState) as refusal:
            check("job1", state, action)
        words = str(refusal.value)
        assert f"cannot {action} job job1: it is {state}" in words
        assert all(allowed in words.partition("allowed for")[2] for allowed in allowed_from(action))
        assert state not in allowed_from(action)


@given(PROCESSING, OUTCOMES, POLICIES, CHANCES)
def test_what_follows_is_allowed_for_a_processing_job(
    job: Job, outcome: Outcome, policy: RetryPolicy, chance: float
) -> None:
    transition = decide(job, outcome, policy, NOW, chance=chance)
    assert transition.state in TRANSITIONS[ACTION_OF[type(transition)]][JobState.PROCESSING]


@given(PROCESSING, OUTCOMES, POLICIES, CHANCES)
def test_a_job_that_is_to_be_cancelled_is_so_after_every_outcome_but_success(
    job: Job, outcome: Outcome, policy: RetryPolicy, chance: float
) -> None:
    without = decide(job, outcome, policy, NOW, chance=chance)
    transition = decide(replace(job, cancelling=True), outcome, policy, NOW, chance=chance)
    assert transition == if_cancelled(without)
    assert (transition.attempts, transition.crashes) == (without.attempts, without.crashes)
    if isinstance(without, Complete):
        assert transition == without
    else:
        assert isinstance(transition, Cancel)
        assert transition.error.startswith("cancelled")
        assert without.error in transition.error


def test_only_what_is_held_is_released() -> None:
    require_held("job1", held=True)
    with pytest.raises(WrongState, match="job1"):
        require_held("job1", held=False)


@given(PROCESSING, OWN_ENDS, POLICIES)
def test_an_execution_that_ended_by_itself_is_an_attempt_and_ends_the_crashes(
    job: Job, outcome: Outcome, policy: RetryPolicy
) -> None:
    transition = decide(job, outcome, policy, NOW)
    assert (transition.attempts, transition.crashes) == (job.attempts + 1, 0)


@given(PROCESSING, CUT_SHORT, POLICIES)
def test_an_execution_that_was_cut_short_is_no_attempt(job: Job, outcome: Outcome, policy: RetryPolicy) -> None:
    assert decide(job, outcome, policy, NOW).attempts == job.attempts


@given(PROCESSING, OWN_FAILURES, POLICIES, CHANCES)
def test_a_failed_job_is_buried_exactly_when_its_attempts_are_used_up_or_its_exit_code_is_final(
    job: Job, outcome: Outcome, policy: RetryPolicy, chance: float
) -> None:
    transition = decide(job, outcome, policy, NOW, chance=chance)
    is_final = isinstance(outcome, Exited) and (
        outcome.exit_code in policy.no_retry_on
        or (policy.retry_on is not None and outcome.exit_code not in policy.retry_on)
    )
    is_used_up = job.attempts + 1 >= policy.max_retries
    assert isinstance(transition, Bury if is_final or is_used_up else Retry)


@given(PROCESSING, OWN_FAILURES, POLICIES, CHANCES)
def test_a_retry_is_due_between_now_and_the_cap(job: Job, outcome: Outcome, policy: RetryPolicy, chance: float) -> None:
    transition = decide(job, outcome, policy, NOW, chance=chance)
    assume(isinstance(transition, Retry))
    assert isinstance(transition, Retry)
    assert NOW <= transition.run_at <= NOW + policy.cap


@pytest.mark.parametrize(("max_retries", "attempts"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_a_job_that_always_fails_dies_with_as_many_attempts_as_it_was_given(max_retries: int, attempts: int) -> None:
    dead = _fail_until_dead(RetryPolicy(max_retries=max_retries), interruptions=())
    assert dead == attempts


@given(st.integers(0, 8), st.lists(st.integers(0, 8), max_size=8))
def test_interruptions_cost_no_attempt(max_retries: int, interruptions: Sequence[int]) -> None:
    policy = RetryPolicy(max_retries=max_retries, max_crashes=None)
    assert _fail_until_dead(policy, interruptions) == max(1, max_retries)


def _fail_until_dead(policy: RetryPolicy, interruptions: Sequence[int]) -> int:
    """Fail a job again and again, cut short before the executions named; give how many ended by themselves."""
    attempts = 0
    for execution in range(policy.max_retries + 2):
        for _ in range(interruptions.count(execution)):
            given_back = decide(processing(attempts=attempts), EngineDied("", crashed=True), policy, NOW)
            assert isinstance(given_back, Release)
            attempts = given_back.attempts
        ended = decide(processing(attempts=attempts), Exited(1), policy, NOW)
        attempts = ended.attempts
        if isinstance(ended, Bury):
            assert attempts == execution + 1
            return attempts
    raise AssertionError("the job never dies")


@given(PROCESSING, POLICIES)
def test_exit_code_0_completes_whatever_the_policy_says(job: Job, policy: RetryPolicy) -> None:
    assert decide(job, Exited(0), policy, NOW) == Complete(job.attempts + 1, 0)


@pytest.mark.parametrize(
    "outcome",
    [Signalled(9), TimedOut(timedelta(seconds=1)), SpawnFailed("no such program", 127)],
    ids=lambda outcome: outcome.name,
)
@given(CODE_SETS, CODE_SETS)
def test_only_exit_codes_are_judged_by_the_lists(
    outcome: Outcome, retry_on: frozenset[int], no_retry_on: frozenset[int]
) -> None:
    policy = RetryPolicy(retry_on=retry_on, no_retry_on=no_retry_on | {9, 126, 127, 137})
    assert isinstance(decide(processing(), outcome, policy, NOW), Retry)


def test_an_exit_code_that_is_not_to_be_retried_is_final_at_once() -> None:
    policy = RetryPolicy(max_retries=10, retry_on=frozenset({1, 75}), no_retry_on=frozenset({1}))
    assert isinstance(decide(processing(), Exited(75), policy, NOW), Retry)
    for code in (1, 2):
        assert decide(processing(), Exited(code), policy, NOW) == Bury(
            1, 0, f"exit code {code}, which is not to be retried"
        )


@given(PROCESSING, POLICIES)
def test_only_the_death_of_an_engine_counts_as_a_crash(job: Job, policy: RetryPolicy) -> None:
    for outcome in (Cancelled(), Interrupted("drained"), EngineDied("rebooted", crashed=False)):
        transition = decide(job, outcome, policy, NOW)
        assert transition.crashes == job.crashes
        assert isinstance(transition, Cancel if outcome == Cancelled() else Release)
    assert decide(job, EngineDied("killed", crashed=True), policy, NOW).crashes == job.crashes + 1


@given(PROCESSING, POLICIES)
def test_a_job_that_takes_engines_down_is_buried_at_max_crashes(job: Job, policy: RetryPolicy) -> None:
    transition = decide(job, EngineDied("the engine died", crashed=True), policy, NOW)
    is_poison = policy.max_crashes is not None and job.crashes + 1 >= policy.max_crashes
    assert isinstance(transition, Bury if is_poison else Release)
    assert isinstance(transition, (Bury, Release))
    assert "the engine died" in transition.error
    assert (f"{job.crashes + 1} times in a row" in transition.error) is is_poison


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Exited(3), "exit code 3"),
        (Signalled(9), "killed by signal 9"),
        (TimedOut(timedelta(seconds=90)), "timed out after 1m30s"),
        (SpawnFailed("no such program", 127), "could not start: no such program"),
        (Cancelled(), "cancelled"),
        (Interrupted("the engine was stopped"), "the engine was stopped"),
        (EngineDied("the engine died", crashed=True), "the engine died"),
    ],
)
def test_an_outcome_is_put_into_words(outcome: Outcome, words: str) -> None:
    assert describe(outcome) == words


@given(PROCESSING, WORDS, POLICIES)
def test_why_a_job_did_not_succeed_is_kept(job: Job, reason: str, policy: RetryPolicy) -> None:
    for outcome in (SpawnFailed(reason, 127), Interrupted(reason), EngineDied(reason, crashed=True)):
        transition = decide(job, outcome, policy, NOW)
        assert not isinstance(transition, Complete)
        assert reason in transition.error
