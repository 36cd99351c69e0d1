"""Runs and what they printed."""

from __future__ import annotations

CUT_SHORT = "('interrupted', 'engine_died', 'cancelled')"
"""The outcomes of runs that did not end by themselves."""

LAST_EXIT_CODE = "iif(outcome IN ('exited', 'spawn_failed'), exit_code, NULL)"

NO_LAST_RUN = "outcome = NULL, signal = NULL, ended_at = NULL, duration_us = NULL"
"""Moves the last run to the history, with its error."""

RUNS_OF = f"""
SELECT :id, run, attempt, engine_id, worker, outcome, exit_code, signal, error, started_at, finished_at, duration_us
FROM runs WHERE job_seq = (SELECT seq FROM jobs WHERE id = :id)
UNION ALL
SELECT
    id, runs, attempts + (outcome IS NULL OR outcome IN {CUT_SHORT}), engine_id, worker, outcome, {LAST_EXIT_CODE},
    signal, iif(outcome IS NULL, NULL, error), started_at, ended_at, duration_us
FROM jobs WHERE id = :id AND (state = 'processing' OR outcome IS NOT NULL)
ORDER BY run
"""
"""Rows: as `rows.run` reads them, the one under way last."""

RUNS_BY_SEQ = """
SELECT
    jobs.id, run, attempt, runs.engine_id, runs.worker, runs.outcome, runs.exit_code, runs.signal, runs.error,
    runs.started_at, runs.finished_at, runs.duration_us
FROM json_each(?) AS wanted JOIN jobs ON jobs.seq = wanted.value JOIN runs ON runs.job_seq = jobs.seq
"""
"""Parameters: a JSON array of seqs. Rows: as `rows.run` reads them."""

OUTPUT_OF = """
SELECT offset, data FROM output
WHERE job_seq = (SELECT seq FROM jobs WHERE id = ?) AND run = ? AND stream = ? AND offset >= ?
ORDER BY offset
"""
"""Parameters: id, run, stream, the first offset. Pieces are read whole, so that none begins before where one ended."""

APPEND_OUTPUT = """
INSERT INTO output (job_seq, run, stream, offset, data)
SELECT seq, runs, ?, ?, ? FROM jobs WHERE id = ?
ON CONFLICT (job_seq, run, stream, offset) DO NOTHING
"""
"""Parameters: stream, offset, data, id. Twice is harmless. The caller has checked the claim."""

DROP_OUTPUT = """
DELETE FROM output
WHERE (job_seq, run) = (SELECT seq, runs FROM jobs WHERE id = :id) AND stream = :stream
    AND offset >= :start AND offset + length(data) <= :end
"""
"""Deletes the pieces that lie wholly inside a gap."""

TRIM_OUTPUT = """
UPDATE output SET data = substr(data, :end - offset + 1), offset = :end
WHERE (job_seq, run) = (SELECT seq, runs FROM jobs WHERE id = :id) AND stream = :stream
    AND offset >= :start AND offset < :end
"""
"""Cuts the piece that reaches out of a gap; run after DROP_OUTPUT."""
