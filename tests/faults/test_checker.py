"""The checker finds each kind of fault: ledgers that are right in everything but one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.checker import INVARIANTS, check, figures_of
from tests.faults.ledgers import Answer, Asked, Change, EndedRun, Evidence, Line, Request, StoredJob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Job a runs twice, since its first engine dies under it; job b fails for good, is retried by hand, and succeeds.
GOOD = Evidence(
    asked=[Asked("a"), Asked("b"), Asked("b", Request.RETRY), Asked("lost", answer=Answer.UNKNOWN)],
    lines=[
        Line("a", 1, 1, 1, "e1", "start"),
        Line("b", 1, 1, 2, "e1", "start"),
        Line("b", 1, 1, 2, "e1", "end"),
        Line("a", 2, 1, 3, "e2", "start"),
        Line("a", 2, 1, 3, "e2", "end"),
        Line("b", 2, 1, 4, "e2", "start"),
        Line("b", 2, 1, 4, "e2", "end"),
    ],
    changes=[
        Change("a", None, "pending"),
        Change("b", None, "pending"),
        Change("a", "pending", "processing", 1, 0, 0, 1, "e1"),
        Change("b", "pending", "processing", 1, 0, 0, 2, "e1"),
        Change("b", "processing", "dead", 1, 1, 0, 2, "e1"),
        Change("a", "processing", "pending", 1, 0, 1, 1, "e1"),
        Change("a", "pending", "processing", 2, 0, 1, 3, "e2"),
        Change("a", "processing", "completed", 2, 1, 0, 3, "e2"),
        Change("b", "dead", "pending", 1, 0, 0, 2, "e1"),
        Change("b", "pending", "processing", 2, 0, 0, 4, "e2"),
        Change("b", "processing", "completed", 2, 1, 0, 4, "e2"),
    ],
    runs=[
        EndedRun("a", 1, 1, 1, "e1", "engine_died", error="its engine died"),
        EndedRun("a", 2, 1, 3, "e2", "exited", 0),
        EndedRun("b", 1, 1, 2, "e1", "exited", 3),
        EndedRun("b", 2, 1, 4, "e2", "exited", 0),
    ],
    jobs=[StoredJob("a", "completed", 1, 2), StoredJob("b", "completed", 1, 2, max_retries=1)],
    alive=[("b", 2)],
)


def with_change(place: int, **changes: Any) -> Sequence[Change]:
    return [replace(change, **changes) if n == place else change for n, change in enumerate(GOOD.changes)]


def with_run(place: int, **changes: Any) -> Sequence[EndedRun]:
    return [replace(run, **changes) if n == place else run for n, run in enumerate(GOOD.runs)]


def without(ledger: Sequence[Any], place: int) -> Sequence[Any]:
    return [*ledger[:place], *ledger[place + 1 :]]


DOCTORED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "I1": {
        "a job is gone": {"asked": [*GOOD.asked, Asked("c")]},
    },
    "I2": {
        "a job that nobody asked for": {"asked": without(GOOD.asked, 0)},
        "a job that was refused": {"asked": [Asked("a", answer=Answer.REFUSED), *GOOD.asked[1:]]},
        "a command without a claim": {"lines": [*GOOD.lines, Line("a", 3, 1, 5, "e2", "start")]},
        "a command told of another attempt": {"lines": [*GOOD.lines[:-1], replace(GOOD.lines[-1], attempt=2)]},
        "a success that was none": {"lines": without(GOOD.lines, 4)},
    },
    "I3": {
        "a token given twice": {"changes": with_change(9, token=3)},
        "a token that fell": {"changes": with_change(6, token=0)},
        "an end by another engine": {"changes": with_change(7, engine="e1")},
        "an end under another token": {"changes": with_change(7, token=4)},
        "two ends of one claim": {"runs": [*GOOD.runs, replace(GOOD.runs[1], run=3)]},
    },
    "I4": {
        "two starts of one claim": {"lines": [*GOOD.lines[:4], GOOD.lines[3], *GOOD.lines[4:]]},
        "an earlier run that still lives": {
            "lines": [*GOOD.lines[:4], Line("a", 1, 1, 1, "e1", "alive"), *GOOD.lines[4:]]
        },
    },
    "I5": {
        "a retry that nobody asked for": {"asked": without(GOOD.asked, 2)},
        "a retry that was refused": {
            "asked": [*GOOD.asked[:2], Asked("b", Request.RETRY, Answer.REFUSED), GOOD.asked[3]]
        },
        "a retry that was lost": {"asked": [*GOOD.asked, Asked("a", Request.RETRY)]},
        "a final job that ran again": {"changes": with_change(9, before="dead")},
    },
    "I6": {
        "an attempt too many": {"changes": with_change(10, attempts=2)},
        "an attempt for a crash": {"changes": with_change(5, attempts=1)},
        "a crash not charged": {"changes": with_change(5, crashes=0)},
        "a crash not forgotten": {"changes": with_change(7, crashes=1)},
        "a failure that was a success": {"changes": with_change(7, after="failed")},
        "a run under a wrong attempt": {"runs": with_run(1, attempt=2)},
    },
    "I7": {
        "a change that is not allowed": {"changes": without(GOOD.changes, 6)},
        "a state from nowhere": {"changes": with_change(7, before="failed")},
        "a run that was skipped": {"changes": with_change(6, run=3)},
        "a run that is not on record": {"runs": without(GOOD.runs, 0)},
        "a run under way that is on record": {"jobs": [replace(GOOD.jobs[0], state="processing"), GOOD.jobs[1]]},
    },
    "I8": {
        "a process of a run that was cut short": {"alive": [("a", 1)]},
    },
    "I9": {
        "a job that hangs": {"jobs": [replace(GOOD.jobs[0], state="pending"), GOOD.jobs[1]]},
        "an engine that is left": {"engines": ["e2"]},
    },
    "the": {
        "a damaged store": {"damage": ["row 3 missing from index"]},
    },
}
"""By the first word of an invariant, what goes against it."""


def test_ledgers_that_are_right_pass() -> None:
    assert check(GOOD) == []
    figures = figures_of(GOOD)
    assert (figures.jobs, figures.runs, figures.cut_short, figures.lines, figures.changes) == (2, 4, 1, 7, 11)


def test_every_invariant_has_been_broken() -> None:
    assert set(DOCTORED) == {name.split()[0] for name in INVARIANTS}


@pytest.mark.parametrize(
    ("invariant", "doctored"),
    [
        pytest.param(invariant, doctored, id=f"{invariant}: {fault}")
        for invariant, faults in DOCTORED.items()
        for fault, doctored in faults.items()
    ],
)
def test_what_is_wrong_is_found(invariant: str, doctored: Mapping[str, Any]) -> None:
    found = check(replace(GOOD, **doctored))

    assert invariant in {violation.split()[0] for violation in found}
