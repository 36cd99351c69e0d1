"""Every statement of the SQLite store, by name."""

from __future__ import annotations

from functools import lru_cache

_JOB_COLUMNS = """
    id, state, queue, priority, run_at, attempts, runs, crashes, created_at, updated_at, started_at, finished_at,
    engine_id, worker, claim_token, pid, pid_start, exit_code, error, timeout, max_retries, backoff, backoff_base,
    backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin
"""

JOB_COLUMNS = ", ".join(f"jobs.{column.strip()}" for column in _JOB_COLUMNS.split(","))
"""What `rows.job` reads, in its order."""

# ── Jobs ─────────────────────────────────────────────────────────────────────

INSERT_JOB = """
INSERT INTO jobs (id, state, ready, queue, priority, run_at, created_at, updated_at, is_argv, cwd, command{columns})
VALUES (?1, 'pending', ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9{marks})
"""
"""Parameters: as `enqueue` gives them, with those columns at the end that are not left at their defaults."""

COUNT_PENDING = """
INSERT INTO counts (queue, state, jobs) VALUES (?, 'pending', ?)
ON CONFLICT (queue, state) DO UPDATE SET jobs = jobs + excluded.jobs
"""
"""Parameters: queue, how many new jobs it has."""

TAG_JOB = "INSERT INTO job_tags (tag, job_seq) SELECT ?, seq FROM jobs WHERE id = ?"
"""Parameters: tag, id."""

QUEUES_OF = "SELECT jobs.id, queue FROM json_each(?) AS wanted JOIN jobs ON jobs.id = wanted.value"
"""Parameters: a JSON array of ids. Rows: id, queue of those that exist."""

JOB_BY_ID = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?"

EXISTS_JOB = "SELECT 1 FROM jobs WHERE id = ?"

GENERATED_IDS_BY_PREFIX = """
SELECT id FROM jobs
WHERE id >= :prefix AND id < :prefix || '~' AND length(id) = 12 AND id NOT GLOB '*[^0-9a-hjkmnp-tv-z]*'
ORDER BY id LIMIT :limit
"""
"""Parameters: prefix, of characters that sort before a tilde; limit. Rows: id."""

SEQS = "SELECT seq FROM {source} WHERE {where} ORDER BY {order} LIMIT ?"
"""Parameters: those of `source`, those of `where`, limit (-1 for all). Rows: seq."""

TAGGED = "job_tags CROSS JOIN jobs ON job_tags.tag = ? AND jobs.seq = job_tags.job_seq"
"""A source of jobs, by a tag. Parameters: tag."""

JOBS_BY_SEQ = f"""
SELECT {JOB_COLUMNS} FROM json_each(?) AS wanted JOIN jobs ON jobs.seq = wanted.value
WHERE {{where}} ORDER BY wanted.key
"""
"""Parameters: a JSON array of seqs, those of `where`. Rows: jobs in that order."""

IDS = "SELECT seq, id FROM jobs WHERE {where} ORDER BY seq"
"""Parameters: those of `where`. Rows: seq, id."""

NAMED = """
SELECT seq, jobs.id, state FROM json_each(?) AS wanted JOIN jobs ON jobs.id = wanted.value ORDER BY seq
"""
"""Parameters: a JSON array of ids. Rows: seq, id, state of those that exist."""

RETRY = """
UPDATE jobs SET
    state = 'pending', ready = 1, attempts = 0, crashes = 0, run_at = :now, updated_at = :now, finished_at = NULL,
    exit_code = NULL, error = NULL, outcome = NULL, signal = NULL, ended_at = NULL, duration_us = NULL
WHERE seq IN (SELECT value FROM json_each(:seqs))
"""

PURGE = """
DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE {where} ORDER BY finished_at LIMIT ?)
"""
"""Parameters: those of `where`, limit (-1 for all)."""

# ── Runs and output ──────────────────────────────────────────────────────────

_CUT_SHORT = "('interrupted', 'engine_died', 'cancelled')"
"""The outcomes of runs that did not end by themselves."""

