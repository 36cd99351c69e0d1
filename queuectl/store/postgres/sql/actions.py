"""What users do to jobs by hand."""

from __future__ import annotations

from queuectl.store.postgres.sql.jobs import FILTER

LOCK_FITTING = f"SELECT seq, id FROM jobs WHERE {FILTER} AND state = ANY (%(allowed)s) ORDER BY seq FOR UPDATE"
"""Parameters: those of a filter, allowed states. Rows: seq, id. The order keeps two who lock from a deadlock."""

FITTING = f"SELECT seq, id FROM jobs WHERE {FILTER} AND state = ANY (%(allowed)s) ORDER BY seq"
"""As LOCK_FITTING, without the lock."""

LOCK_NAMED = "SELECT seq, id, state FROM jobs WHERE id = ANY (%(ids)s) ORDER BY seq FOR UPDATE"

NAMED = "SELECT seq, id, state FROM jobs WHERE id = ANY (%(ids)s) ORDER BY seq"
"""As LOCK_NAMED, without the lock."""

RETRY = """
UPDATE jobs SET
    state = 'pending', ready = true, attempts = 0, crashes = 0, run_at = %(now)s, updated_at = %(now)s,
    finished_at = NULL, exit_code = NULL, error = NULL
WHERE seq = ANY (%(seqs)s)
"""
