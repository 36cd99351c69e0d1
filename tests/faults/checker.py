"""What must be true whatever has happened: the invariants, each a function over the joined ledgers.

The rules are written down here a second time, from what is promised and not from the code that is to keep it.
"""

from __future__ import annotations

import json
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
    (None, "blocked"),
    ("pending", "processing"),
    ("failed", "processing"),
    ("processing", "completed"),
    ("processing", "failed"),
    ("processing", "dead"),
    ("processing", "pending"),
    *((state, "cancelled") for state in ("pending", "blocked", "failed", "processing")),
    *((state, "blocked") for state in ("pending", "failed", "completed", "dead", "cancelled")),
    *((state, "pending") for state in ("blocked", "failed", "completed", "dead", "cancelled")),
    *((state, None) for state in ("pending", "blocked", "failed", "completed", "dead", "cancelled")),
}
"""Changes of state: None stands for a job that is not there."""
PRUNED = {"completed", "cancelled"}
"""States of jobs that are deleted when they are old, though nobody asks for it."""
_RETRIED_EARLY = ("failed", "pending")
ENDS: Mapping[str, set[str | None]] = {
    "ok": {"completed"},
    "notok": {"dead", "cancelled", None},
    "any": {*FINAL, None},
}
"""For each condition of a dependency, the ends of another job that meet it: None where that was deleted."""
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
    cancelling: bool
    """Whether a user wished it to be cancelled before it ended."""


def _by_job(evidence: Evidence) -> Mapping[str, Sequence[Change]]:
    changes = defaultdict(list)
    for change in evidence.changes:
        changes[change.job].append(change)
    return changes


def _executions(evidence: Evidence) -> Iterator[_Execution]:
    records = {(run.job, run.token): run for run in evidence.runs}
    for changes in _by_job(evidence).values():
        for change, following in pairwise([*_moves(changes), None]):
            if change is not None and change.after == "processing":
                record = records.get((change.job, change.token))
                wished = any(other.cancelling and other.token == change.token for other in changes)
                yield _Execution(change, following, record, wished)


def _moves(changes: Sequence[Change]) -> Sequence[Change]:
    """Give the changes of state."""
    return [change for change in changes if change.before != change.after]


def _deleted(evidence: Evidence) -> set[str]:
    return {change.job for change in evidence.changes if change.after is None}


def _count(evidence: Evidence, request: Request, *answers: Answer) -> Counter[str]:
    """Count by job what clients asked for and got one of these answers to."""
    return Counter(asked.job for asked in evidence.asked if asked.request is request and asked.answer in answers)


def _no_job_is_lost(evidence: Evidence) -> Iterator[str]:
    kept = {job.id for job in evidence.jobs} | _deleted(evidence)
    for job in _count(evidence, Request.ENQUEUE, Answer.ACKNOWLEDGED).keys() - kept:
        yield f"{job} was acknowledged and is gone"
    unwanted = _count(evidence, Request.DELETE, Answer.ACKNOWLEDGED, Answer.UNKNOWN)
    for change in evidence.changes:
        if change.after is None and change.before not in PRUNED and not unwanted[change.job]:
            yield f"{change} was deleted, and nobody asked for it"


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
    return [change for change in _moves(evidence.changes) if change.after == "processing"]


def _each_claim_ends_once(evidence: Evidence) -> Iterator[str]:
    tokens = Counter(claim.token for claim in _claims(evidence))
    yield from (f"token {token} was given out {times} times" for token, times in tokens.items() if times > 1)
    records = Counter(run.token for run in evidence.runs)
    yield from (f"token {token} has {times} recorded runs" for token, times in records.items() if times > 1)
    for changes in _by_job(evidence).values():
        given = [change for change in _moves(changes) if change.after == "processing"]
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
    for change in _moves(evidence.changes):
        if change.before in FINAL and change.after not in {"pending", "blocked", None}:
            yield f"{change} leaves a final state"
    yield from _as_asked(evidence, Request.RETRY)


def _what_was_said_was_done(evidence: Evidence) -> Iterator[str]:
    for request in (Request.CANCEL, Request.HOLD, Request.RELEASE, Request.DELETE):
        yield from _as_asked(evidence, request)
    edits = [asked for asked in evidence.asked if asked.request is Request.EDIT]
    told = _count(evidence, Request.EDIT, Answer.ACKNOWLEDGED)
    for stored in evidence.jobs:
        wanted = {edit.priority for edit in edits if edit.job == stored.id and edit.answer is not Answer.REFUSED}
        if told[stored.id] and stored.id not in _deleted(evidence) and stored.priority not in wanted:
            yield f"{stored} was given a priority of {wanted}"


def _as_asked(evidence: Evidence, request: Request) -> Iterator[str]:
    """Find what was done more often than anyone asked, or less often than clients were told."""
    done = Counter(
        change.job
        for changes in _by_job(evidence).values()
        for before, change in pairwise([None, *changes])
        if change is not None and _deed_of(before, change) is request
    )
    told = _count(evidence, request, Answer.ACKNOWLEDGED)
    asked = told + _count(evidence, request, Answer.UNKNOWN)
    for job in asked.keys() | done.keys():
        # A second wish to cancel what runs, or to delete what is old anyway, changes nothing.
        least = min(told[job], 1) if request is Request.CANCEL else told[job]
        most = done[job] if request is Request.DELETE else asked[job]
        if not least <= done[job] <= most:
            yield f"{job}: {request} was done {done[job]} times, asked {asked[job]} and acknowledged {told[job]} times"


