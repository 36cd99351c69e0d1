"""New jobs."""

from __future__ import annotations

_COLUMNS = """
    id, state, ready, queue, priority, run_at, created_at, updated_at, timeout, max_retries, backoff, backoff_base,
    backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin
"""

INSERT_JOBS = f"COPY jobs ({_COLUMNS}) FROM STDIN"
"""Rows: as `rows.new_job` gives them."""

INSERT_RELATED = f"COPY jobs ({_COLUMNS}, unique_key, concurrency_key, concurrency_limit, after, unmet) FROM STDIN"
"""Rows: as `rows.related_job` gives them."""

QUEUES_OF = "SELECT id, queue FROM jobs WHERE id = ANY (%(ids)s)"
