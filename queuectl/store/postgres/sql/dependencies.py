"""Jobs that know each other."""

from __future__ import annotations

LOCK_AWAITED = "SELECT id, state FROM jobs WHERE id = ANY (%(ids)s) ORDER BY seq FOR UPDATE"
"""Rows: id, state of those that exist. None of them comes to its end before the end of the transaction."""

AWAIT = "UPDATE jobs SET awaited = true WHERE id = ANY (%(ids)s) AND NOT awaited"

INSERT_EDGES = """
INSERT INTO edges (job_seq, place, on_id, condition)
SELECT jobs.seq, edge.place, edge.value ->> 'id', edge.value ->> 'if'
FROM unnest(%(ids)s::text[]) AS new (id) JOIN jobs USING (id)
CROSS JOIN LATERAL jsonb_array_elements(jobs.after) WITH ORDINALITY AS edge (value, place)
"""
"""Parameters: the ids of new jobs."""

_VERDICT = "CASE condition WHEN 'ok' THEN %(ok)s WHEN 'any' THEN %(any)s ELSE %(notok)s END"

_ON_ENDED = f"verdict = 'open' AND on_id = ANY (%(ids)s) AND {_VERDICT} <> 'open'"

DECIDE = f"""
WITH waiting AS MATERIALIZED (
    SELECT seq FROM jobs WHERE seq = ANY (ARRAY (SELECT job_seq FROM edges WHERE {_ON_ENDED}))
    ORDER BY seq FOR UPDATE
)
UPDATE edges SET verdict = {_VERDICT}
WHERE job_seq = ANY (ARRAY (SELECT seq FROM waiting)) AND {_ON_ENDED}
RETURNING job_seq, place, on_id, condition, verdict
"""
"""Parameters: ids of jobs that are locked, and a verdict for each condition. The jobs that wait are locked then."""

CANCEL_BLOCKED = """
UPDATE jobs SET state = 'cancelled', held = false, finished_at = %(now)s, updated_at = %(now)s, error = reason.error
FROM unnest(%(seqs)s::bigint[], %(errors)s::text[]) AS reason (seq, error)
WHERE jobs.seq = reason.seq AND jobs.state = 'blocked'
RETURNING jobs.id, jobs.awaited
"""
"""Parameters: now, and a list each."""

_IS_LET_GO = "state = 'blocked' AND NOT held AND unmet = decided.edges"

MEET = f"""
UPDATE jobs SET
    unmet = unmet - decided.edges,
    state = CASE WHEN {_IS_LET_GO} THEN 'pending' ELSE state END,
    ready = {_IS_LET_GO} AND run_at <= %(now)s,
    updated_at = CASE WHEN state = 'blocked' THEN %(now)s ELSE updated_at END
FROM unnest(%(seqs)s::bigint[], %(edges)s::integer[]) AS decided (seq, edges) WHERE jobs.seq = decided.seq
"""
"""Parameters: now, and a list each: jobs, and how many of their edges were decided."""
