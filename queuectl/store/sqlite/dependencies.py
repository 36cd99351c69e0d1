"""Jobs that come after others: their edges, and what is decided about them. Each function runs inside a transaction."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from queuectl.dependency import VERDICTS, DecidedEdge, dependencies, first_reasons, require_known
from queuectl.job import FINAL_STATES, JobState
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
    after = dependencies(related)
    states = _states_of(connection, {other for others in after.values() for other in others})
    require_known(after, states)
    connection.executemany(sql.dependencies.RELATE, [rows.relations(job, job_id) for job, job_id in related])
    connection.execute(sql.dependencies.INSERT_EDGES, (to_json(list(after)),))
    settle(connection, {job_id: state for job_id, state in states.items() if state in FINAL_STATES}, now)


def _states_of(connection: sqlite3.Connection, ids: set[str]) -> dict[str, JobState]:
    found = connection.execute(sql.dependencies.STATES_OF, (to_json(sorted(ids)),)).fetchall()
    return {job_id: JobState(state) for job_id, state in found}


def settle(connection: sqlite3.Connection, ended: Mapping[str, JobState | None], now: int) -> None:
    """Decide the open edges on jobs that have just become final, or are gone (None), and so down the chain."""
    while ended:
        decided = [(edge, end) for end in set(ended.values()) for edge in _decide(connection, ended, end)]
        ended = _move_on(connection, [edge.job_seq for edge, _ in decided], first_reasons(decided), now)


def _decide(
    connection: sqlite3.Connection, ended: Mapping[str, JobState | None], end: JobState | None
) -> list[DecidedEdge]:
    """Decide the open edges on those of the jobs that came to that end."""
    ids = [job_id for job_id, state in ended.items() if state == end]
    found = connection.execute(sql.dependencies.DECIDE, {"ids": to_json(ids), "verdicts": _VERDICTS[end]})
    return [DecidedEdge(*row) for row in found.fetchall()]


_VERDICTS = {end: to_json(verdicts) for end, verdicts in VERDICTS.items()}


def _move_on(
    connection: sqlite3.Connection, decided: Iterable[int], reasons: Mapping[int, str], now: int
) -> dict[str, JobState | None]:
    """Cancel the jobs that cannot run any more, and let go of those that wait for nothing. Gives those that ended."""
    cancelled = connection.execute(
        sql.dependencies.CANCEL_BLOCKED, {"reasons": json.dumps(reasons), "now": now}
    ).fetchall()
    edges = Counter(decided)
    connection.execute(sql.dependencies.MEET, {"edges": json.dumps(edges), "now": now})
    return {job_id: JobState.CANCELLED for (job_id,) in cancelled if job_id is not None}
