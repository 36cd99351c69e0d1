"""What a store has seen: each change of a job's state, written down in the transaction that makes it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.sql import SQL, Identifier

from queuectl.store.place import scheme_of
from queuectl.store.postgres.address import parse_address
from tests.faults.ledgers import COMMANDS, Change, EndedRun, Evidence, StoredJob, alive_in, lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.faults.ledgers import ClientLedger

__all__ = ["collect", "keep_history"]

_ROW = """
    {0}.runs, {0}.attempts, {0}.crashes, {0}.claim_token, {0}.engine_id, {0}.error, {0}.held, {0}.cancelling,
    {0}.unique_key, {0}.concurrency_key, {0}.concurrency_limit, {0}.queue,
    coalesce((SELECT paused FROM queues WHERE name = {0}.queue), 0),
    (SELECT concurrency FROM queues WHERE name = {0}.queue)
"""
# That a job waits for one other less is no change that anyone asked for.
_SQLITE_HISTORY = f"""
CREATE TABLE history (
    place INTEGER PRIMARY KEY, job TEXT, before TEXT, after TEXT, run INTEGER, attempts INTEGER, crashes INTEGER,
    token INTEGER, engine TEXT, error TEXT, held INTEGER, cancelling INTEGER, unique_key TEXT, key TEXT,
    key_limit INTEGER, queue TEXT, paused INTEGER, concurrency INTEGER
);
CREATE TRIGGER history_made AFTER INSERT ON jobs BEGIN
    INSERT INTO history SELECT NULL, new.id, NULL, new.state, {_ROW.format("new")};
END;
CREATE TRIGGER history_moved AFTER UPDATE OF state, held, cancelling, unique_key ON jobs
WHEN old.state <> new.state OR old.cancelling <> new.cancelling OR old.unique_key IS NOT new.unique_key
    OR (old.unmet = new.unmet AND (old.held OR new.held))
BEGIN
    INSERT INTO history SELECT NULL, new.id, old.state, new.state, {_ROW.format("new")};
END;
CREATE TRIGGER history_deleted AFTER DELETE ON jobs BEGIN
    INSERT INTO history SELECT NULL, old.id, old.state, NULL, {_ROW.format("old")};
END;
"""

_NAMES = """
    job, before, after, run, attempts, crashes, token, engine, error, held, cancelling, unique_key, key, key_limit,
    queue, paused, concurrency
"""
_POSTGRES_ROW = """
    {0}.runs, {0}.attempts, {0}.crashes, {0}.claim_token, {0}.engine_id, {0}.error, {0}.held::integer,
    {0}.cancelling::integer, {0}.unique_key, {0}.concurrency_key, {0}.concurrency_limit, {0}.queue,
    coalesce((SELECT paused::integer FROM queues WHERE name = {0}.queue), 0),
    (SELECT concurrency FROM queues WHERE name = {0}.queue)
"""
_POSTGRES_HISTORY = f"""
CREATE TABLE history (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job text, before text, after text, run integer,
    attempts integer, crashes integer, token bigint, engine text, error text, held integer, cancelling integer,
    unique_key text, key text, key_limit integer, queue text, paused integer, concurrency integer
);
CREATE FUNCTION keep_history() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO history ({_NAMES}) SELECT new.id, NULL, new.state, {_POSTGRES_ROW.format("new")};
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO history ({_NAMES}) SELECT old.id, old.state, NULL, {_POSTGRES_ROW.format("old")};
    ELSE
        INSERT INTO history ({_NAMES}) SELECT new.id, old.state, new.state, {_POSTGRES_ROW.format("new")};
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER history_made AFTER INSERT OR DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION keep_history();
CREATE TRIGGER history_moved AFTER UPDATE OF state, held, cancelling, unique_key ON jobs FOR EACH ROW
WHEN (
    old.state <> new.state OR old.cancelling <> new.cancelling OR old.unique_key IS DISTINCT FROM new.unique_key
    OR (old.unmet = new.unmet AND (old.held OR new.held))
)
EXECUTE FUNCTION keep_history();
"""

_SQLITE_RUNS = """
SELECT jobs.id, run, attempt, runs.claim_token, runs.engine_id, runs.outcome, runs.exit_code, runs.error
FROM runs JOIN jobs ON seq = job_seq
UNION ALL
SELECT
    id, runs, attempts + (outcome IN ('interrupted', 'engine_died', 'cancelled')), claim_token, engine_id, outcome,
    iif(outcome = 'exited', exit_code, NULL), error
FROM jobs WHERE outcome IS NOT NULL
ORDER BY 1, 2
"""
"""The last run of a job stands in its row."""

_POSTGRES_RUNS = """
SELECT jobs.id, run, attempt, runs.claim_token, runs.engine_id, runs.outcome, runs.exit_code, runs.error
FROM runs JOIN jobs ON seq = job_seq
ORDER BY 1, 2
"""

_JOBS = "SELECT id, state, attempts, runs, coalesce(max_retries, 3), priority, after FROM jobs ORDER BY seq"
_POSTGRES_JOBS = _JOBS.replace("after", "after::text")


def keep_history(store: str) -> None:
    """Have a store without jobs write down each change of a job's state."""
    if scheme_of(store):
        with _postgres(store) as connection:
            connection.execute(_POSTGRES_HISTORY)
    else:
        with _sqlite(store) as connection:
            connection.executescript(_SQLITE_HISTORY)


def collect(store: str, folder: Path, clients: ClientLedger) -> Evidence:
    """Put together the ledgers of a store whose commands ran in `folder`, and look at what still runs there."""
    ledgers: dict[str, Any] = {
        "asked": clients.asked,
        "lines": lines_of(folder / COMMANDS),
        "alive": list(alive_in(folder)),
    }
    if scheme_of(store):
        with _postgres(store) as connection:
            return Evidence(**ledgers, **_read(connection.execute, _POSTGRES_RUNS, _POSTGRES_JOBS))
    with _sqlite(store) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        seen = _read(connection.execute, _SQLITE_RUNS)
    return Evidence(**ledgers, **seen | {"damage": found + seen["damage"]})


def _read(ask: Callable[[str], Any], runs: str, jobs: str = _JOBS) -> dict[str, Any]:
    """Read all that the tables say."""
    return {
        "changes": [Change(*row[1:]) for row in ask("SELECT * FROM history ORDER BY place")],
        "runs": [EndedRun(*row) for row in ask(runs)],
        "jobs": [StoredJob(*row) for row in ask(jobs)],
        "engines": [row[0] for row in ask("SELECT id FROM engines")],
        "damage": _miscounted(ask),
    }


def _miscounted(ask: Callable[[str], Any]) -> list[str]:
    kept = {*ask("SELECT queue, state, jobs FROM counts WHERE jobs > 0")}
    real = {*ask("SELECT queue, state, count(*) FROM jobs GROUP BY queue, state")}
    return [f"counted {queue} {state} {jobs}" for queue, state, jobs in sorted(kept ^ real)]


def _sqlite(store: str) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(store, isolation_level=None))


@contextmanager
def _postgres(store: str) -> Iterator[psycopg.Connection]:
    address = parse_address(store)
    with psycopg.connect(address.conninfo, autocommit=True) as connection:
        connection.execute(SQL("SET search_path TO {}").format(Identifier(address.schema)))
        yield connection
