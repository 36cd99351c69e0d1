"""Claiming jobs, and who holds them."""

from __future__ import annotations

from functools import lru_cache

from queuectl.store.sqlite.sql.jobs import JOB_COLUMNS
from queuectl.store.sqlite.sql.runs import NO_LAST_RUN
from queuectl.store.sqlite.sql.waiting import WAITING

CLAIM_VIEW = f"""
SELECT
    EXISTS (SELECT 1 FROM engines WHERE id = :engine_id),
    EXISTS (
        SELECT 1 FROM json_each(:workers) AS wanted CROSS JOIN jobs
        ON state = 'processing' AND engine_id = :engine_id AND worker = wanted.value
    ),
    EXISTS (SELECT 1 FROM jobs WHERE {WAITING} AND run_at <= :now)
"""
"""Rows: whether the engine is registered, whether its workers hold jobs already, whether any job becomes ready."""

HEADS = """
SELECT
    queue, seq, priority, coalesce(paused, 0),
    concurrency IS NOT NULL OR rate IS NOT NULL
        OR coalesce((SELECT concurrency_key IS NOT NULL FROM jobs WHERE seq = head.seq), 0)
FROM jobs AS head INDEXED BY jobs_ready LEFT JOIN queues ON name = queue
WHERE ready = 1 AND queue = {queue}
ORDER BY priority DESC, run_at, seq LIMIT :limit
"""
"""The first ready jobs of THIS_QUEUE or the NEXT_QUEUE.

Parameters: queue, limit. Rows: queue, seq, priority, whether the queue is paused, whether a limit of the queue or a key
of the job bounds how many may start. They come from the index; `take` sees whether the jobs are there.
"""

THIS_QUEUE = ":queue"
NEXT_QUEUE = "(SELECT min(queue) FROM jobs WHERE ready = 1 AND queue > :queue)"
"""The first queue by name behind another that has something ready."""


@lru_cache
def take(jobs: int) -> str:
    """Give the statement by which an engine claims so many jobs that are ready.

    Parameters: seq, worker, place for each, where the places count from 1 and the tokens follow them; then engine_id,
    now, now. Rows: the jobs, in no order.
    """
    return f"""
WITH pick (seq, worker, place) AS (VALUES {", ".join(["(?, ?, ?)"] * jobs)})
UPDATE jobs SET
    state = 'processing', ready = 0, engine_id = ?, worker = pick.worker,
    claim_token = (SELECT last FROM claim_tokens) + pick.place,
    runs = runs + 1, started_at = ?, updated_at = ?, pid = NULL, pid_start = NULL, {NO_LAST_RUN}
FROM pick WHERE jobs.seq = pick.seq AND jobs.ready = 1
RETURNING {JOB_COLUMNS}
"""


_ALL_QUEUES = """
    SELECT min(queue) FROM jobs WHERE ready = 1
    UNION ALL
    SELECT (SELECT min(queue) FROM jobs WHERE ready = 1 AND queue > open.queue) FROM open WHERE open.queue IS NOT NULL
"""
"""The queues that have something ready, with one look at the index for each."""

OPEN_QUEUES = f"""
WITH RECURSIVE open (queue) AS ({_ALL_QUEUES})
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
"""Parameters: queues (a JSON array), last_queue. Row: the job that is next, in the order of a claim."""

NEXT_IN_LINE = f"""
WITH RECURSIVE open (queue) AS ({_ALL_QUEUES})
SELECT jobs.seq FROM open CROSS JOIN jobs ON jobs.seq IN (
    SELECT first.seq FROM jobs AS first
    WHERE first.ready = 1 AND first.queue = open.queue
    ORDER BY first.priority DESC, first.run_at, first.seq LIMIT :limit
)
ORDER BY priority DESC, run_at, jobs.seq LIMIT :limit
"""
"""Parameters: limit. Rows: the seqs of the first ready jobs of all queues."""

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
