"""What users do to jobs by hand. Each function runs inside a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from queuectl.job import JobState
from queuectl.store import by_hand, refusals
from queuectl.store.base import JobFilter
from queuectl.store.sqlite import keys, rows, sql
from queuectl.store.sqlite.columns import to_json
from queuectl.store.sqlite.dependencies import settle
from queuectl.store.sqlite.jobs import conditions, marks
from queuectl.transition import Action, allowed_from

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from queuectl.job_changes import JobChanges
    from queuectl.store.base import Selection

__all__ = ["apply", "edit"]


def apply(
    connection: sqlite3.Connection, action: Action, selection: Selection, now: int, *, dry_run: bool
) -> list[str]:
    """Do something to several jobs; see `JobStore.apply`."""
    chosen = _choose(connection, action, selection)
    if action is Action.RETRY:
        keys.require_free(connection, chosen)
    if not dry_run:
        # A ready job that goes leaves its place to one that is parked.
        left = keys.ready_keys(connection, chosen)
        ACTIONS[action](connection, json.dumps(list(chosen)), now)
        keys.unpark(connection, left)
    return list(chosen.values())


def _cancel(connection: sqlite3.Connection, seqs: str, now: int) -> None:
    connection.execute(sql.actions.ASK_TO_CANCEL, {"seqs": seqs, "now": now})
    ended = connection.execute(sql.actions.CANCEL, {"seqs": seqs, "now": now, "error": "cancelled"}).fetchall()
    settle(connection, {job_id: JobState.CANCELLED for (job_id,) in ended if job_id is not None}, now)


def _delete(connection: sqlite3.Connection, seqs: str, now: int) -> None:
    gone = connection.execute(sql.actions.DELETE, {"seqs": seqs}).fetchall()
    settle(connection, {job_id: None for (job_id,) in gone if job_id is not None}, now)


def _by(statement: str) -> Callable[[sqlite3.Connection, str, int], None]:
    def act(connection: sqlite3.Connection, seqs: str, now: int) -> None:
        connection.execute(statement, {"seqs": seqs, "now": now})

    return act


ACTIONS: Mapping[Action, Callable[[sqlite3.Connection, str, int], None]] = {
    Action.CANCEL: _cancel,
    Action.HOLD: _by(sql.actions.HOLD),
    Action.RELEASE: _by(sql.actions.RELEASE),
    Action.RETRY: _by(sql.actions.RETRY),
    Action.DELETE: _delete,
}


def edit(
    connection: sqlite3.Connection, selection: Selection, changes: JobChanges, now: int, *, dry_run: bool
) -> list[str]:
    """Change what jobs are like; see `JobStore.edit`."""
    chosen = _choose(connection, Action.EDIT, selection)
    if changes and not dry_run:
        left = keys.ready_keys(connection, chosen)
        _change(connection, rows.changes(changes, now) | {"seqs": json.dumps(list(chosen)), "now": now})
        keys.unpark(connection, left)
    return list(chosen.values())


def _change(connection: sqlite3.Connection, wish: rows.Parameters) -> None:
    """Change columns of jobs: those that `wish` has beside EDIT's own parameters."""
    if "tags" in wish:
        connection.execute(sql.actions.UNTAG, wish)
        connection.execute(sql.actions.TAG, wish)
    columns = [f"{name} = :{name}" for name in wish if name not in {"seqs", "now"}]
    run_at = ":run_at" if "run_at" in wish else "run_at"
    connection.execute(sql.actions.EDIT.format(assignments=", ".join(columns), run_at=run_at), wish)


def _choose(connection: sqlite3.Connection, action: Action, selection: Selection) -> dict[int, str]:
    """Give id by seq of the jobs that are meant, from the oldest."""
    if isinstance(selection, JobFilter):
        return _allowing(connection, selection, action)
    return _named(connection, selection, action)


def _allowing(connection: sqlite3.Connection, where: JobFilter, action: Action) -> dict[int, str]:
    """Give the jobs that fit a filter and allow an action."""
    condition, parameters = conditions(where)
    allowed = allowed_from(action)
    condition += f" AND state IN ({marks(allowed)})"
    if action is Action.RELEASE:
        condition += " AND held = 1"
    return dict(connection.execute(sql.actions.IDS.format(where=condition), (*parameters, *allowed)))


def _named(connection: sqlite3.Connection, ids: Sequence[str], action: Action) -> dict[int, str]:
    """Give the jobs of these ids; each of them has to be there and allow the action."""
    refusals.require_form(ids)
    found = connection.execute(sql.actions.NAMED, (to_json(list(dict.fromkeys(ids))),)).fetchall()
    by_hand.require_allowed(action, ids, [(job_id, state, bool(held)) for _, job_id, state, held in found])
    return {seq: job_id for seq, job_id, _, _ in found}
