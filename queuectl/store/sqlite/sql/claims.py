"""Claiming jobs, and who holds them."""

from __future__ import annotations

from queuectl.store.sqlite.sql.jobs import JOB_COLUMNS
from queuectl.store.sqlite.sql.runs import NO_LAST_RUN
from queuectl.store.sqlite.sql.waiting import WAITING

ALL_QUEUES = """
    SELECT min(queue) FROM jobs WHERE ready = 1
    UNION ALL
    SELECT (SELECT min(queue) FROM jobs WHERE ready = 1 AND queue > open.queue) FROM open WHERE open.queue IS NOT NULL
"""
"""For TAKE: the queues that have something ready, with one look at the index for each."""

THESE_QUEUES = "SELECT DISTINCT value FROM json_each(:queues)"
"""For TAKE: the queues that an engine serves."""

_IS_LIMITED = """EXISTS (
        SELECT 1 FROM queues
        WHERE paused = 0 AND (concurrency IS NOT NULL OR rate IS NOT NULL)
            AND EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_ready WHERE ready = 1 AND queue = queues.name)
    )"""
"""Left to itself, SQLite would look through all jobs of a queue for one that is ready."""

TAKE = f"""
WITH RECURSIVE open (queue) AS ({{queues}}), head AS (
    SELECT
        jobs.queue, priority, seq, concurrency_key IS NOT NULL AS is_keyed,
        row_number() OVER (PARTITION BY jobs.queue, priority ORDER BY run_at, seq) AS round
    FROM open CROSS JOIN jobs ON jobs.seq IN (
        SELECT first.seq FROM jobs AS first
        WHERE first.ready = 1 AND first.queue = open.queue
        ORDER BY first.priority DESC, first.run_at, first.seq LIMIT json_array_length(:workers)
    )
    WHERE NOT EXISTS (SELECT 1 FROM queues WHERE name = open.queue AND paused = 1)
), pick AS (
    SELECT seq, is_keyed, row_number() OVER (ORDER BY priority DESC, round, queue <= :last_queue, queue) AS place
    FROM head ORDER BY place LIMIT json_array_length(:workers)
)
UPDATE jobs SET
    state = 'processing', ready = 0, engine_id = :engine_id,
    claim_token = (SELECT last FROM claim_tokens) + pick.place,
    worker = json_extract(:workers, '$[' || (pick.place - 1) || ']'),
    runs = runs + 1, started_at = :now, updated_at = :now, pid = NULL, pid_start = NULL,
    outcome = NULL, signal = NULL, ended_at = NULL, duration_us = NULL
FROM pick
WHERE jobs.seq = pick.seq
    AND EXISTS (SELECT 1 FROM engines WHERE id = :engine_id)
    AND NOT EXISTS (
        SELECT 1 FROM jobs
        WHERE state = 'processing' AND engine_id = :engine_id AND worker IN (SELECT value FROM json_each(:workers))
    )
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE {WAITING} AND run_at <= :now)
    AND NOT EXISTS (SELECT 1 FROM pick WHERE is_keyed)
    AND NOT {_IS_LIMITED}
RETURNING {JOB_COLUMNS}
"""
"""Takes the first jobs of the open queues: by priority, at equal priority a job of each queue in turn, beginning behind
the last one served. It takes none where the engine is not registered, where one of its workers holds a job already,
where something due is not yet ready: CLAIM_VIEW tells. Nor does it where one of the first has a key, which may be full,
and where a queue with a limit has anything ready: then they are taken one by one.

Parameters: engine_id, now, workers (a JSON array), last_queue, and queues (a JSON array) for THESE_QUEUES. Rows: the
jobs, in no order; the higher the token, the later was its turn.
"""

CLAIM_VIEW = f"""
SELECT
    EXISTS (SELECT 1 FROM engines WHERE id = :engine_id),
    EXISTS (
        SELECT 1 FROM jobs
        WHERE state = 'processing' AND engine_id = :engine_id AND worker IN (SELECT value FROM json_each(:workers))
    ),
    EXISTS (SELECT 1 FROM jobs WHERE {WAITING} AND run_at <= :now)
"""
"""Rows: whether the engine is registered, whether its workers hold jobs already, whether any job becomes ready."""

OPEN_QUEUES = f"""
WITH RECURSIVE open (queue) AS ({ALL_QUEUES})
SELECT
    open.queue, paused, concurrency, rate, tokens, refilled_at,
    coalesce((SELECT jobs FROM counts WHERE counts.queue = open.queue AND state = 'processing'), 0)
FROM open LEFT JOIN queues ON name = open.queue
WHERE open.queue IS NOT NULL AND coalesce(paused, 0) = 0
"""
"""Rows: the queues that have something ready and are not paused, with their rules and how many of their jobs run."""

NEXT_HEAD = """
SELECT seq, concurrency_key, concurrency_limit
FROM json_each(:queues) AS open JOIN jobs ON jobs.seq = (
    SELECT first.seq FROM jobs AS first WHERE first.ready = 1 AND first.queue = open.value
    ORDER BY first.priority DESC, first.run_at, first.seq LIMIT 1
)
ORDER BY priority DESC, queue <= :last_queue, queue LIMIT 1
"""
"""Parameters: queues (a JSON array), last_queue. Row: the job that is next, in the order of TAKE."""

NEXT_IN_LINE = f"""
WITH RECURSIVE open (queue) AS ({ALL_QUEUES})
SELECT jobs.seq FROM open CROSS JOIN jobs ON jobs.seq IN (
    SELECT first.seq FROM jobs AS first
    WHERE first.ready = 1 AND first.queue = open.queue
    ORDER BY first.priority DESC, first.run_at, first.seq LIMIT :limit
)
ORDER BY priority DESC, run_at, jobs.seq LIMIT :limit
"""
"""Parameters: limit. Rows: the seqs of the first ready jobs of all queues."""

TAKE_ONE = f"""
UPDATE jobs SET
    state = 'processing', ready = 0, engine_id = :engine_id, worker = :worker,
    claim_token = (SELECT last FROM claim_tokens) + 1,
    runs = runs + 1, started_at = :now, updated_at = :now, pid = NULL, pid_start = NULL, {NO_LAST_RUN}
WHERE seq = :seq
RETURNING {JOB_COLUMNS}
"""

HELD_BY_WORKERS = f"""
SELECT {JOB_COLUMNS} FROM jobs
WHERE state = 'processing' AND engine_id = :engine_id AND worker IN (SELECT value FROM json_each(:workers))
"""

HELD_BY = f"SELECT {JOB_COLUMNS} FROM jobs WHERE state = 'processing' AND engine_id = ?"

TO_CANCEL = """
SELECT id, engine_id, claim_token FROM jobs WHERE state = 'processing' AND engine_id = ? AND cancelling = 1
"""

REPORT = """
UPDATE jobs SET pid = :pid, pid_start = :pid_start, updated_at = :now
WHERE id = :id AND state = 'processing' AND engine_id = :engine_id AND claim_token = :token
    AND EXISTS (SELECT 1 FROM engines WHERE id = :engine_id)
"""
