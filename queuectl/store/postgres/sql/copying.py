"""Reading all that is in a store, and filling an empty one."""

from __future__ import annotations

from queuectl.store.postgres.sql.jobs import JOB_COLUMNS

WAIT_FOR_OTHERS = "SET LOCAL idle_in_transaction_session_timeout TO 0"
"""What a transaction waits for is the other store, which may take its time."""

JOBS_AFTER = f"""
SELECT
    {JOB_COLUMNS}, jobs.seq,
    ARRAY (SELECT verdict FROM edges WHERE jobs.after IS NOT NULL AND job_seq = jobs.seq ORDER BY place) AS verdicts
FROM jobs WHERE seq > %(after)s ORDER BY seq LIMIT %(limit)s
"""
"""Parameters: after (a seq), limit. Rows: as `rows.job` reads them, with the seq and the verdicts."""

RUNS_BETWEEN = """
SELECT
    jobs.id AS job_id, run, attempt, runs.engine_id, runs.worker, runs.outcome, runs.exit_code, runs.signal, runs.error,
    runs.started_at, runs.finished_at, runs.duration, seq, runs.claim_token
FROM jobs JOIN runs ON runs.job_seq = jobs.seq WHERE seq BETWEEN %(first)s AND %(last)s
"""
"""Parameters: first and last seq. Rows: as `rows.run` reads them, with the job's seq and the claim token."""

OUTPUT_AFTER = """
SELECT job_seq, run, stream, "offset", data FROM output
WHERE (job_seq, run, stream, "offset") > (%(seq)s, %(run)s, %(stream)s, %(offset)s)
ORDER BY job_seq, run, stream, "offset" LIMIT %(limit)s
"""
"""Parameters: what the last row began with, limit."""

LAST_CLAIM = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS token FROM claim_tokens"

IS_EMPTY = """
SELECT NOT (
    EXISTS (SELECT FROM jobs) OR EXISTS (SELECT FROM config) OR EXISTS (SELECT FROM queues)
) AS is_empty
"""

COPY_JOBS = """
COPY jobs (
    seq, id, state, ready, queue, priority, run_at, attempts, runs, crashes, created_at, updated_at, started_at,
    finished_at, engine_id, worker, claim_token, pid, pid_start, exit_code, error, timeout, max_retries, backoff,
    backoff_base, backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin, held,
    unmet, cancelling, unique_key, after, concurrency_key, concurrency_limit
) FROM STDIN
"""
"""Rows: as `rows.stored_job` gives them."""

COPY_EDGES = "COPY edges (job_seq, place, on_id, condition, verdict) FROM STDIN"
"""Rows: as `rows.edges` gives them."""

COPY_RUNS = """
COPY runs (
    job_seq, run, attempt, engine_id, claim_token, worker, outcome, exit_code, signal, error, started_at, finished_at,
    duration
) FROM STDIN
"""
"""Rows: as `rows.stored_run` gives them."""

COPY_OUTPUT = 'COPY output (job_seq, run, stream, "offset", data) FROM STDIN'

RAISE_LAST_CLAIM = f"SELECT setval('claim_tokens', %(token)s) WHERE %(token)s > ({LAST_CLAIM})"

SETTLE = """
UPDATE jobs SET awaited = true WHERE id = ANY (ARRAY (SELECT on_id FROM edges WHERE verdict = 'open'));
SELECT setval(pg_get_serial_sequence('jobs', 'seq'), max(seq)) FROM jobs;
ANALYZE jobs, runs, output, edges;
"""
"""Marks those that others wait for, goes on behind the youngest job, and tells the planner what came in."""