_LAST_EXIT_CODE = "iif(outcome IN ('exited', 'spawn_failed'), exit_code, NULL)"

RUNS_OF = f"""
SELECT :id, run, attempt, engine_id, worker, outcome, exit_code, signal, error, started_at, finished_at, duration_us
FROM runs WHERE job_seq = (SELECT seq FROM jobs WHERE id = :id)
UNION ALL
SELECT
    id, runs, attempts + (outcome IS NULL OR outcome IN {_CUT_SHORT}), engine_id, worker, outcome, {_LAST_EXIT_CODE},
    signal, iif(outcome IS NULL, NULL, error), started_at, ended_at, duration_us
FROM jobs WHERE id = :id AND (state = 'processing' OR outcome IS NOT NULL)
ORDER BY run
"""
"""Rows: as `rows.run` reads them, the one under way last."""

OUTPUT_OF = """
SELECT stream, offset, data FROM output
WHERE job_seq = (SELECT seq FROM jobs WHERE id = ?) AND run = ?
ORDER BY stream, offset
"""

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

# ── The life of a claim ──────────────────────────────────────────────────────

PROMOTE_DUE = """
UPDATE jobs SET ready = 1 WHERE seq IN (
    SELECT seq FROM jobs WHERE ready = 0 AND state IN ('pending', 'failed') AND run_at <= :now
    ORDER BY run_at LIMIT 20000
)
"""
"""Parameters: now. The bound keeps the transaction short where a flood becomes due at once; the next claim goes on."""

ALL_QUEUES = """
    SELECT min(queue) FROM jobs WHERE ready = 1
    UNION ALL
    SELECT (SELECT min(queue) FROM jobs WHERE ready = 1 AND queue > open.queue) FROM open WHERE open.queue IS NOT NULL
"""
"""For TAKE: the queues that have something ready, with one look at the index for each."""

THESE_QUEUES = "SELECT DISTINCT value FROM json_each(:queues)"
"""For TAKE: the queues that an engine serves."""

TAKE = f"""
WITH RECURSIVE open (queue) AS ({{queues}}), head AS (
    SELECT
        jobs.queue, priority, seq,
        row_number() OVER (PARTITION BY jobs.queue, priority ORDER BY run_at, seq) AS round
    FROM open CROSS JOIN jobs ON jobs.seq IN (
        SELECT first.seq FROM jobs AS first
        WHERE first.ready = 1 AND first.queue = open.queue
        ORDER BY first.priority DESC, first.run_at, first.seq LIMIT json_array_length(:workers)
    )
), pick AS (
    SELECT seq, row_number() OVER (ORDER BY priority DESC, round, queue <= :last_queue, queue) AS place
    FROM head ORDER BY place LIMIT json_array_length(:workers)
)
UPDATE jobs SET
    state = 'processing', ready = 0, engine_id = :engine_id,
    claim_token = (SELECT last FROM claim_tokens) + pick.place,
    worker = json_extract(:workers, '$[' || (pick.place - 1) || ']'),
    runs = runs + 1, started_at = :now, updated_at = :now, pid = NULL, pid_start = NULL,
    outcome = NULL, signal = NULL, ended_at = NULL, duration_us = NULL
FROM pick
WHERE jobs.seq = pick.seq
    AND EXISTS (SELECT 1 FROM engines WHERE id = :engine_id)
    AND NOT EXISTS (
        SELECT 1 FROM jobs
        WHERE state = 'processing' AND engine_id = :engine_id AND worker IN (SELECT value FROM json_each(:workers))
    )
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE ready = 0 AND state IN ('pending', 'failed') AND run_at <= :now)
RETURNING {JOB_COLUMNS}
"""
"""Takes the first jobs of the open queues: by priority, at equal priority a job of each queue in turn, beginning behind
the last one served. It takes none where the engine is not registered, where one of its workers holds a job already,
and where something due is not yet ready: CLAIM_VIEW tells.

Parameters: engine_id, now, workers (a JSON array), last_queue, and queues (a JSON array) for THESE_QUEUES. Rows: the
jobs, in no order; the higher the token, the later was its turn.
"""