def _deed_of(before: Change | None, change: Change) -> Request | None:
    """Say what was asked for, where a change was made by hand."""
    if change.after is None:
        return Request.DELETE
    if (change.before in FINAL and change.after != change.before) or (change.before, change.after) == _RETRIED_EARLY:
        return Request.RETRY
    if change.held:
        return Request.HOLD
    if before is not None and before.held and change.after != "cancelled":
        return Request.RELEASE
    is_wish = change.cancelling and change.before == change.after
    is_by_hand = change.after == "cancelled" and change.before != "processing" and change.error == "cancelled"
    return Request.CANCEL if is_wish or is_by_hand else None


def _attempts_and_crashes_are_counted(evidence: Evidence) -> Iterator[str]:
    limits = {job.id: job.max_retries for job in evidence.jobs}
    for change in evidence.changes:
        if change.attempts > max(limits.get(change.job, change.attempts), 1):
            yield f"{change} has more attempts than the job is given"
    for execution in _executions(evidence):
        record, ended = execution.record, execution.ended
        if record is None or ended is None:
            continue
        expected = _after(execution, record, limits.get(ended.job, 0))
        if (ended.after, ended.attempts, ended.crashes) != expected:
            yield f"{record} led to {ended} in place of {expected}"
        if record.attempt != execution.began.attempts + 1:
            yield f"{record} is not the attempt that was claimed: {execution.began}"


def _after(execution: _Execution, record: EndedRun, limit: int) -> tuple[str, int, int]:
    """Say what must become of a job: its state, attempts and crashes."""
    state, attempts, crashes = _unless_cancelled(execution.began, record, limit)
    return "cancelled" if execution.cancelling and state != "completed" else state, attempts, crashes


def _unless_cancelled(began: Change, record: EndedRun, limit: int) -> tuple[str, int, int]:
    if record.outcome in BY_ITSELF:
        attempts = began.attempts + 1
        if (record.outcome, record.exit_code) == ("exited", 0):
            return "completed", attempts, 0
        return "dead" if attempts >= limit else "failed", attempts, 0
    crashes = began.crashes + (record.outcome == "engine_died" and "its engine died" in (record.error or ""))
    died_of_it = crashes > began.crashes and crashes >= MAX_CRASHES
    return "dead" if died_of_it else "pending", began.attempts, crashes


def _history_is_whole(evidence: Evidence) -> Iterator[str]:
    for job, changes in _by_job(evidence).items():
        for before, change in pairwise([None, *_moves(changes)]):
            assert change is not None
            came_from = None if before is None else before.after
            if change.before != came_from or (change.before, change.after) not in LEGAL:
                yield f"{job} went from {came_from} by {change}"
            if change.held and change.after not in {"blocked", None}:
                yield f"{change} was held"
            was = 0 if before is None or before.after is None else before.run
            if change.run != was + (change.after == "processing"):
                yield f"{change} leaves a gap in the runs: {was} went before"
    recorded = defaultdict(list)
    for run in evidence.runs:
        recorded[run.job].append(run.run)
    for stored in evidence.jobs:
        ended = stored.runs - (stored.state == "processing")
        if recorded[stored.id] != [*range(1, ended + 1)]:
            yield f"{stored} has the runs {recorded[stored.id]} on record"


def _none_goes_before_what_it_comes_after(evidence: Evidence) -> Iterator[str]:
    retried = _count(evidence, Request.RETRY, Answer.ACKNOWLEDGED, Answer.UNKNOWN)
    # Who retries by hand overrules what was decided, and of a job that was made twice it is not known which was meant.
    made = Counter(change.job for change in evidence.changes if change.before is None)
    waiting = {
        job.id: json.loads(job.after)
        for job in evidence.jobs
        if job.after is not None and not retried[job.id] and made[job.id] == 1
    }
    seen: dict[str, set[str | None]] = defaultdict(set)
    for change in _moves(evidence.changes):
        seen[change.job].add(change.after)
        for other in waiting.get(change.job, ()) if change.after == "processing" else ():
            if seen[other["id"]].isdisjoint(ENDS[other["if"]]):
                yield f"{change} came before what it waits for: {other}"


def _limits_hold(evidence: Evidence) -> Iterator[str]:
    now: dict[str, Change] = {}
    for change in evidence.changes:
        now.pop(change.job, None)
        if change.after in {*FINAL, None}:
            continue
        now[change.job] = change
        live = now.values()
        if change.unique is not None and sum(other.unique == change.unique for other in live) > 1:
            yield f"{change} is not the only one with its key"
        if change.after != "processing" or change.before == "processing":
            continue
        running = [other for other in live if other.after == "processing"]
        if change.key is not None and sum(other.key == change.key for other in running) > change.key_limit:
            yield f"{change} was one too many for its key"
        in_queue = sum(other.queue == change.queue for other in running)
        if change.paused or (change.concurrency is not None and in_queue > change.concurrency):
            yield f"{change} was one too many for its queue"


def _nothing_strays(evidence: Evidence) -> Iterator[str]:
    # What a command has put in the background before it ended by itself is let be.
    let_be = {run.token for run in evidence.runs if run.outcome in {"exited", "signalled"}}
    let_be |= {change.token for change in evidence.changes if change.after is None}
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
    "I7 what comes after others waits for them": _none_goes_before_what_it_comes_after,
    "I8 nothing strays": _nothing_strays,
    "I9 all is done": _all_is_done,
    "I11 what was acknowledged was done": _what_was_said_was_done,
    "I12 limits hold": _limits_hold,
    "the store is sound": _the_store_is_sound,
}
