"""What users do to jobs by hand."""

from __future__ import annotations

from queuectl.store.postgres.sql.jobs import FILTER

WAIT_FOR_OTHERS = "SELECT pg_advisory_xact_lock(hashtextextended('queuectl ' || current_schema() || ' by hand', 0))"
"""Until the end of the transaction nobody else does anything to several jobs by hand.

What is chosen is locked in one order, but then what comes after it is too, and so two would wait for each other: each
for what the other has chosen.
"""

_CHOSEN = "seq = ANY (%(seqs)s)"

FITTING = f"""
SELECT seq, id FROM jobs
WHERE {FILTER} AND state = ANY (%(allowed)s) AND (held OR NOT %(must_be_held)s) ORDER BY seq
"""
"""Parameters: those of a filter, allowed states, must_be_held. Rows: seq, id."""

LOCK_FITTING = f"{FITTING} FOR UPDATE"
"""As FITTING. The order keeps two who lock from a deadlock."""

NAMED = "SELECT seq, id, state, held FROM jobs WHERE id = ANY (%(ids)s) ORDER BY seq"

LOCK_NAMED = f"{NAMED} FOR UPDATE"

_IF_UNBLOCKED = "CASE WHEN unmet > 0 THEN 'blocked' ELSE 'pending' END"

RETRY = f"""
UPDATE jobs SET
    state = {_IF_UNBLOCKED}, ready = unmet = 0, parked = false, attempts = 0, crashes = 0, run_at = %(now)s,
    updated_at = %(now)s, finished_at = NULL, exit_code = NULL, error = NULL
WHERE {_CHOSEN}
"""

ASK_TO_CANCEL = f"UPDATE jobs SET cancelling = true, updated_at = %(now)s WHERE {_CHOSEN} AND state = 'processing'"

CANCEL = f"""
UPDATE jobs SET
    state = 'cancelled', ready = false, parked = false, held = false, finished_at = %(now)s, updated_at = %(now)s,
    error = %(error)s
WHERE {_CHOSEN} AND state <> 'processing'
RETURNING id, awaited
"""

HOLD = f"""
UPDATE jobs SET state = 'blocked', held = true, ready = false, parked = false, updated_at = %(now)s WHERE {_CHOSEN}
"""

RELEASE = f"""
UPDATE jobs SET
    held = false, state = {_IF_UNBLOCKED}, ready = unmet = 0 AND run_at <= %(now)s, updated_at = %(now)s
WHERE {_CHOSEN}
"""

EDIT = f"""
UPDATE jobs SET
    {{assignments}}, ready = state <> 'blocked' AND {{run_at}} <= %(now)s, parked = false, updated_at = %(now)s
WHERE {_CHOSEN}
"""
"""Parameters: seqs, now, a value for each of `assignments`; `run_at` is the new one if there is any."""
