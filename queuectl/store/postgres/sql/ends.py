"""How runs end."""

from __future__ import annotations

from queuectl.store.postgres.sql.engines import LOCK_ENGINES

BY_HOLDERS = "engine_id IN (SELECT id FROM registered)"
"""For FINISH: runs are ended by the engines that hold the jobs."""

BY_ANOTHER = "NOT EXISTS (SELECT FROM registered)"
"""For FINISH: a run is ended in place of an engine that was taken off."""

AFTER_ITS_HOLDER = "true"
"""For FINISH: a run is ended in place of an engine whose process has ended, be it taken off or not."""

FINISH = f"""
WITH registered AS MATERIALIZED ({LOCK_ENGINES}), ended AS (
    SELECT * FROM unnest(
        %(job_id)s::text[], %(engine_id)s::text[], %(claim_token)s::bigint[], %(outcome)s::text[],
        %(exit_code)s::integer[], %(signal)s::integer[], %(is_by_itself)s::boolean[], %(duration)s::interval[],
        %(state)s::text[], %(is_ready)s::boolean[], %(is_final)s::boolean[], %(attempts)s::integer[],
        %(crashes)s::integer[], %(run_at)s::timestamptz[], %(error)s::text[], %(cancel_error)s::text[]
    ) AS ended (
        id, engine_id, claim_token, outcome, exit_code, signal, is_by_itself, duration, state, is_ready, is_final,
        attempts, crashes, run_at, error, cancel_error
    )
), held AS (
    SELECT
        ended.*, jobs.seq, jobs.runs, jobs.worker, jobs.started_at, jobs.attempts AS attempts_before,
        jobs.cancelling AND ended.cancel_error IS NOT NULL AS is_cancelled
    FROM ended JOIN jobs USING (id, engine_id, claim_token)
    WHERE jobs.state = 'processing' AND {{condition}} ORDER BY jobs.seq FOR UPDATE OF jobs
), recorded AS (
    INSERT INTO runs (
        job_seq, run, attempt, engine_id, claim_token, worker, outcome, exit_code, signal, error, started_at,
        finished_at, duration
    )
    SELECT
        seq, runs, attempts_before + 1, engine_id, claim_token, worker, outcome, exit_code, signal,
        CASE WHEN is_cancelled THEN cancel_error ELSE error END, started_at, %(now)s, duration
    FROM held
)
UPDATE jobs SET
    state = CASE WHEN held.is_cancelled THEN 'cancelled' ELSE held.state END,
    ready = held.is_ready AND NOT held.is_cancelled, cancelling = false,
    attempts = held.attempts, crashes = held.crashes,
    run_at = CASE WHEN held.is_cancelled THEN jobs.run_at ELSE coalesce(held.run_at, jobs.run_at) END,
    finished_at = CASE WHEN held.is_final OR held.is_cancelled THEN %(now)s::timestamptz END, updated_at = %(now)s,
    error = CASE WHEN held.is_cancelled THEN held.cancel_error ELSE held.error END,
    exit_code = CASE WHEN held.is_by_itself THEN held.exit_code ELSE jobs.exit_code END,
    pid = NULL, pid_start = NULL
FROM held WHERE jobs.seq = held.seq
RETURNING
    jobs.id, jobs.engine_id, jobs.claim_token, jobs.seq, jobs.runs, jobs.state, jobs.awaited, jobs.concurrency_key
"""
"""Records the ends of runs and moves their jobs on, where they are held under their claims; others are passed over.

Where the job is to be cancelled, that is its end, unless the run gives no `cancel_error`: then it is a success.

Formatted with: BY_HOLDERS, BY_ANOTHER or AFTER_ITS_HOLDER. Parameters: as `rows.ends` gives them, and now. Rows: the
claims that were held and are over now, with their runs, the state of each job now, whether others may come after it,
and its key.
"""

IS_RECORDED = """
SELECT 1 FROM runs JOIN jobs ON runs.job_seq = jobs.seq
WHERE jobs.id = %(id)s AND runs.engine_id = %(engine_id)s AND runs.claim_token = %(token)s
    AND runs.outcome <> 'engine_died'
"""
"""Whether the holder of a claim has ended its run already: then the answer got lost, not the lease."""
