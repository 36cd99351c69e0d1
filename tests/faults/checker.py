"""What must be true whatever has happened: the invariants, each a function over the joined ledgers.

The rules are written down here a second time, from what is promised and not from the code that is to keep it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.faults.ledgers import Answer, Change, EndedRun, Evidence, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["INVARIANTS", "Figures", "check", "figures_of"]

FINAL = {"completed", "dead", "cancelled"}
BY_ITSELF = {"exited", "signalled", "timed_out", "spawn_failed"}
"""Outcomes of executions that nobody cut short."""
CUT_SHORT = {"interrupted", "engine_died"}
LEGAL = {
    (None, "pending"),
    ("pending", "processing"),
    ("failed", "processing"),
    ("processing", "completed"),
    ("processing", "failed"),
    ("processing", "dead"),
    ("processing", "pending"),
    ("failed", "pending"),
    ("completed", "pending"),
    ("dead", "pending"),
    ("completed", None),
}
"""Changes of state: None stands for a job that is not there. Nothing here holds, cancels or purges jobs."""
MAX_CRASHES = 5


def check(evidence: Evidence) -> list[str]:
    """Give every violation of an invariant, each with the invariant's name before it."""
    return [f"{name}: {found}" for name, invariant in INVARIANTS.items() for found in invariant(evidence)]


@dataclass(frozen=True, slots=True)
class Figures:
    """How much there was to be checked."""

    jobs: int
    runs: int
    cut_short: int
    lines: int
    changes: int


def figures_of(evidence: Evidence) -> Figures:
    """Count what is in the ledgers."""
    cut_short = sum(run.outcome in CUT_SHORT for run in evidence.runs)
    return Figures(len(evidence.jobs), len(evidence.runs), cut_short, len(evidence.lines), len(evidence.changes))


@dataclass(frozen=True, slots=True)
class _Execution:
    """A claim as the store has seen it, from the change that began it to the one that ended it."""

    began: Change
    ended: Change | None
    record: EndedRun | None


def _by_job(evidence: Evidence) -> Mapping[str, Sequence[Change]]:
    changes = defaultdict(list)
    for change in evidence.changes:
        changes[change.job].append(change)
    return changes


def _executions(evidence: Evidence) -> Iterator[_Execution]:
    records = {(run.job, run.run): run for run in evidence.runs}
    for changes in _by_job(evidence).values():
        for change, following in pairwise([*changes, None]):
            if change is not None and change.after == "processing":
                yield _Execution(change, following, records.get((change.job, change.run)))


def _deleted(evidence: Evidence) -> set[str]:
    return {change.job for change in evidence.changes if change.after is None}


def _no_job_is_lost(evidence: Evidence) -> Iterator[str]:
    kept = {job.id for job in evidence.jobs} | _deleted(evidence)
    for asked in evidence.asked:
        if asked.request is Request.ENQUEUE and asked.answer is Answer.ACKNOWLEDGED and asked.job not in kept:
            yield f"{asked.job} was acknowledged and is gone"


def _nothing_is_made_up(evidence: Evidence) -> Iterator[str]:
    enqueued = (asked for asked in evidence.asked if asked.request is Request.ENQUEUE)
    wanted = {asked.job for asked in enqueued if asked.answer is not Answer.REFUSED}
    for made in {change.job for change in evidence.changes} - wanted:
        yield f"{made} is stored, and nobody has asked for it or it was refused"
    claims = {(made.job, made.run, made.attempts + 1, made.token, made.engine) for made in _claims(evidence)}
    for line in evidence.lines:
        if (line.job, line.run, line.attempt, line.token, line.engine) not in claims:
            yield f"{line} was written under a claim that the store never gave"
    said = {(line.token, line.moment) for line in evidence.lines}
    for run in evidence.runs:
        if (run.outcome, run.exit_code) == ("exited", 0) and not {(run.token, "start"), (run.token, "end")} <= said:
            yield f"{run} is recorded, and its command has not come to its end"


def _claims(evidence: Evidence) -> list[Change]:
    return [change for change in evidence.changes if change.after == "processing"]


def _each_claim_ends_once(evidence: Evidence) -> Iterator[str]:
    tokens = Counter(claim.token for claim in _claims(evidence))
    yield from (f"token {token} was given out {times} times" for token, times in tokens.items() if times > 1)
    records = Counter(run.token for run in evidence.runs)
    yield from (f"token {token} has {times} recorded runs" for token, times in records.items() if times > 1)
    for changes in _by_job(evidence).values():
        given = [change for change in changes if change.after == "processing"]
        for one, next_one in pairwise(given):
            if one.token >= next_one.token:
                yield f"{next_one} has no higher token than the claim before it"
    for execution in _executions(evidence):
        began, ended = execution.began, execution.ended
        if ended is not None and (ended.token, ended.engine) != (began.token, began.engine):
            yield f"{began} was ended under another claim: {ended}"


