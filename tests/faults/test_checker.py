"""The checker finds each kind of fault: ledgers that are right in everything but one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.checker import INVARIANTS, check, figures_of
from tests.faults.ledgers import Answer, Asked, Change, EndedRun, Evidence, Line, Request, StoredJob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NARROW: Mapping[str, Any] = {"key": "k", "queue": "narrow", "concurrency": 1}

# Job a runs twice, since its first engine dies under it; job b fails for good, is retried by hand, and succeeds. Job c
# is held and released; d, which comes after it, is cancelled while it runs; e is edited and deleted.
GOOD = Evidence(
    asked=[
        Asked("a"),
        Asked("b"),
        Asked("b", Request.RETRY),
        Asked("lost", answer=Answer.UNKNOWN),
        *(Asked("c", request) for request in (Request.ENQUEUE, Request.HOLD, Request.RELEASE)),
        *(Asked("d", request, priority=7) for request in (Request.ENQUEUE, Request.EDIT, Request.CANCEL)),
        *(Asked("e", request) for request in (Request.ENQUEUE, Request.DELETE)),
    ],
    lines=[
        Line("a", 1, 1, 1, "e1", "start"),
        Line("b", 1, 1, 2, "e1", "start"),
        Line("b", 1, 1, 2, "e1", "end"),
        Line("a", 2, 1, 3, "e2", "start"),
        Line("a", 2, 1, 3, "e2", "end"),
        Line("b", 2, 1, 4, "e2", "start"),
        Line("b", 2, 1, 4, "e2", "end"),
        Line("c", 1, 1, 5, "e2", "start"),
        Line("c", 1, 1, 5, "e2", "end"),
        Line("d", 1, 1, 6, "e2", "start"),
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
        Change("c", None, "pending"),
        Change("c", "pending", "pending", unique="u"),
        Change("c", "pending", "blocked", unique="u", held=1),
        Change("c", "blocked", "pending", unique="u"),
        Change("d", None, "pending"),
        Change("d", "pending", "blocked"),
        Change("e", None, "pending"),
        Change("c", "pending", "processing", 1, 0, 0, 5, "e2", unique="u", **NARROW),
        Change("c", "processing", "completed", 1, 1, 0, 5, "e2", unique="u", **NARROW),
        Change("d", "blocked", "pending"),
        Change("d", "pending", "processing", 1, 0, 0, 6, "e2", **NARROW),
        Change("d", "processing", "processing", 1, 0, 0, 6, "e2", cancelling=1, **NARROW),
        Change("d", "processing", "cancelled", 1, 0, 0, 6, "e2", **NARROW),
        Change("e", "pending", None),
    ],
    runs=[
        EndedRun("a", 1, 1, 1, "e1", "engine_died", error="its engine died"),
        EndedRun("a", 2, 1, 3, "e2", "exited", 0),
        EndedRun("b", 1, 1, 2, "e1", "exited", 3),
        EndedRun("b", 2, 1, 4, "e2", "exited", 0),
        EndedRun("c", 1, 1, 5, "e2", "exited", 0),
        EndedRun("d", 1, 1, 6, "e2", "cancelled"),
    ],
    jobs=[
        StoredJob("a", "completed", 1, 2),
        StoredJob("b", "completed", 1, 2, max_retries=1),
        StoredJob("c", "completed", 1, 1),
        StoredJob("d", "cancelled", 0, 1, priority=7, after='[{"id": "c", "if": "ok"}]'),
    ],
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
        "a job is gone": {"asked": [*GOOD.asked, Asked("f")]},
        "a job was deleted that nobody wanted to be": {"asked": without(GOOD.asked, 11)},
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
        "a cancelled job that goes on": {"changes": with_change(23, after="pending")},
        "a failure that was a success": {"changes": with_change(7, after="failed")},
        "a run under a wrong attempt": {"runs": with_run(1, attempt=2)},
    },
    "I7": {
        "a change that is not allowed": {"changes": without(GOOD.changes, 6)},
        "a state from nowhere": {"changes": with_change(7, before="failed")},
        "a job that starts while it is held": {"changes": with_change(18, held=1)},
        "a job that starts before what it comes after": {"changes": without(GOOD.changes, 19)},
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
    "I11": {
        "a hold that nobody asked for": {"asked": without(GOOD.asked, 5)},
        "a hold that was lost": {"asked": [*GOOD.asked, Asked("c", Request.HOLD)]},
        "a release that was lost": {"asked": [*GOOD.asked, Asked("c", Request.RELEASE)]},
        "a job cancelled that nobody wanted to be": {"asked": without(GOOD.asked, 9)},
        "a cancelled job that was not": {"asked": [*GOOD.asked, Asked("b", Request.CANCEL)]},
        "a deleted job that was not": {"asked": [*GOOD.asked, Asked("b", Request.DELETE)]},
        "an edit that was lost": {"asked": [*GOOD.asked, Asked("c", Request.EDIT, priority=7)]},
    },
    "I12": {
        "two at once for a key": {
            "changes": [*GOOD.changes[:11], replace(GOOD.changes[18], job="x"), *GOOD.changes[11:]]
        },
        "two at once in a queue": {
            "changes": [*GOOD.changes[:11], replace(GOOD.changes[18], job="x", key=None), *GOOD.changes[11:]]
        },
        "a start in a paused queue": {"changes": with_change(18, paused=1)},
        "two with a unique key": {"changes": with_change(15, unique="u")},
    },
    "the": {
        "a damaged store": {"damage": ["row 3 missing from index"]},
    },
}
"""By the first word of an invariant, what goes against it."""


def test_ledgers_that_are_right_pass() -> None:
    assert check(GOOD) == []
    figures = figures_of(GOOD)
    assert (figures.jobs, figures.runs, figures.cut_short, figures.lines, figures.changes) == (4, 6, 1, 10, 25)


def test_every_invariant_has_been_broken() -> None:
    doctored = [replace(GOOD, **changes) for faults in DOCTORED.values() for changes in faults.values()]
    found = {violation.partition(":")[0] for evidence in doctored for violation in check(evidence)}
    assert found == {*INVARIANTS}


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
