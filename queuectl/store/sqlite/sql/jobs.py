"""Reading jobs, and deleting those that are old."""

from __future__ import annotations

from queuectl.store.sqlite.sql.dependencies import IF_AWAITED

_JOB_COLUMNS = """
    id, state, queue, priority, run_at, attempts, runs, crashes, created_at, updated_at, started_at, finished_at,
    engine_id, worker, claim_token, pid, pid_start, exit_code, error, timeout, max_retries, backoff, backoff_base,
    backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin, held, unmet,
    cancelling, unique_key, after, concurrency_key, concurrency_limit
"""

JOB_COLUMNS = ", ".join(f"jobs.{column.strip()}" for column in _JOB_COLUMNS.split(","))
"""What `rows.job` reads, in its order."""

CHOSEN = "seq IN (SELECT value FROM json_each(:seqs))"

JOB_BY_ID = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?"

EXISTS_JOB = "SELECT 1 FROM jobs WHERE id = ?"

GENERATED_IDS_BY_PREFIX = """
SELECT id FROM jobs
WHERE id >= :prefix AND id < :prefix || '~' AND length(id) = 12 AND id NOT GLOB '*[^0-9a-hjkmnp-tv-z]*'
ORDER BY id LIMIT :limit
"""
"""Parameters: prefix, of characters that sort before a tilde; limit. Rows: id."""

SEQS = "SELECT seq FROM {source} WHERE {where} ORDER BY {order} LIMIT ?"
"""Parameters: those of `source`, those of `where`, limit (-1 for all). Rows: seq."""

TAGGED = "job_tags CROSS JOIN jobs ON job_tags.tag = ? AND jobs.seq = job_tags.job_seq"
"""A source of jobs, by a tag. Parameters: tag."""

JOBS_BY_SEQ = f"""
SELECT {JOB_COLUMNS} FROM json_each(?) AS wanted JOIN jobs ON jobs.seq = wanted.value
WHERE {{where}} ORDER BY wanted.key
"""
"""Parameters: a JSON array of seqs, those of `where`. Rows: jobs in that order."""

COUNT_PURGEABLE = "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {where} LIMIT ?)"
"""Parameters: as PURGE."""

PURGE = f"""
DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE {{where}} ORDER BY finished_at LIMIT ?)
RETURNING {IF_AWAITED}
"""
"""Parameters: those of `where`, limit (-1 for all). Rows: one for each, the id where others wait for the job."""