def _none_runs_twice_at_once(evidence: Evidence) -> Iterator[str]:
    started = Counter((line.job, line.token) for line in evidence.lines if line.moment == "start")
    yield from (f"{job} was started {n} times under token {token}" for (job, token), n in started.items() if n > 1)
    newest: dict[str, int] = {}
    for line in evidence.lines:
        if line.token < newest.get(line.job, 0):
            yield f"{line} was written after a later execution had started"
        newest[line.job] = max(newest.get(line.job, 0), line.token)


def _final_is_final(evidence: Evidence) -> Iterator[str]:
    retries = [asked for asked in evidence.asked if asked.request is Request.RETRY]
    asked = Counter(retry.job for retry in retries if retry.answer is not Answer.REFUSED)
    told = Counter(retry.job for retry in retries if retry.answer is Answer.ACKNOWLEDGED)
    by_hand = {*FINAL, "failed"}
    done = Counter(change.job for change in evidence.changes if change.before in by_hand and change.after == "pending")
    for job in asked.keys() | done.keys():
        if not told[job] <= done[job] <= asked[job]:
            yield f"{job} was retried {done[job]} times; asked {asked[job]} times, acknowledged {told[job]} times"
    for change in evidence.changes:
        if change.before in FINAL and change.after not in {"pending", None}:
            yield f"{change} leaves a final state"


def _attempts_and_crashes_are_counted(evidence: Evidence) -> Iterator[str]:
    limits = {job.id: job.max_retries for job in evidence.jobs}
    for change in evidence.changes:
        if change.attempts > max(limits.get(change.job, change.attempts), 1):
            yield f"{change} has more attempts than the job is given"
    for execution in _executions(evidence):
        record, ended = execution.record, execution.ended
        if record is None or ended is None:
            continue
        expected = _after(execution.began, record, limits.get(ended.job, 0))
        if (ended.after, ended.attempts, ended.crashes) != expected:
            yield f"{record} led to {ended} in place of {expected}"
        if record.attempt != execution.began.attempts + 1:
            yield f"{record} is not the attempt that was claimed: {execution.began}"


def _after(began: Change, record: EndedRun, limit: int) -> tuple[str, int, int]:
    """Say what must become of a job: its state, attempts and crashes."""
    if record.outcome in BY_ITSELF:
        attempts = began.attempts + 1
        if (record.outcome, record.exit_code) == ("exited", 0):
            return "completed", attempts, 0
        return "dead" if attempts >= limit else "failed", attempts, 0
    crashes = began.crashes + (record.outcome == "engine_died" and (record.error or "").startswith("its engine died"))
    died_of_it = crashes > began.crashes and crashes >= MAX_CRASHES
    return "dead" if died_of_it else "pending", began.attempts, crashes


def _history_is_whole(evidence: Evidence) -> Iterator[str]:
    for job, changes in _by_job(evidence).items():
        for before, change in pairwise([None, *changes]):
            assert change is not None
            came_from = None if before is None else before.after
            if change.before != came_from or (change.before, change.after) not in LEGAL:
                yield f"{job} went from {came_from} by {change}"
            was = 0 if before is None else before.run
            if change.run != was + (change.after == "processing"):
                yield f"{change} leaves a gap in the runs: {was} went before"
    recorded = defaultdict(list)
    for run in evidence.runs:
        recorded[run.job].append(run.run)
    for stored in evidence.jobs:
        ended = stored.runs - (stored.state == "processing")
        if recorded[stored.id] != [*range(1, ended + 1)]:
            yield f"{stored} has the runs {recorded[stored.id]} on record"


def _nothing_strays(evidence: Evidence) -> Iterator[str]:
    # What a command has put in the background before it ended by itself is let be.
    let_be = {run.token for run in evidence.runs if run.outcome in {"exited", "signalled"}}
    for job, token in evidence.alive:
        if token not in let_be:
            yield f"a process of {job} under token {token} still runs"


def _all_is_done(evidence: Evidence) -> Iterator[str]:
    yield from (f"{job} is not done" for job in evidence.jobs if job.state not in FINAL)
    yield from (f"engine {engine} is registered still" for engine in evidence.engines)


def _the_store_is_sound(evidence: Evidence) -> Iterator[str]:
    yield from evidence.damage


INVARIANTS: Mapping[str, Callable[[Evidence], Iterator[str]]] = {
    "I1 no acknowledged job is lost": _no_job_is_lost,
    "I2 nothing is made up": _nothing_is_made_up,
    "I3 each claim ends once, and tokens rise": _each_claim_ends_once,
    "I4 no job runs twice at once": _none_runs_twice_at_once,
    "I5 final is final": _final_is_final,
    "I6 attempts and crashes are counted": _attempts_and_crashes_are_counted,
    "I7 the history is legal and whole": _history_is_whole,
    "I8 nothing strays": _nothing_strays,
    "I9 all is done": _all_is_done,
    "the store is sound": _the_store_is_sound,
}
