"""Looking for damage. It runs inside a read transaction, and so sees the store at one moment."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from queuectl.errors import StoreDamaged, quote
from queuectl.store.base import Finding
from queuectl.store.sqlite import rows, sql
from queuectl.store.sqlite.connection import translate

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["file_findings", "findings"]

_PAGE = 500
"""Jobs that are read together."""


def findings(connection: sqlite3.Connection) -> list[Finding]:
    """Look for damage; see `AdminStore.check`."""
    found = file_findings(connection)
    found += _unreadable(connection)
    for rule, statement in sql.check.RULES.items():
        found += _breaches(connection, rule, statement)
    return found


def file_findings(connection: sqlite3.Connection) -> list[Finding]:
    """Give what SQLite itself finds wrong with the file."""
    found = []
    try:
        for (text,) in connection.execute(sql.check.INTEGRITY):
            found.append(text)
    except sqlite3.DatabaseError as error:
        found.append(_reason(error))
    return [Finding(rule="integrity", message=" ".join(text.split())) for text in found if text != "ok"]


def _breaches(connection: sqlite3.Connection, rule: str, statement: str) -> list[Finding]:
    try:
        found = connection.execute(sql.check.SOME.format(rule=statement)).fetchall()
    except sqlite3.DatabaseError as error:
        return [Finding(rule=rule, message=f"this could not be looked at: {_reason(error)}")]
    return [Finding(rule=rule, message=message, job_id=job_id) for job_id, message in found]


def _unreadable(connection: sqlite3.Connection) -> list[Finding]:
    """Read every job with its runs, and give those that cannot be."""
    found: list[Finding] = []
    try:
        seqs = [seq for (seq,) in connection.execute(sql.check.ALL_SEQS)]
    except sqlite3.DatabaseError as error:
        return [Finding(rule="rows", message=f"the jobs cannot be read: {_reason(error)}")]
    for start in range(0, len(seqs), _PAGE):
        found += _unreadable_of(connection, seqs[start : start + _PAGE])
        if len(found) >= sql.check.MAX_FINDINGS:
            break
    return found[: sql.check.MAX_FINDINGS]


def _unreadable_of(connection: sqlite3.Connection, seqs: list[int]) -> Iterator[Finding]:
    """Read some jobs, together; where that fails, one by one."""
    try:
        _read(connection, seqs)
    except (sqlite3.DatabaseError, StoreDamaged) as error:
        if len(seqs) == 1:
            yield Finding(rule="rows", message=f"job number {seqs[0]} cannot be read: {_reason(error)}")
            return
        for seq in seqs:
            yield from _unreadable_of(connection, [seq])


def _read(connection: sqlite3.Connection, seqs: list[int]) -> None:
    wanted = (json.dumps(seqs),)
    for row in connection.execute(sql.jobs.JOBS_BY_SEQ.format(where="1"), wanted):
        rows.job(row)
    for row in connection.execute(sql.runs.RUNS_BY_SEQ, wanted):
        rows.run(row)


def _reason(error: Exception) -> str:
    """Give the words, SQLite's or Python's, in which it tells of damage; where it tells of something else, raise it."""
    if isinstance(error, sqlite3.Error) and not isinstance(translate(error, ""), StoreDamaged):
        raise error
    return quote(str(error.__cause__ or error))
