"""New jobs."""

from __future__ import annotations

INSERT_JOB = """
INSERT INTO jobs (id, state, ready, queue, priority, run_at, created_at, updated_at, is_argv, cwd, command{columns})
VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?{marks})
"""
"""Parameters: as `enqueue` gives them, with those columns at the end that are not left at their defaults."""

COUNT_PENDING = """
INSERT INTO counts (queue, state, jobs) VALUES (?, 'pending', ?)
ON CONFLICT (queue, state) DO UPDATE SET jobs = jobs + excluded.jobs
"""
"""Parameters: queue, how many new jobs it has."""

TAG_JOB = "INSERT INTO job_tags (tag, job_seq) SELECT ?, seq FROM jobs WHERE id = ?"
"""Parameters: tag, id."""

QUEUES_OF = "SELECT jobs.id, queue FROM json_each(?) AS wanted JOIN jobs ON jobs.id = wanted.value"
"""Parameters: a JSON array of ids. Rows: id, queue of those that exist."""
