"""Keys that jobs share: one that only one may have, one that bounds how many run."""

from __future__ import annotations

HOLDERS = """
SELECT unique_key, id, queue FROM jobs
WHERE unique_key = ANY (%(keys)s) AND unique_key IS NOT NULL AND finished_at IS NULL
"""
"""Rows: those of these unique keys that are taken, each with the job that has it."""

CLAIMANTS = "SELECT unique_key, id FROM jobs WHERE seq = ANY (%(seqs)s) AND unique_key IS NOT NULL ORDER BY seq"
"""Rows: those of these jobs that have a unique key."""

READY_KEYS = """
SELECT concurrency_key FROM jobs WHERE seq = ANY (%(seqs)s) AND ready AND concurrency_key IS NOT NULL
"""

TRY_KEYS = """
SELECT key FROM unnest(%(keys)s::text[]) AS wanted (key)
WHERE pg_try_advisory_xact_lock(hashtextextended('queuectl ' || current_schema() || ' key ' || key, 0))
"""
"""Rows: those of these keys that nobody else is at; until the end of the transaction nobody will be.

What is read of them is read by another statement: this one sees what was there before it had them.
"""

COUNT_KEYED = """
SELECT key, (SELECT count(*) FROM jobs WHERE state = 'processing' AND concurrency_key = key) AS running
FROM unnest(%(keys)s::text[]) AS wanted (key)
"""

PARK = """
UPDATE jobs SET ready = false, parked = true WHERE seq = ANY (ARRAY (
    SELECT waiting.seq FROM unnest(%(keys)s::text[], %(running)s::integer[]) AS filled (key, running)
    CROSS JOIN LATERAL (
        SELECT seq FROM jobs
        WHERE ready AND concurrency_key = filled.key AND concurrency_limit <= filled.running
        LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) AS waiting
))
"""
"""Parks ready jobs whose keys are full. The bound keeps the transaction short; the next claim goes on."""

UNPARK = """
WITH RECURSIVE kinds (key, places, queue, concurrency_limit) AS (
    SELECT wanted.key, wanted.places, first.queue, first.concurrency_limit
    FROM unnest(%(keys)s::text[], %(places)s::integer[]) AS wanted (key, places) CROSS JOIN LATERAL (
        SELECT queue, concurrency_limit FROM jobs WHERE parked AND concurrency_key = wanted.key
        ORDER BY queue, concurrency_limit LIMIT 1
    ) AS first
    UNION ALL
    SELECT kinds.key, kinds.places, following.queue, following.concurrency_limit
    FROM kinds CROSS JOIN LATERAL (
        SELECT queue, concurrency_limit FROM jobs
        WHERE parked AND concurrency_key = kinds.key
            AND (queue, concurrency_limit) > (kinds.queue, kinds.concurrency_limit)
        ORDER BY queue, concurrency_limit LIMIT 1
    ) AS following
), best AS MATERIALIZED (
    SELECT kinds.key, kinds.queue, kinds.concurrency_limit, first.seq FROM kinds CROSS JOIN LATERAL (
        SELECT seq FROM jobs
        WHERE parked AND concurrency_key = kinds.key AND queue = kinds.queue
            AND concurrency_limit = kinds.concurrency_limit
        ORDER BY priority DESC, run_at, seq LIMIT kinds.places FOR UPDATE SKIP LOCKED
    ) AS first
), readied AS (
    UPDATE jobs SET ready = true, parked = false WHERE seq = ANY (ARRAY (SELECT seq FROM best))
)
SELECT DISTINCT key FROM kinds
WHERE (key, queue, concurrency_limit) NOT IN (SELECT key, queue, concurrency_limit FROM best)
"""
"""Readies the first of the parked jobs of each key, queue and limit: whichever of them fits, a claim will see.

Parameters: keys, and as a list beside it how many of each kind. Rows: the keys of which somebody else was changing all
the jobs of a kind, and perhaps will leave them as they are.
"""

KEEP_FREED = "INSERT INTO freed_places (concurrency_key) SELECT unnest(%(keys)s::text[])"

LOCK_FREED = "SELECT seq, concurrency_key FROM freed_places ORDER BY seq LIMIT 100 FOR UPDATE SKIP LOCKED"

DELETE_FREED = "DELETE FROM freed_places WHERE seq = ANY (%(seqs)s)"
