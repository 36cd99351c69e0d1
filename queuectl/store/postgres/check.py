"""Looking for damage. It runs inside a read transaction, and so sees the store at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from queuectl.errors import StoreDamaged, quote
from queuectl.store.base import Finding
from queuectl.store.postgres import rows, sql
from queuectl.store.postgres.sqlstate import translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.store.postgres.connection import Transaction

__all__ = ["findings"]

_PAGE = 500
"""Jobs that are read together."""


async def findings(transaction: Transaction) -> list[Finding]:
    """Look for damage; see `AdminStore.check`."""
    await transaction.execute(sql.check.SET_UP)
    found = await _unreadable(transaction)
    for rule, statement in sql.check.RULES.items():
        found += await _breaches(transaction, rule, statement)
    return found


async def _breaches(transaction: Transaction, rule: str, statement: str) -> list[Finding]:
    parameters = {"limit": sql.check.MAX_FINDINGS}
    try:
        async with transaction.connection.transaction():
            found = await transaction.rows(sql.check.SOME.format(rule=statement), parameters)
    except psycopg.Error as error:
        return [Finding(rule=rule, message=f"this could not be looked at: {_reason(error)}")]
    return [Finding(rule=rule, message=row["message"], job_id=row["job_id"]) for row in found]


async def _unreadable(transaction: Transaction) -> list[Finding]:
    """Read every job with its runs, and give those that cannot be."""
    found: list[Finding] = []
    last = 0
    while len(found) < sql.check.MAX_FINDINGS:
        page = await transaction.rows(sql.check.SEQS_AFTER, {"after": last, "limit": _PAGE})
        if not page:
            break
        last = page[-1]["seq"]
        found += await _unreadable_of(transaction, [row["seq"] for row in page])
    return found[: sql.check.MAX_FINDINGS]


async def _unreadable_of(transaction: Transaction, seqs: Sequence[int]) -> list[Finding]:
    """Read some jobs, together; where that fails, one by one."""
    try:
        async with transaction.connection.transaction():
            await _read(transaction, seqs)
    except (psycopg.Error, ValueError, LookupError, TypeError) as error:
        if len(seqs) == 1:
            return [Finding(rule="rows", message=f"job number {seqs[0]} cannot be read: {_reason(error)}")]
        return [finding for seq in seqs for finding in await _unreadable_of(transaction, [seq])]
    return []


async def _read(transaction: Transaction, seqs: Sequence[int]) -> None:
    for row in await transaction.rows(sql.check.JOBS_OF, {"seqs": seqs}):
        rows.job(row)
    for row in await transaction.rows(sql.check.RUNS_OF, {"seqs": seqs}):
        rows.run(row)


def _reason(error: Exception) -> str:
    """Give the words, PostgreSQL's or Python's, in which it tells of damage; where it is something else, raise it."""
    if isinstance(error, psycopg.Error) and not isinstance(translate(error, ""), StoreDamaged):
        raise error
    return quote(" ".join(str(error).split()))
