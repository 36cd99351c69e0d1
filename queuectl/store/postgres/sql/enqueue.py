"""New jobs."""

from __future__ import annotations

INSERT_JOBS = """
COPY jobs (
    id, state, ready, queue, priority, run_at, created_at, updated_at, timeout, max_retries, backoff, backoff_base,
    backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin
) FROM STDIN
"""
"""Rows: as `rows.new_job` gives them."""

QUEUES_OF = "SELECT id, queue FROM jobs WHERE id = ANY (%(ids)s)"
