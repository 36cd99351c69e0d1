"""What is done with jobs by hand."""

from __future__ import annotations

from queuectl.store.sqlite.sql.dependencies import IF_AWAITED
from queuectl.store.sqlite.sql.jobs import CHOSEN
from queuectl.store.sqlite.sql.runs import NO_LAST_RUN

IDS = "SELECT seq, id FROM jobs WHERE {where} ORDER BY seq"
"""Parameters: those of `where`. Rows: seq, id."""

NAMED = """
SELECT seq, jobs.id, state, held FROM json_each(?) AS wanted JOIN jobs ON jobs.id = wanted.value ORDER BY seq
"""
"""Parameters: a JSON array of ids. Rows: seq, id, state, held of those that exist."""

_IF_UNBLOCKED = "iif(unmet > 0, 'blocked', 'pending')"

RETRY = f"""
UPDATE jobs SET
    state = {_IF_UNBLOCKED}, ready = unmet = 0, parked = 0, attempts = 0, crashes = 0, run_at = :now,
    updated_at = :now, finished_at = NULL, exit_code = NULL, error = NULL, {NO_LAST_RUN}
WHERE {CHOSEN}
"""

ASK_TO_CANCEL = f"UPDATE jobs SET cancelling = 1, updated_at = :now WHERE {CHOSEN} AND state = 'processing'"

CANCEL = f"""
UPDATE jobs SET
    state = 'cancelled', ready = 0, parked = 0, held = 0, finished_at = :now, updated_at = :now, error = :error,
    {NO_LAST_RUN}
WHERE {CHOSEN} AND state <> 'processing'
RETURNING {IF_AWAITED}
"""
"""Rows: one for each, the id where others wait for the job."""

HOLD = f"UPDATE jobs SET state = 'blocked', held = 1, ready = 0, parked = 0, updated_at = :now WHERE {CHOSEN}"

RELEASE = f"""
UPDATE jobs SET held = 0, state = {_IF_UNBLOCKED}, ready = unmet = 0 AND run_at <= :now, updated_at = :now
WHERE {CHOSEN}
"""

DELETE = f"DELETE FROM jobs WHERE {CHOSEN} RETURNING {IF_AWAITED}"
"""Rows: as for CANCEL."""

EDIT = f"""
UPDATE jobs SET {{assignments}}, ready = state <> 'blocked' AND {{run_at}} <= :now, parked = 0, updated_at = :now
WHERE {CHOSEN}
"""
"""Parameters: seqs, now, a value for each of `assignments`; `run_at` is the new one if there is any."""

UNTAG = f"""
DELETE FROM job_tags WHERE (tag, job_seq) IN (
    SELECT tagged.value, jobs.seq FROM jobs, json_each(jobs.tags) AS tagged WHERE jobs.{CHOSEN}
)
"""

TAG = """
INSERT OR IGNORE INTO job_tags (tag, job_seq)
SELECT tagged.value, chosen.value FROM json_each(:seqs) AS chosen, json_each(:tags) AS tagged
"""
"""Parameters: seqs, tags (JSON arrays). EDIT writes the tags into the jobs."""