CLAIM_VIEW = """
SELECT
    EXISTS (SELECT 1 FROM engines WHERE id = :engine_id),
    EXISTS (
        SELECT 1 FROM jobs
        WHERE state = 'processing' AND engine_id = :engine_id AND worker IN (SELECT value FROM json_each(:workers))
    ),
    EXISTS (SELECT 1 FROM jobs WHERE ready = 0 AND state IN ('pending', 'failed') AND run_at <= :now)
"""
"""Rows: whether the engine is registered, whether its workers hold jobs already, whether any job becomes ready."""

HELD_BY_WORKERS = f"""
SELECT {JOB_COLUMNS} FROM jobs
WHERE state = 'processing' AND engine_id = :engine_id AND worker IN (SELECT value FROM json_each(:workers))
"""

HELD_BY = f"SELECT {JOB_COLUMNS} FROM jobs WHERE state = 'processing' AND engine_id = ?"

REPORT = """
UPDATE jobs SET pid = :pid, pid_start = :pid_start, updated_at = :now
WHERE id = :id AND state = 'processing' AND engine_id = :engine_id AND claim_token = :token
    AND EXISTS (SELECT 1 FROM engines WHERE id = :engine_id)
"""

BY_HOLDER = "EXISTS (SELECT 1 FROM engines WHERE id = ended.engine_id)"
"""For `finish`: a run is ended by the engine that holds the job."""

BY_ANOTHER = "NOT EXISTS (SELECT 1 FROM engines WHERE id = ended.engine_id)"
"""For `finish`: a run is ended in place of an engine that is gone."""

END_COLUMNS = (
    "id", "engine_id", "token", "state", "ready", "attempts", "crashes", "run_at", "finished_at", "error", "by_itself",
    "exit_code", "outcome", "signal", "duration_us", "ended_at",
)  # fmt: skip


@lru_cache
def finish(ends: int, condition: str) -> str:
    """Give the statement that ends so many runs, under BY_HOLDER or BY_ANOTHER.

    Parameters: END_COLUMNS, once for each. Rows: id, engine_id, claim_token of those that were held under their claims.
    """
    # A row of VALUES for each, because JSON would be written and read again for twice the cost.
    one = f"({', '.join('?' * len(END_COLUMNS))})"
    return f"""
WITH ended ({", ".join(END_COLUMNS)}) AS (VALUES {", ".join([one] * ends)})
UPDATE jobs SET
    state = ended.state, ready = ended.ready, attempts = ended.attempts, crashes = ended.crashes,
    run_at = coalesce(ended.run_at, jobs.run_at), finished_at = ended.finished_at, updated_at = ended.ended_at,
    error = ended.error, exit_code = iif(ended.by_itself, ended.exit_code, jobs.exit_code),
    pid = NULL, pid_start = NULL,
    outcome = ended.outcome, signal = ended.signal, duration_us = ended.duration_us, ended_at = ended.ended_at
FROM ended
WHERE jobs.id = ended.id AND jobs.state = 'processing' AND jobs.engine_id = ended.engine_id
    AND jobs.claim_token = ended.token AND {condition}
RETURNING jobs.id, jobs.engine_id, jobs.claim_token
"""


IS_RECORDED = """
SELECT 1 FROM jobs
WHERE id = :id AND engine_id = :engine_id AND claim_token = :token AND outcome <> 'engine_died'
UNION ALL
SELECT 1 FROM jobs JOIN runs ON runs.job_seq = jobs.seq
WHERE jobs.id = :id AND runs.engine_id = :engine_id AND runs.claim_token = :token AND runs.outcome <> 'engine_died'
"""
"""Whether the holder of a claim has ended its run already: then the answer got lost, not the lease."""

# ── Engines ──────────────────────────────────────────────────────────────────

INSERT_ENGINE = """
INSERT INTO engines (
    id, host, boot_id, pid_namespace, pid, process_start, workers, lease, queues, version, started_at, beat_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
"""

