"""Runs and what they printed."""

from __future__ import annotations

RUNS_OF = """
SELECT %(id)s AS job_id, run, attempt, engine_id, worker, outcome, exit_code, signal, error, started_at, finished_at,
    duration
FROM runs WHERE job_seq = (SELECT seq FROM jobs WHERE id = %(id)s)
UNION ALL
SELECT id, runs, attempts + 1, engine_id, worker, NULL, NULL, NULL, NULL, started_at, NULL, NULL
FROM jobs WHERE id = %(id)s AND state = 'processing'
ORDER BY run
"""
"""Rows: as `rows.run` reads them, the one under way last."""

OUTPUT_OF = """
SELECT stream, "offset", data FROM output
WHERE job_seq = (SELECT seq FROM jobs WHERE id = %(id)s) AND run = %(run)s
    AND "offset" >= CASE stream WHEN 'stdout' THEN %(stdout)s ELSE %(stderr)s END
ORDER BY stream, "offset"
"""
"""Parameters: id, run, the first offset in each stream.

Pieces are read whole, so that none begins before where one ended.
"""

APPEND_OUTPUT = """
INSERT INTO output (job_seq, run, stream, "offset", data)
SELECT * FROM unnest(%(seq)s::bigint[], %(run)s::integer[], %(stream)s::text[], %(offset)s::bigint[], %(data)s::bytea[])
ON CONFLICT (job_seq, run, stream, "offset") DO NOTHING
"""
"""Parameters: as `rows.chunks` gives them. Twice is harmless. The caller has locked the jobs under their claims."""

DROP_OUTPUT = """
DELETE FROM output
WHERE job_seq = %(seq)s AND run = %(run)s AND stream = %(stream)s
    AND "offset" >= %(start)s AND "offset" + length(data) <= %(end)s
"""
"""Deletes the pieces that lie wholly inside a gap."""

TRIM_OUTPUT = """
UPDATE output SET data = substr(data, (%(end)s - "offset" + 1)::integer), "offset" = %(end)s
WHERE job_seq = %(seq)s AND run = %(run)s AND stream = %(stream)s AND "offset" >= %(start)s AND "offset" < %(end)s
"""
"""Cuts the piece that reaches out of a gap; run after DROP_OUTPUT."""
