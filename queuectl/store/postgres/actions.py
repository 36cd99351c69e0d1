"""What users do to jobs by hand. Each function runs inside a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.job import JobState
from queuectl.store import by_hand, refusals
from queuectl.store.postgres import keys, rows, sql
from queuectl.store.postgres.dependencies import settle_rows
from queuectl.store.postgres.jobs import fitting
from queuectl.store.selection import JobFilter
from queuectl.transition import Action, allowed_from

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from queuectl.job_changes import JobChanges
    from queuectl.store.postgres.connection import Transaction
    from queuectl.store.selection import Selection

__all__ = ["apply", "edit", "is_large"]


def is_large(selection: Selection) -> bool:
    """Tell whether more than one job may be meant: then nothing else is to be done in the same transaction."""
    return isinstance(selection, JobFilter) or len(selection) > 1


async def apply(transaction: Transaction, action: Action, selection: Selection, *, dry_run: bool) -> list[str]:
    """Do something to several jobs; see `JobStore.apply`."""
    chosen = await _choose(transaction, action, selection, dry_run=dry_run)
    seqs = list(chosen)
    if action is Action.RETRY:
        await keys.require_free(transaction, seqs)
    if not dry_run:
        # A ready job that goes leaves its place to one that is parked.
        left = await keys.ready_keys(transaction, seqs)
        await ACTIONS[action](transaction, seqs)
        await keys.free(transaction, left)
    return list(chosen.values())


async def _cancel(transaction: Transaction, seqs: Sequence[int]) -> None:
    wish = {"seqs": seqs, "now": transaction.now}
    await transaction.execute(sql.actions.ASK_TO_CANCEL, wish)
    ended = await transaction.rows(sql.actions.CANCEL, {**wish, "error": "cancelled"})
    await settle_rows(transaction, ended, JobState.CANCELLED)


async def _delete(transaction: Transaction, seqs: Sequence[int]) -> None:
    await settle_rows(transaction, await transaction.rows(sql.jobs.DELETE, {"seqs": seqs}), None)


def _by(statement: str) -> Callable[[Transaction, Sequence[int]], Awaitable[None]]:
    async def act(transaction: Transaction, seqs: Sequence[int]) -> None:
        await transaction.execute(statement, {"seqs": seqs, "now": transaction.now})

    return act


ACTIONS: Mapping[Action, Callable[[Transaction, Sequence[int]], Awaitable[None]]] = {
    Action.CANCEL: _cancel,
    Action.HOLD: _by(sql.actions.HOLD),
    Action.RELEASE: _by(sql.actions.RELEASE),
    Action.RETRY: _by(sql.actions.RETRY),
    Action.DELETE: _delete,
}


async def edit(transaction: Transaction, selection: Selection, changes: JobChanges, *, dry_run: bool) -> list[str]:
    """Change what jobs are like; see `JobStore.edit`."""
    chosen = await _choose(transaction, Action.EDIT, selection, dry_run=dry_run)
    if changes and not dry_run:
        seqs = list(chosen)
        left = await keys.ready_keys(transaction, seqs)
        columns = rows.changes(changes, transaction.now)
        assignments = ", ".join(f"{name} = %({name})s" for name in columns)
        run_at = "%(run_at)s" if "run_at" in columns else "run_at"
        statement = sql.actions.EDIT.format(assignments=assignments, run_at=run_at)
        await transaction.execute(statement, columns | {"seqs": seqs, "now": transaction.now})
        await keys.free(transaction, left)
    return list(chosen.values())


async def _choose(transaction: Transaction, action: Action, selection: Selection, *, dry_run: bool) -> dict[int, str]:
    """Give id by seq of the jobs that are meant, from the oldest; they are locked, but for a `dry_run`."""
    if is_large(selection) and not dry_run:
        await transaction.execute(sql.actions.WAIT_FOR_OTHERS)
    if isinstance(selection, JobFilter):
        return await _allowing(transaction, selection, action, dry_run=dry_run)
    return await _named(transaction, selection, action, dry_run=dry_run)


async def _allowing(transaction: Transaction, where: JobFilter, action: Action, *, dry_run: bool) -> dict[int, str]:
    """Give the jobs that fit a filter and allow an action."""
    statement = sql.actions.FITTING if dry_run else sql.actions.LOCK_FITTING
    allowed = {
        "allowed": [state.value for state in allowed_from(action)],
        "must_be_held": action is Action.RELEASE,
    }
    return {row["seq"]: row["id"] for row in await transaction.rows(statement, fitting(where) | allowed)}


async def _named(transaction: Transaction, ids: Sequence[str], action: Action, *, dry_run: bool) -> dict[int, str]:
    """Give the jobs of these ids; each of them has to be there and allow the action."""
    refusals.require_form(ids)
    statement = sql.actions.NAMED if dry_run else sql.actions.LOCK_NAMED
    found = await transaction.rows(statement, {"ids": list(ids)})
    by_hand.require_allowed(action, ids, [(row["id"], row["state"], row["held"]) for row in found])
    return {row["seq"]: row["id"] for row in found}
