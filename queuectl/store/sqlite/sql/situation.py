"""What stands around a job."""

from __future__ import annotations

from queuectl.store.sqlite.sql.keys import KEYED

PREREQUISITES = """
SELECT on_id, condition, other.state FROM edges JOIN jobs AS other ON other.id = on_id
WHERE job_seq = (SELECT seq FROM jobs WHERE id = ?) AND verdict = 'open'
ORDER BY other.state = 'dead' DESC, place LIMIT ?
"""
"""Parameters: id, limit. Rows: id, condition, state of the jobs that it waits for, dead ones first."""

COUNT_PROCESSING = "SELECT coalesce(sum(jobs), 0) FROM counts WHERE queue = ? AND state = 'processing'"

KEY_HOLDERS = f"SELECT id FROM jobs WHERE concurrency_key = ? AND state = 'processing' AND {KEYED} LIMIT ?"

COUNT_HIGHER = "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE ready = 1 AND queue = ? AND priority > ? LIMIT ?)"

COUNT_EARLIER = """
SELECT count(*) FROM (
    SELECT 1 FROM jobs WHERE ready = 1 AND queue = :queue AND priority = :priority AND run_at < :run_at
    UNION ALL
    SELECT 1 FROM jobs
    WHERE ready = 1 AND queue = :queue AND priority = :priority AND run_at = :run_at
        AND seq < (SELECT seq FROM jobs WHERE id = :id)
    LIMIT :limit
)
"""
"""Not told in one comparison of pairs, for which the index is used by halves: a whole batch may be due at once."""
