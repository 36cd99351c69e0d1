from __future__ import annotations

import pytest

from queuectl.dependency import VERDICTS, Verdict, refuse_cycles, why_impossible
from queuectl.errors import InvalidJob
from queuectl.job import FINAL_STATES, Condition, JobState

CONTRACT = {
    "ok": {"completed": "met", "dead": "open", "cancelled": "impossible", None: "impossible"},
    "any": {"completed": "met", "dead": "met", "cancelled": "met", None: "met"},
    "notok": {"completed": "impossible", "dead": "met", "cancelled": "met", None: "met"},
}
"""By condition and end, None for a job that is deleted: as users were told."""


def test_every_end_decides_as_the_contract_says() -> None:
    assert set(VERDICTS) == {*FINAL_STATES, None}
    for condition, verdicts in CONTRACT.items():
        for end, verdict in verdicts.items():
            state = None if end is None else JobState(end)
            assert VERDICTS[state][Condition(condition)] == verdict


@pytest.mark.parametrize(
    ("condition", "end", "words"),
    [
        ("ok", JobState.CANCELLED, "job a, which had to complete first, was cancelled"),
        ("ok", None, "job a, which had to complete first, was deleted"),
        ("notok", JobState.COMPLETED, "job a, which had to fail first, has completed"),
    ],
)
def test_what_is_impossible_is_put_into_words(condition: str, end: JobState | None, words: str) -> None:
    assert VERDICTS[end][Condition(condition)] is Verdict.IMPOSSIBLE
    assert why_impossible("a", Condition(condition), end) == words


def test_jobs_that_wait_in_a_circle_are_named() -> None:
    refuse_cycles({"a": ["b", "c"], "b": ["c", "x"], "c": ["x"]})
    refuse_cycles({})
    with pytest.raises(
        InvalidJob, match=r"a after b after c after a|b after c after a after b|c after a after b after c"
    ):
        refuse_cycles({"a": ["b"], "b": ["c", "x"], "c": ["a"], "z": ["a"]})


def test_long_chains_are_no_circle() -> None:
    refuse_cycles({f"job{number}": [f"job{number + 1}"] for number in range(10_000)})
