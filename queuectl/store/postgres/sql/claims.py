"""Claiming jobs, and who holds them."""

from __future__ import annotations

from queuectl.store.postgres.sql.engines import LOCK_ENGINES
from queuectl.store.postgres.sql.jobs import JOB_COLUMNS

CLAIM_VIEW = """
SELECT
    EXISTS (
        SELECT FROM jobs
        WHERE state = 'processing' AND engine_id = %(engine_id)s AND worker = ANY (%(workers)s::integer[])
    ) AS holds_some,
    EXISTS (SELECT FROM jobs WHERE NOT ready AND state IN ('pending', 'failed') AND run_at <= %(now)s) AS some_are_due
FROM engines WHERE id = %(engine_id)s
"""
"""Rows: one if the engine is registered: whether its workers hold jobs already, whether any job becomes ready."""

HELD_BY_WORKERS = f"""
SELECT {JOB_COLUMNS} FROM jobs
WHERE state = 'processing' AND engine_id = %(engine_id)s AND worker = ANY (%(workers)s)
"""

LOCK_HELD = f"""
SELECT {JOB_COLUMNS} FROM jobs WHERE state = 'processing' AND engine_id = %(id)s ORDER BY seq FOR UPDATE
"""

TAKE = f"""
WITH RECURSIVE registered AS MATERIALIZED (
    SELECT FROM engines WHERE id = %(engine_id)s FOR KEY SHARE
), open (queue) AS (
    (SELECT queue FROM jobs WHERE ready ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT jobs.queue FROM jobs WHERE ready AND jobs.queue > open.queue ORDER BY jobs.queue LIMIT 1)
    FROM open WHERE open.queue IS NOT NULL
), heads AS (
    SELECT
        head.seq, head.priority, open.queue, open.queue <= %(last_queue)s AS had_its_turn,
        row_number() OVER (PARTITION BY open.queue, head.priority ORDER BY head.run_at, head.seq) AS round
    FROM open CROSS JOIN LATERAL (
        SELECT seq, priority, run_at FROM jobs WHERE ready AND jobs.queue = open.queue
        ORDER BY priority DESC, run_at, seq LIMIT %(reach)s
    ) AS head
    WHERE open.queue IS NOT NULL AND (%(queues)s::text[] IS NULL OR open.queue = ANY (%(queues)s))
), chosen AS (
    SELECT jobs.seq, heads.priority, heads.round, heads.had_its_turn, heads.queue
    FROM heads JOIN jobs ON jobs.seq = heads.seq AND jobs.ready
    WHERE EXISTS (SELECT FROM registered)
        AND NOT EXISTS (
            SELECT FROM jobs
            WHERE state = 'processing' AND engine_id = %(engine_id)s AND worker = ANY (%(workers)s::integer[])
        )
        AND NOT EXISTS (
            SELECT FROM jobs WHERE NOT ready AND state IN ('pending', 'failed') AND run_at <= %(now)s::timestamptz
        )
    ORDER BY heads.priority DESC, heads.round, heads.had_its_turn, heads.queue
    LIMIT %(wanted)s FOR UPDATE OF jobs SKIP LOCKED
), picked AS (
    SELECT seq, row_number() OVER (ORDER BY priority DESC, round, had_its_turn, queue) AS place FROM chosen
)
UPDATE jobs SET
    state = 'processing', ready = false, engine_id = %(engine_id)s, claim_token = nextval('claim_tokens'),
    worker = (%(workers)s::integer[])[picked.place], runs = runs + 1, started_at = %(now)s, updated_at = %(now)s,
    pid = NULL, pid_start = NULL
FROM picked WHERE jobs.seq = picked.seq
RETURNING {JOB_COLUMNS}, picked.place
"""
"""Takes the first jobs that nobody else is about to take: by priority, at equal priority in turns of the queues. It
takes none where the engine is not registered, where one of its workers holds a job already, and where something due is
not yet ready: CLAIM_VIEW tells. Whoever takes the engine off waits for the end of the transaction.

Parameters: engine_id, workers, wanted (their number), queues (NULL for all), last_queue (the one served last), reach
(how many of each queue are looked at), now. Rows: the jobs, in no order, each with its place in it.
"""

REPORT = f"""
WITH registered AS MATERIALIZED ({LOCK_ENGINES}), reported AS (
    SELECT * FROM unnest(
        %(job_id)s::text[], %(engine_id)s::text[], %(claim_token)s::bigint[], %(pid)s::integer[], %(pid_start)s::text[]
    ) AS reported (id, engine_id, claim_token, pid, pid_start)
), held AS (
    SELECT jobs.seq, reported.* FROM reported JOIN jobs USING (id, engine_id, claim_token)
    WHERE jobs.state = 'processing' AND engine_id IN (SELECT id FROM registered) ORDER BY jobs.seq FOR UPDATE OF jobs
)
UPDATE jobs SET pid = held.pid, pid_start = held.pid_start, updated_at = %(now)s
FROM held WHERE jobs.seq = held.seq
RETURNING jobs.id, jobs.engine_id, jobs.claim_token, jobs.seq, jobs.runs
"""
"""Parameters: a list each for the claims, pid, pid_start; now. Rows: the claims that are held, with their runs."""
