"""Jobs that come after others."""

from __future__ import annotations

from queuectl.store.sqlite.sql.runs import NO_LAST_RUN

IF_AWAITED = "iif(EXISTS (SELECT 1 FROM edges WHERE on_id = jobs.id AND verdict = 'open'), jobs.id, NULL)"
"""The id of a job that others wait for, as a column."""

STATES_OF = "SELECT jobs.id, state FROM json_each(?) AS wanted JOIN jobs ON jobs.id = wanted.value"
"""Parameters: a JSON array of ids. Rows: id, state of those that exist."""

RELATE = """
UPDATE jobs SET
    unique_key = :unique, concurrency_key = :concurrency_key, concurrency_limit = :concurrency_limit, after = :after,
    unmet = :unmet, state = iif(:unmet, 'blocked', state), ready = iif(:unmet, 0, ready)
WHERE id = :id
"""
"""Adds to a new job what few have, so that the others are inserted without it."""

INSERT_EDGES = """
INSERT INTO edges (job_seq, place, on_id, condition)
SELECT seq, edge.key, json_extract(edge.value, '$.id'), json_extract(edge.value, '$.if')
FROM json_each(?) AS wanted JOIN jobs ON jobs.id = wanted.value JOIN json_each(jobs.after) AS edge
"""
"""Parameters: a JSON array of the ids of new jobs."""

DECIDE = """
UPDATE edges SET verdict = json_extract(:verdicts, '$.' || condition)
WHERE verdict = 'open' AND on_id IN (SELECT value FROM json_each(:ids))
    AND json_extract(:verdicts, '$.' || condition) <> 'open'
RETURNING job_seq, place, on_id, condition, verdict
"""
"""Parameters: ids (a JSON array), verdicts (a JSON object of a verdict for each condition)."""

CANCEL_BLOCKED = f"""
UPDATE jobs SET
    state = 'cancelled', held = 0, finished_at = :now, updated_at = :now, error = reason.value, {NO_LAST_RUN}
FROM json_each(:reasons) AS reason
WHERE jobs.seq = CAST(reason.key AS INTEGER) AND jobs.state = 'blocked'
RETURNING {IF_AWAITED}
"""
"""Parameters: reasons (a JSON object: seq to text), now. Rows: as for CANCEL."""

MEET = """
UPDATE jobs SET
    unmet = unmet - edges.value,
    state = iif(state = 'blocked' AND held = 0 AND unmet = edges.value, 'pending', state),
    ready = state = 'blocked' AND held = 0 AND unmet = edges.value AND run_at <= :now,
    updated_at = iif(state = 'blocked', :now, updated_at)
FROM json_each(:edges) AS edges WHERE jobs.seq = CAST(edges.key AS INTEGER)
"""
"""Parameters: edges (a JSON object: seq to how many of its edges were decided), now."""
