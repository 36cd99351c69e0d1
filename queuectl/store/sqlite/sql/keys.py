"""Keys that jobs share: those that only one live job may have, and those that bound how many run."""

from __future__ import annotations

from queuectl.store.sqlite.sql.jobs import CHOSEN

HOLDERS = """
SELECT unique_key, id, queue FROM jobs
WHERE unique_key IN (SELECT value FROM json_each(?)) AND unique_key IS NOT NULL AND finished_at IS NULL
"""
"""Parameters: a JSON array of unique keys. Rows: key, id, queue of the jobs that have them."""

CLAIMANTS = f"SELECT unique_key, id FROM jobs WHERE {CHOSEN} AND unique_key IS NOT NULL ORDER BY seq"
"""Rows: key, id of those of the chosen jobs that have one."""

KEYED = "concurrency_key IS NOT NULL AND finished_at IS NULL"
"""The condition of the index of live jobs with a key."""

READY_KEYS = f"""
SELECT concurrency_key FROM jobs WHERE {CHOSEN} AND concurrency_key IS NOT NULL AND ready = 1
"""

COUNT_KEYED = f"SELECT count(*) FROM jobs WHERE concurrency_key = ? AND state = 'processing' AND {KEYED}"

PARK = f"""
UPDATE jobs SET ready = 0, parked = 1 WHERE seq IN (
    SELECT seq FROM jobs
    WHERE concurrency_key = :key AND state IN ('pending', 'failed') AND parked = 0 AND ready = 1
        AND concurrency_limit <= :running AND {KEYED}
    LIMIT 100
)
"""
"""Parks ready jobs whose key is full. The bound keeps the transaction short; the next claim goes on."""

UNPARK = f"""
WITH RECURSIVE best (seq, queue, concurrency_limit) AS (
    SELECT * FROM (
        SELECT seq, queue, concurrency_limit FROM jobs
        WHERE concurrency_key = :key AND state = :state AND parked = 1 AND ready = 0 AND {KEYED}
        ORDER BY queue, concurrency_limit, priority DESC, run_at, seq LIMIT 1
    )
    UNION ALL
    SELECT jobs.seq, jobs.queue, jobs.concurrency_limit FROM best JOIN jobs ON jobs.seq = (
        SELECT seq FROM jobs
        WHERE concurrency_key = :key AND state = :state AND parked = 1 AND ready = 0 AND {KEYED}
            AND (queue, concurrency_limit) > (best.queue, best.concurrency_limit)
        ORDER BY queue, concurrency_limit, priority DESC, run_at, seq LIMIT 1
    )
)
UPDATE jobs SET ready = 1, parked = 0 WHERE seq IN (SELECT seq FROM best)
"""
"""Readies the first of the parked jobs in a state of each queue and limit: whichever of them fits, a claim will see.

Parameters: key, state (``pending`` or ``failed``).
"""
