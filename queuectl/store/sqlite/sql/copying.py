"""Reading all that is in a store, and filling an empty one."""

from __future__ import annotations

from queuectl.store.sqlite.sql.jobs import JOB_COLUMNS
from queuectl.store.sqlite.sql.runs import CUT_SHORT, LAST_EXIT_CODE

JOBS_AFTER = f"""
SELECT {JOB_COLUMNS}, jobs.seq, iif(after IS NULL, '[]', (
    SELECT json_group_array(verdict) FROM (SELECT verdict FROM edges WHERE job_seq = jobs.seq ORDER BY place)
))
FROM jobs WHERE seq > ? ORDER BY seq LIMIT ?
"""
"""Parameters: a seq, limit. Rows: as `rows.job` reads them, then the seq and a JSON array of verdicts."""

RUNS_BETWEEN = f"""
SELECT
    jobs.id, run, attempt, runs.engine_id, runs.worker, runs.outcome, runs.exit_code, runs.signal, runs.error,
    runs.started_at, runs.finished_at, runs.duration_us, seq, runs.claim_token
FROM jobs JOIN runs ON runs.job_seq = jobs.seq WHERE seq BETWEEN :first AND :last
UNION ALL
SELECT
    id, runs, attempts + (outcome IN {CUT_SHORT}), engine_id, worker, outcome, {LAST_EXIT_CODE}, signal, error,
    started_at, ended_at, duration_us, seq, claim_token
FROM jobs WHERE outcome IS NOT NULL AND seq BETWEEN :first AND :last
"""
"""Parameters: first and last seq. Rows: as `rows.run` reads them, then the job's seq and the claim token."""

OUTPUT_AFTER = """
SELECT job_seq, run, stream, offset, data FROM output
WHERE (job_seq, run, stream, offset) > (?, ?, ?, ?) ORDER BY job_seq, run, stream, offset LIMIT ?
"""
"""Parameters: what the last row began with, limit."""

LAST_CLAIM = "SELECT last FROM claim_tokens"

IS_EMPTY = """
SELECT NOT (
    EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM config) OR EXISTS (SELECT 1 FROM queues)
)
"""

INSERT_JOB = """
INSERT INTO jobs (
    seq, id, state, ready, queue, priority, run_at, attempts, runs, crashes, created_at, updated_at, started_at,
    finished_at, engine_id, worker, claim_token, pid, pid_start, exit_code, error, timeout, max_retries, backoff,
    backoff_base, backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin, held,
    unmet, cancelling, unique_key, after, concurrency_key, concurrency_limit
) VALUES (
    :seq, :id, :state, :ready, :queue, :priority, :run_at, :attempts, :runs, :crashes, :created_at, :updated_at,
    :started_at, :finished_at, :engine_id, :worker, :claim_token, :pid, :pid_start, :exit_code, :error, :timeout,
    :max_retries, :backoff, :backoff_base, :backoff_max, :backoff_jitter, :retry_on, :no_retry_on, :is_argv, :tags,
    :cwd, :command, :env, :stdin, :held, :unmet, :cancelling, :unique, :after, :concurrency_key, :concurrency_limit
)
"""
"""Parameters: as `rows.stored_job` gives them."""

INSERT_EDGE = "INSERT INTO edges (job_seq, place, on_id, condition, verdict) VALUES (?, ?, ?, ?, ?)"

INSERT_RUN = """
INSERT INTO runs (
    job_seq, run, attempt, engine_id, claim_token, worker, outcome, exit_code, signal, error, started_at, finished_at,
    duration_us
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
"""Parameters: as `rows.stored_run` gives them."""

INSERT_OUTPUT = "INSERT INTO output (job_seq, run, stream, offset, data) VALUES (?, ?, ?, ?, ?)"

RAISE_LAST_CLAIM = "UPDATE claim_tokens SET last = max(last, ?)"

COUNT_ALL = "INSERT INTO counts (queue, state, jobs) SELECT queue, state, count(*) FROM jobs GROUP BY queue, state"

TAG_ALL = """
INSERT OR IGNORE INTO job_tags (tag, job_seq)
SELECT tag.value, jobs.seq FROM jobs, json_each(jobs.tags) AS tag WHERE jobs.tags <> '[]'
"""
