"""Jobs that come after others: their edges, and what is decided about them. Each function runs inside a transaction."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from queuectl.dependency import VERDICTS, Verdict, refuse_cycles, why_impossible
from queuectl.errors import JobNotFound
from queuectl.job import FINAL_STATES, Condition, JobState
from queuectl.store.sqlite import rows, sql
from queuectl.store.sqlite.columns import to_json

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from queuectl.job import NewJob

__all__ = ["relate", "settle"]


def relate(connection: sqlite3.Connection, related: Sequence[tuple[NewJob, str]], now: int) -> None:
    """Give new jobs, which are inserted already under these ids, the keys and dependencies that few have.

    Raises:
        JobNotFound: one comes after a job that is not there.
        InvalidJob: some wait for each other.
    """
    after = {job_id: [other.id for other in job.after] for job, job_id in related if job.after}
    refuse_cycles(after)
    states = _states_of(connection, {other for others in after.values() for other in others})
    connection.executemany(sql.dependencies.RELATE, [rows.relations(job, job_id) for job, job_id in related])
    connection.execute(sql.dependencies.INSERT_EDGES, (to_json(list(after)),))
    settle(connection, {job_id: state for job_id, state in states.items() if state in FINAL_STATES}, now)


def _states_of(connection: sqlite3.Connection, ids: set[str]) -> dict[str, JobState]:
    found = connection.execute(sql.dependencies.STATES_OF, (to_json(sorted(ids)),)).fetchall()
    states = {job_id: JobState(state) for job_id, state in found}
    if missing := ids - states.keys():
        raise JobNotFound(
            f"after names what is no job: {', '.join(sorted(missing))}; enqueue it first, or in the batch"
        )
    return states


def settle(connection: sqlite3.Connection, ended: Mapping[str, JobState | None], now: int) -> None:
    """Decide the open edges on jobs that have just become final, or are gone (None), and so down the chain."""
    while ended:
        decided: list[rows.Row] = []
        reasons: list[tuple[int, int, str]] = []
        for end in set(ended.values()):
            ids = [job_id for job_id, state in ended.items() if state == end]
            some = connection.execute(
                sql.dependencies.DECIDE, {"ids": to_json(ids), "verdicts": _VERDICTS[end]}
            ).fetchall()
            reasons += _reasons(some, end)
            decided += some
        # Of several reasons, the first in the job's own order is the one that is given.
        first = {seq: reason for seq, _, reason in sorted(reasons, reverse=True)}
        ended = _move_on(connection, decided, first, now)


_VERDICTS = {end: to_json(verdicts) for end, verdicts in VERDICTS.items()}


def _reasons(decided: Iterable[rows.Row], end: JobState | None) -> list[tuple[int, int, str]]:
    """Give for each edge that became impossible the job, the place among its edges, and why it is cancelled."""
    return [
        (seq, place, why_impossible(on_id, Condition(condition), end))
        for seq, place, on_id, condition, verdict in decided
        if verdict == Verdict.IMPOSSIBLE
    ]


def _move_on(
    connection: sqlite3.Connection, decided: Iterable[rows.Row], reasons: Mapping[int, str], now: int
) -> dict[str, JobState | None]:
    """Cancel the jobs that cannot run any more, and let go of those that wait for nothing. Gives those that ended."""
    cancelled = connection.execute(
        sql.dependencies.CANCEL_BLOCKED, {"reasons": json.dumps(reasons), "now": now}
    ).fetchall()
    edges = Counter(seq for seq, *_ in decided)
    connection.execute(sql.dependencies.MEET, {"edges": json.dumps(edges), "now": now})
    return {job_id: JobState.CANCELLED for (job_id,) in cancelled if job_id is not None}
