"""Reading jobs, and deleting those that are old."""

from __future__ import annotations

_MOST_COLUMNS = """
    id, state, queue, priority, run_at, attempts, runs, crashes, created_at, updated_at, started_at, finished_at,
    engine_id, worker, claim_token, pid, pid_start, exit_code, error, timeout, max_retries, backoff, backoff_base,
    backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin,
    unique_key, after, concurrency_limit
"""

MOST_COLUMNS = ", ".join(f"jobs.{column.strip()}" for column in _MOST_COLUMNS.split(","))
"""What `rows.job` reads of a job that waits for nothing, is not to be cancelled, and has no concurrency key."""

JOB_COLUMNS = f"{MOST_COLUMNS}, jobs.held, jobs.unmet, jobs.cancelling, jobs.concurrency_key"
"""What `rows.job` reads."""

JOB_BY_ID = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = %(id)s"

IDS_BY_PREFIX = """
SELECT id FROM jobs
WHERE id >= %(prefix)s AND id < %(prefix)s || '~' AND id ~ '^[0-9a-hjkmnp-tv-z]{12}$' ORDER BY id LIMIT %(limit)s
"""
"""Parameters: prefix, of characters that sort before a tilde. Rows: id of generated ones."""

# Planned with its parameters known: what is NULL falls away, and a partial index is seen to fit.
FILTER = """
    (%(states)s::text[] IS NULL OR state = ANY (%(states)s))
    AND (%(queues)s::text[] IS NULL OR queue = ANY (%(queues)s))
    AND tags @> %(tags)s::text[] AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
"""

SEQS = f"SELECT seq FROM jobs WHERE {FILTER} ORDER BY {{order}} LIMIT %(limit)s"
"""Formatted with: an order. Parameters: those of a filter, limit (NULL for all). Rows: seq."""

JOBS_BY_SEQ = f"""
SELECT {JOB_COLUMNS} FROM unnest(%(seqs)s::bigint[]) WITH ORDINALITY AS wanted (seq, place) JOIN jobs USING (seq)
WHERE {FILTER} ORDER BY wanted.place
"""
"""Parameters: seqs, those of a filter. Rows: jobs in that order."""

_PURGEABLE = """
    SELECT seq FROM jobs
    WHERE finished_at IS NOT NULL AND state = ANY (%(states)s)
        AND (%(before)s::timestamptz IS NULL OR finished_at < %(before)s)
    ORDER BY finished_at LIMIT %(limit)s
"""

COUNT_PURGEABLE = f"SELECT count(*) AS jobs FROM ({_PURGEABLE}) AS gone"
"""Parameters: states, before (NULL for any time), limit (NULL for all)."""

# What is chosen with a limit and locked stands in an array or a CTE: after IN, the planner may run it once a row, and
# each time it would choose others.
LOCK_PURGEABLE = f"SELECT seq FROM ({_PURGEABLE} FOR UPDATE SKIP LOCKED) AS gone ORDER BY seq"
"""Parameters: as COUNT_PURGEABLE."""

DELETE = """
WITH gone AS (
    DELETE FROM jobs WHERE seq = ANY (%(seqs)s) RETURNING seq, id, awaited
), without_runs AS (
    DELETE FROM runs USING gone WHERE runs.job_seq = gone.seq
), without_output AS (
    DELETE FROM output USING gone WHERE output.job_seq = gone.seq
), without_edges AS (
    DELETE FROM edges USING gone WHERE edges.job_seq = gone.seq
)
SELECT id, awaited FROM gone
"""
"""Parameters: the seqs of jobs that are locked."""
