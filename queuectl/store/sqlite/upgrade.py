"""Bringing a store up to date: wanted once in its life, and by then with time."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from queuectl.failpoints import Failpoint, reach
from queuectl.store import liveness, migrate
from queuectl.store.sqlite import rows, schema, sql

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.registration import EngineRecord, ProcessIdentity

__all__ = ["upgrade"]


def upgrade(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Apply to a store of that version the migrations that it has not had, each in one transaction.

    Raises:
        StoreOlder: it has jobs, and an engine still runs on it.
    """
    for migration in migrate.load_migrations("queuectl.store.sqlite")[version:]:
        _apply(connection, path, migration)
        reach(Failpoint.MIGRATED)


def _apply(connection: sqlite3.Connection, path: Path, migration: migrate.Migration) -> None:
    connection.execute("BEGIN EXCLUSIVE")
    try:
        # Another process may have done it while this one waited for the lock.
        if schema.version_of(connection) < migration.number:
            if migration.number > 1:
                migrate.refuse_live_engines(_live_engines(connection), str(path))
            for statement in _statements(migration.sql):
                connection.execute(statement)
                reach(Failpoint.MIGRATING)
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {migration.number}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _statements(script: str) -> list[str]:
    # Not executescript(): that commits first, and what follows would run outside of the transaction.
    statements: list[str] = []
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements


def _live_engines(connection: sqlite3.Connection) -> list[EngineRecord]:
    registered = map(rows.engine, connection.execute(sql.engines.ENGINES).fetchall())
    return [engine for engine in registered if not _has_ended(engine.process)]


def _has_ended(process: ProcessIdentity) -> bool:
    # Who uses this file does so on this machine, so that no process of another boot is left.
    return liveness.is_gone(process) or liveness.is_of_another_boot(process)
