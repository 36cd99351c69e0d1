"""Jobs that wait: for their time, for a worker, for their key."""

from __future__ import annotations

from queuectl.store.sqlite.sql.keys import KEYED

WAITING = "ready = 0 AND parked = 0 AND (state = 'pending' OR state = 'failed')"
"""The condition of the index of what becomes ready by and by. A job that waits for its key is not among it."""

PROMOTE_DUE = f"""
UPDATE jobs SET ready = 1 WHERE seq IN (
    SELECT seq FROM jobs WHERE {WAITING} AND run_at <= :now ORDER BY run_at LIMIT 20000
)
"""
"""Parameters: now. The bound keeps the transaction short where a flood becomes due at once; the next claim goes on."""

COUNT_READY = """
SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_ready WHERE ready = 1 AND queue = ? LIMIT ?)
"""
"""Parameters: queue, limit. Left to itself, SQLite would look through all jobs of the queue."""

COUNT_DUE = f"""
SELECT count(*) FROM (
    SELECT 1 FROM jobs WHERE {WAITING} AND run_at <= ? {{and_queue}} LIMIT ?
)
"""
"""Parameters: now, those of `and_queue`, limit."""

NEXT_DUE = f"SELECT min(run_at) FROM jobs WHERE {WAITING} AND run_at > ?"
"""Parameters: now."""

NEXT_TO_COME = f"SELECT seq FROM jobs WHERE {WAITING} ORDER BY run_at LIMIT :limit"
"""Parameters: limit. Rows: seqs."""

IS_ANY_PARKED = f"SELECT EXISTS (SELECT 1 FROM jobs WHERE parked = 1 AND {KEYED} {{and_queue}})"
"""Parameters: those of `and_queue`."""

COUNT_ACTIVE = "SELECT coalesce(sum(jobs), 0) FROM counts WHERE state IN ('processing', 'failed') {and_queue}"
"""Parameters: those of `and_queue`."""