IS_REGISTERED = "SELECT 1 FROM engines WHERE id = ?"

BEAT = "UPDATE engines SET beats = beats + 1, beat_at = ? WHERE id = ? RETURNING beats"

ENGINES = """
SELECT
    id, host, boot_id, pid_namespace, pid, process_start, workers, lease, queues, version, beats, started_at, beat_at,
    stopping, (SELECT count(*) FROM jobs WHERE state = 'processing' AND engine_id = engines.id)
FROM engines ORDER BY started_at, id
"""

REQUEST_STOP = "UPDATE engines SET stopping = 1 WHERE id IN (SELECT value FROM json_each(?))"

IS_STOPPING = "SELECT stopping FROM engines WHERE id = ?"

DELETE_ENGINE = "DELETE FROM engines WHERE id = ?"

FENCE = "DELETE FROM engines WHERE id = ? AND beats = ?"

ORPHANS = f"""
SELECT {JOB_COLUMNS} FROM jobs
WHERE state = 'processing' AND engine_id NOT IN (SELECT id FROM engines) ORDER BY seq
"""

# ── Looking ──────────────────────────────────────────────────────────────────

COUNT_READY = "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE ready = 1 {and_queue} LIMIT ?)"
"""Parameters: those of `and_queue`, limit."""

COUNT_DUE = """
SELECT count(*) FROM (
    SELECT 1 FROM jobs WHERE ready = 0 AND state IN ('pending', 'failed') AND run_at <= ? {and_queue} LIMIT ?
)
"""
"""Parameters: now, those of `and_queue`, limit."""

NEXT_DUE = "SELECT min(run_at) FROM jobs WHERE ready = 0 AND state IN ('pending', 'failed') AND run_at > ?"
"""Parameters: now."""

COUNT_ACTIVE = "SELECT coalesce(sum(jobs), 0) FROM counts WHERE state IN ('processing', 'failed') {and_queue}"
"""Parameters: those of `and_queue`."""

COUNTS = "SELECT queue, state, jobs FROM counts WHERE jobs > 0 ORDER BY queue"

RUN_FIGURES = f"""
WITH ran AS (
    SELECT outcome, exit_code, duration_us FROM runs
    UNION ALL
    SELECT outcome, {_LAST_EXIT_CODE}, duration_us FROM jobs WHERE outcome IS NOT NULL
), ended AS (
    SELECT duration_us, outcome NOT IN ('exited', 'interrupted', 'engine_died', 'cancelled') OR exit_code <> 0 AS failed
    FROM ran
), ranked AS (
    SELECT duration_us, row_number() OVER (ORDER BY duration_us) AS place, count(*) OVER () AS total
    FROM ended WHERE duration_us IS NOT NULL
)
SELECT
    (SELECT count(*) FROM ended), (SELECT coalesce(sum(failed), 0) FROM ended), avg(duration_us),
    min(CASE WHEN place * 100 >= total * 50 THEN duration_us END),
    min(CASE WHEN place * 100 >= total * 95 THEN duration_us END),
    min(CASE WHEN place * 100 >= total * 99 THEN duration_us END),
    max(duration_us)
FROM ranked
"""
"""Rows: runs, failed runs, mean, p50, p95, p99, longest (microseconds). Percentiles by the nearest-rank method."""

FINISHED_SINCE = "SELECT count(*) FROM jobs WHERE finished_at >= ?"

OLDEST_DUE = """
SELECT min(run_at) FROM (
    SELECT min(run_at) AS run_at FROM jobs WHERE ready = 1
    UNION ALL
    SELECT min(run_at) FROM jobs WHERE ready = 0 AND state IN ('pending', 'failed') AND run_at <= ?
)
"""

# ── Settings ─────────────────────────────────────────────────────────────────

SETTINGS = "SELECT key, value FROM config ORDER BY key"

SET_SETTING = "INSERT INTO config (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

UNSET_SETTING = "DELETE FROM config WHERE key = ?"
