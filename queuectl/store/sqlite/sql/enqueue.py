"""New jobs."""

from __future__ import annotations

from functools import lru_cache


@lru_cache
def insert_jobs(given: tuple[str, ...], jobs: int) -> str:
    """Give the statement that inserts so many jobs, of which only some have more than what every job has.

    Parameters: as `enqueue` gives them, with the columns `given` at the end, once for each job.
    """
    columns = ("id", "ready", "queue", "priority", "run_at", "created_at", "updated_at", "is_argv", "cwd", "command")
    marks = ", ?" * (len(columns) + len(given))
    one = f"('pending'{marks})"
    return f"INSERT INTO jobs (state, {', '.join((*columns, *given))}) VALUES {', '.join([one] * jobs)}"


COUNT_PENDING = """
INSERT INTO counts (queue, state, jobs) VALUES (?, 'pending', ?)
ON CONFLICT (queue, state) DO UPDATE SET jobs = jobs + excluded.jobs
"""
"""Parameters: queue, how many new jobs it has."""

TAG_JOB = "INSERT INTO job_tags (tag, job_seq) SELECT ?, seq FROM jobs WHERE id = ?"
"""Parameters: tag, id."""

QUEUES_OF = "SELECT jobs.id, queue FROM json_each(?) AS wanted JOIN jobs ON jobs.id = wanted.value"
"""Parameters: a JSON array of ids. Rows: id, queue of those that exist."""
