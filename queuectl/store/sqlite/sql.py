"""Every statement of the SQLite store, by name."""

from __future__ import annotations

_JOB_COLUMNS = """
    id, state, queue, priority, run_at, attempts, runs, crashes, created_at, updated_at, started_at, finished_at,
    engine_id, worker, claim_token, pid, pid_start, exit_code, error, timeout, max_retries, backoff, backoff_base,
    backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin
"""

JOB_COLUMNS = ", ".join(f"jobs.{column.strip()}" for column in _JOB_COLUMNS.split(","))
"""What `rows.job` reads, in its order."""

# ── Jobs ─────────────────────────────────────────────────────────────────────

INSERT_JOB = """
INSERT INTO jobs (
    id, state, ready, queue, priority, run_at, created_at, updated_at, timeout, max_retries, backoff, backoff_base,
    backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin
) VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
"""Parameters: as `rows.new_job` gives them."""

QUEUES_OF = "SELECT jobs.id, queue FROM json_each(?) AS wanted JOIN jobs ON jobs.id = wanted.value"
"""Parameters: a JSON array of ids. Rows: id, queue of those that exist."""

JOB_BY_ID = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?"

EXISTS_JOB = "SELECT 1 FROM jobs WHERE id = ?"

GENERATED_IDS_BY_PREFIX = """
SELECT id FROM jobs
WHERE id >= :prefix AND id < :prefix || '~' AND length(id) = 12 AND id NOT GLOB '*[^0-9a-hjkmnp-tv-z]*'
ORDER BY id LIMIT 6
"""
"""Parameters: prefix, of characters that sort before a tilde. Rows: up to six ids."""

SEQS = "SELECT seq FROM jobs WHERE {where} ORDER BY {order} LIMIT ?"
"""Parameters: those of `where`, limit (-1 for all). Rows: seq."""

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
    exit_code = NULL, error = NULL
WHERE seq IN (SELECT value FROM json_each(:seqs))
"""

PURGE = """
DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE {where} ORDER BY finished_at LIMIT ?)
"""
"""Parameters: those of `where`, limit (-1 for all)."""

# ── Runs and output ──────────────────────────────────────────────────────────

RUNS_OF = """
SELECT :id, run, attempt, engine_id, worker, outcome, exit_code, signal, error, started_at, finished_at, duration_us
FROM runs WHERE job_seq = (SELECT seq FROM jobs WHERE id = :id)
UNION ALL
SELECT id, runs, attempts + 1, engine_id, worker, NULL, NULL, NULL, NULL, started_at, NULL, NULL
FROM jobs WHERE id = :id AND state = 'processing'
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

HEADS = """
WITH RECURSIVE open (queue) AS (
    SELECT min(queue) FROM jobs WHERE ready = 1
    UNION ALL
    SELECT (SELECT min(queue) FROM jobs WHERE ready = 1 AND queue > open.queue) FROM open WHERE open.queue IS NOT NULL
)
SELECT jobs.queue, jobs.priority, jobs.run_at, jobs.seq
FROM open CROSS JOIN jobs ON jobs.seq IN (
    SELECT head.seq FROM jobs AS head
    WHERE head.ready = 1 AND head.queue = open.queue ORDER BY head.priority DESC, head.run_at, head.seq LIMIT ?
)
"""
"""Parameters: how many of each queue. Rows: queue, priority, run_at, seq of the first jobs of each queue that has
something ready, in no order. One look at the index a queue, however many jobs it has."""

TAKE_TOKENS = "UPDATE claim_tokens SET last = last + ? RETURNING last"
"""Parameters: how many. Rows: the last of them."""

TAKE = f"""
UPDATE jobs SET
    state = 'processing', ready = 0, engine_id = :engine_id, claim_token = pick.token, worker = pick.worker,
    runs = runs + 1, started_at = :now, updated_at = :now, pid = NULL, pid_start = NULL
FROM (
    SELECT
        json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS worker, json_extract(value, '$[2]') AS token
    FROM json_each(:picks)
) AS pick
WHERE jobs.seq = pick.seq
RETURNING {JOB_COLUMNS}
"""
"""Parameters: engine_id, now, picks (a JSON array of [seq, worker, token]). Rows: the jobs, in no order."""

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

HOLDS = """
SELECT 1 FROM jobs WHERE id = :id AND state = 'processing' AND engine_id = :engine_id AND claim_token = :token
"""

REPORT = """
UPDATE jobs SET pid = :pid, pid_start = :pid_start, updated_at = :now
WHERE id = :id AND state = 'processing' AND engine_id = :engine_id AND claim_token = :token
    AND EXISTS (SELECT 1 FROM engines WHERE id = :engine_id)
"""

# The ends of runs come as a JSON array of objects, so that two statements do for a whole group: each statement more
# costs the event loop's thread and this one a quarrel about the interpreter.
_HELD = """
    jobs.id = json_extract(ended.value, '$.id') AND jobs.state = 'processing'
    AND jobs.engine_id = json_extract(ended.value, '$.engine_id')
    AND jobs.claim_token = json_extract(ended.value, '$.token')
"""

RECORD_RUNS = f"""
INSERT INTO runs (
    job_seq, run, attempt, engine_id, claim_token, worker, outcome, exit_code, signal, error, started_at, finished_at,
    duration_us
)
SELECT
    jobs.seq, jobs.runs, jobs.attempts + 1, jobs.engine_id, jobs.claim_token, jobs.worker,
    json_extract(ended.value, '$.outcome'), json_extract(ended.value, '$.exit_code'),
    json_extract(ended.value, '$.signal'), json_extract(ended.value, '$.error'), jobs.started_at,
    json_extract(ended.value, '$.now'), json_extract(ended.value, '$.duration_us')
FROM json_each(?) AS ended CROSS JOIN jobs ON {_HELD}
"""
"""Parameters: ends, as `rows.end_of_run` gives them. Those that are not held under their claim are passed over."""

FINISH = f"""
UPDATE jobs SET
    state = json_extract(ended.value, '$.state'),
    ready = json_extract(ended.value, '$.ready'),
    attempts = json_extract(ended.value, '$.attempts'),
    crashes = json_extract(ended.value, '$.crashes'),
    run_at = coalesce(json_extract(ended.value, '$.run_at'), jobs.run_at),
    finished_at = json_extract(ended.value, '$.finished_at'),
    updated_at = json_extract(ended.value, '$.now'),
    error = json_extract(ended.value, '$.error'),
    exit_code = iif(json_extract(ended.value, '$.by_itself'), json_extract(ended.value, '$.exit_code'), jobs.exit_code),
    pid = NULL,
    pid_start = NULL
FROM json_each(?) AS ended
WHERE {_HELD}
RETURNING jobs.id, jobs.engine_id, jobs.claim_token
"""
"""Parameters: as RECORD_RUNS. Rows: the claims that were held and are over now."""

IS_RECORDED = """
SELECT 1 FROM runs JOIN jobs ON runs.job_seq = jobs.seq
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

RUN_FIGURES = """
WITH ended AS (
    SELECT duration_us, outcome NOT IN ('exited', 'interrupted', 'engine_died', 'cancelled') OR exit_code <> 0 AS failed
    FROM runs
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
