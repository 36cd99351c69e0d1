"""How runs end."""

from __future__ import annotations

from functools import lru_cache

BY_HOLDER = "EXISTS (SELECT 1 FROM engines WHERE id = ended.engine_id)"
"""For `finish`: a run is ended by the engine that holds the job."""

BY_ANOTHER = "NOT EXISTS (SELECT 1 FROM engines WHERE id = ended.engine_id)"
"""For `finish`: a run is ended in place of an engine that was taken off."""

AFTER_ITS_HOLDER = "TRUE"
"""For `finish`: a run is ended in place of an engine whose process has ended, be it taken off or not."""

END_COLUMNS = (
    "id", "engine_id", "token", "state", "ready", "attempts", "crashes", "run_at", "finished_at", "error", "by_itself",
    "exit_code", "outcome", "signal", "duration_us", "ended_at", "cancel_error",
)  # fmt: skip

_MARKS = {"run_at": "nullif(?, 0)", "error": "nullif(?, '')", "signal": "nullif(?, 0)", "cancel_error": "nullif(?, '')"}
"""What is NULL for most ends comes as 0 or an empty text: of all values, a None costs the driver most."""


@lru_cache
def finish(ends: int, condition: str) -> str:
    """Give the statement that ends so many runs, under BY_HOLDER, BY_ANOTHER or AFTER_ITS_HOLDER.

    Where the job is to be cancelled, that is its end, unless the run gives no `cancel_error`: then it is a success.

    Parameters: END_COLUMNS, once for each. Rows: id, engine_id, claim_token of those that were held under their claims,
    the state of each now if others wait for the job, and its key.
    """
    # A row of VALUES for each, because JSON would be written and read again for twice the cost.
    one = f"({', '.join(_MARKS.get(column, '?') for column in END_COLUMNS)})"
    is_cancelled = "jobs.cancelling = 1 AND ended.cancel_error IS NOT NULL"
    return f"""
WITH ended ({", ".join(END_COLUMNS)}) AS (VALUES {", ".join([one] * ends)})
UPDATE jobs SET
    state = iif({is_cancelled}, 'cancelled', ended.state), ready = iif({is_cancelled}, 0, ended.ready),
    attempts = ended.attempts, crashes = ended.crashes,
    run_at = iif({is_cancelled} OR ended.run_at IS NULL, jobs.run_at, ended.run_at),
    finished_at = iif({is_cancelled}, ended.ended_at, ended.finished_at), updated_at = ended.ended_at,
    error = iif({is_cancelled}, ended.cancel_error, ended.error), cancelling = 0,
    exit_code = iif(ended.by_itself, ended.exit_code, jobs.exit_code),
    pid = NULL, pid_start = NULL,
    outcome = ended.outcome, signal = ended.signal, duration_us = ended.duration_us, ended_at = ended.ended_at
FROM ended
WHERE jobs.id = ended.id AND jobs.state = 'processing' AND jobs.engine_id = ended.engine_id
    AND jobs.claim_token = ended.token AND {condition}
RETURNING
    jobs.id, jobs.engine_id, jobs.claim_token,
    iif(EXISTS (SELECT 1 FROM edges WHERE on_id = jobs.id AND verdict = 'open'), jobs.state, NULL),
    jobs.concurrency_key
"""


IS_RECORDED = """
SELECT 1 FROM jobs
WHERE id = :id AND engine_id = :engine_id AND claim_token = :token AND outcome <> 'engine_died'
UNION ALL
SELECT 1 FROM jobs JOIN runs ON runs.job_seq = jobs.seq
WHERE jobs.id = :id AND runs.engine_id = :engine_id AND runs.claim_token = :token AND runs.outcome <> 'engine_died'
"""
"""Whether the holder of a claim has ended its run already: then the answer got lost, not the lease."""
