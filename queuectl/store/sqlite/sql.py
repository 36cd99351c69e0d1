"""Every statement of the SQLite store, by name."""

from __future__ import annotations

from functools import lru_cache

_JOB_COLUMNS = """
    id, state, queue, priority, run_at, attempts, runs, crashes, created_at, updated_at, started_at, finished_at,
    engine_id, worker, claim_token, pid, pid_start, exit_code, error, timeout, max_retries, backoff, backoff_base,
    backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin, held, unmet,
    cancelling, unique_key, after, concurrency_key, concurrency_limit
"""

JOB_COLUMNS = ", ".join(f"jobs.{column.strip()}" for column in _JOB_COLUMNS.split(","))
"""What `rows.job` reads, in its order."""

_WAITING = "ready = 0 AND parked = 0 AND (state = 'pending' OR state = 'failed')"
"""The condition of the index of what becomes ready by and by. A job that waits for its key is not among it."""

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
SELECT seq, jobs.id, state, held FROM json_each(?) AS wanted JOIN jobs ON jobs.id = wanted.value ORDER BY seq
"""
"""Parameters: a JSON array of ids. Rows: seq, id, state, held of those that exist."""

_IF_AWAITED = "iif(EXISTS (SELECT 1 FROM edges WHERE on_id = jobs.id AND verdict = 'open'), jobs.id, NULL)"
"""The id of a job that others wait for, as a column."""

PURGE = f"""
DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE {{where}} ORDER BY finished_at LIMIT ?)
RETURNING {_IF_AWAITED}
"""
"""Parameters: those of `where`, limit (-1 for all). Rows: one for each, the id where others wait for the job."""

# ── What is done by hand ─────────────────────────────────────────────────────

_CHOSEN = "seq IN (SELECT value FROM json_each(:seqs))"

_NO_LAST_RUN = "outcome = NULL, signal = NULL, ended_at = NULL, duration_us = NULL"
"""Moves the last run to the history, with its error."""

_IF_UNBLOCKED = "iif(unmet > 0, 'blocked', 'pending')"

RETRY = f"""
UPDATE jobs SET
    state = {_IF_UNBLOCKED}, ready = unmet = 0, parked = 0, attempts = 0, crashes = 0, run_at = :now,
    updated_at = :now, finished_at = NULL, exit_code = NULL, error = NULL, {_NO_LAST_RUN}
WHERE {_CHOSEN}
"""

ASK_TO_CANCEL = f"UPDATE jobs SET cancelling = 1, updated_at = :now WHERE {_CHOSEN} AND state = 'processing'"

CANCEL = f"""
UPDATE jobs SET
    state = 'cancelled', ready = 0, parked = 0, held = 0, finished_at = :now, updated_at = :now, error = :error,
    {_NO_LAST_RUN}
WHERE {_CHOSEN} AND state <> 'processing'
RETURNING {_IF_AWAITED}
"""
"""Rows: one for each, the id where others wait for the job."""

HOLD = f"UPDATE jobs SET state = 'blocked', held = 1, ready = 0, parked = 0, updated_at = :now WHERE {_CHOSEN}"

RELEASE = f"""
UPDATE jobs SET held = 0, state = {_IF_UNBLOCKED}, ready = unmet = 0 AND run_at <= :now, updated_at = :now
WHERE {_CHOSEN}
"""

DELETE = f"DELETE FROM jobs WHERE {_CHOSEN} RETURNING {_IF_AWAITED}"
"""Rows: as for CANCEL."""

EDIT = f"""
UPDATE jobs SET {{assignments}}, ready = state <> 'blocked' AND {{run_at}} <= :now, parked = 0, updated_at = :now
WHERE {_CHOSEN}
"""
"""Parameters: seqs, now, a value for each of `assignments`; `run_at` is the new one if there is any."""

UNTAG = f"""
DELETE FROM job_tags WHERE (tag, job_seq) IN (
    SELECT tagged.value, jobs.seq FROM jobs, json_each(jobs.tags) AS tagged WHERE jobs.{_CHOSEN}
)
"""

TAG = """
INSERT OR IGNORE INTO job_tags (tag, job_seq)
SELECT tagged.value, chosen.value FROM json_each(:seqs) AS chosen, json_each(:tags) AS tagged
"""
"""Parameters: seqs, tags (JSON arrays). EDIT writes the tags into the jobs."""

# ── Jobs that know each other ────────────────────────────────────────────────

STATES_OF = "SELECT jobs.id, state FROM json_each(?) AS wanted JOIN jobs ON jobs.id = wanted.value"
"""Parameters: a JSON array of ids. Rows: id, state of those that exist."""

HOLDERS = """
SELECT unique_key, id, queue FROM jobs
WHERE unique_key IN (SELECT value FROM json_each(?)) AND unique_key IS NOT NULL AND finished_at IS NULL
"""
"""Parameters: a JSON array of unique keys. Rows: key, id, queue of the jobs that have them."""

CLAIMANTS = f"SELECT unique_key, id FROM jobs WHERE {_CHOSEN} AND unique_key IS NOT NULL ORDER BY seq"
"""Rows: key, id of those of the chosen jobs that have one."""

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
    state = 'cancelled', held = 0, finished_at = :now, updated_at = :now, error = reason.value, {_NO_LAST_RUN}
FROM json_each(:reasons) AS reason
WHERE jobs.seq = CAST(reason.key AS INTEGER) AND jobs.state = 'blocked'
RETURNING {_IF_AWAITED}
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

# ── Keys that bound how many run ─────────────────────────────────────────────

READY_KEYS = f"""
SELECT concurrency_key FROM jobs WHERE {_CHOSEN} AND concurrency_key IS NOT NULL AND ready = 1
"""

_KEYED = "concurrency_key IS NOT NULL AND finished_at IS NULL"
"""The condition of the index of live jobs with a key."""

COUNT_KEYED = f"SELECT count(*) FROM jobs WHERE concurrency_key = ? AND state = 'processing' AND {_KEYED}"

PARK = f"""
UPDATE jobs SET ready = 0, parked = 1 WHERE seq IN (
    SELECT seq FROM jobs
    WHERE concurrency_key = :key AND state IN ('pending', 'failed') AND parked = 0 AND ready = 1
        AND concurrency_limit <= :running AND {_KEYED}
    LIMIT 100
)
"""
"""Parks ready jobs whose key is full. The bound keeps the transaction short; the next claim goes on."""

UNPARK = f"""
WITH RECURSIVE best (seq, queue, concurrency_limit) AS (
    SELECT * FROM (
        SELECT seq, queue, concurrency_limit FROM jobs
        WHERE concurrency_key = :key AND state = :state AND parked = 1 AND ready = 0 AND {_KEYED}
        ORDER BY queue, concurrency_limit, priority DESC, run_at, seq LIMIT 1
    )
    UNION ALL
    SELECT jobs.seq, jobs.queue, jobs.concurrency_limit FROM best JOIN jobs ON jobs.seq = (
        SELECT seq FROM jobs
        WHERE concurrency_key = :key AND state = :state AND parked = 1 AND ready = 0 AND {_KEYED}
            AND (queue, concurrency_limit) > (best.queue, best.concurrency_limit)
        ORDER BY queue, concurrency_limit, priority DESC, run_at, seq LIMIT 1
    )
)
UPDATE jobs SET ready = 1, parked = 0 WHERE seq IN (SELECT seq FROM best)
"""
"""Readies the first of the parked jobs in a state of each queue and limit: whichever of them fits, a claim will see.

Parameters: key, state (``pending`` or ``failed``).
"""

# ── Queues with rules ────────────────────────────────────────────────────────

QUEUES = "SELECT name, paused, concurrency, rate FROM queues ORDER BY name"

QUEUE = "SELECT name, paused, concurrency, rate, tokens, refilled_at FROM queues WHERE name = ?"

SET_QUEUE = """
INSERT INTO queues (name, paused, concurrency, rate, tokens, refilled_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    paused = excluded.paused, concurrency = excluded.concurrency, rate = excluded.rate, tokens = excluded.tokens,
    refilled_at = excluded.refilled_at
"""

SET_TOKENS = "UPDATE queues SET tokens = ?, refilled_at = ? WHERE name = ?"

KNOWS_QUEUE = "SELECT 1 FROM counts WHERE queue = :name UNION ALL SELECT 1 FROM queues WHERE name = :name"

COUNT_PURGEABLE = "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {where} LIMIT ?)"
"""Parameters: as PURGE."""

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

# ── The life of a claim ──────────────────────────────────────────────────────

PROMOTE_DUE = f"""
UPDATE jobs SET ready = 1 WHERE seq IN (
    SELECT seq FROM jobs WHERE {_WAITING} AND run_at <= :now ORDER BY run_at LIMIT 20000
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

_IS_LIMITED = """EXISTS (
        SELECT 1 FROM queues
        WHERE paused = 0 AND (concurrency IS NOT NULL OR rate IS NOT NULL)
            AND EXISTS (SELECT 1 FROM jobs WHERE ready = 1 AND queue = queues.name)
    )"""

TAKE = f"""
WITH RECURSIVE open (queue) AS ({{queues}}), head AS (
    SELECT
        jobs.queue, priority, seq, concurrency_key IS NOT NULL AS is_keyed,
        row_number() OVER (PARTITION BY jobs.queue, priority ORDER BY run_at, seq) AS round
    FROM open CROSS JOIN jobs ON jobs.seq IN (
        SELECT first.seq FROM jobs AS first
        WHERE first.ready = 1 AND first.queue = open.queue
        ORDER BY first.priority DESC, first.run_at, first.seq LIMIT json_array_length(:workers)
    )
    WHERE NOT EXISTS (SELECT 1 FROM queues WHERE name = open.queue AND paused = 1)
), pick AS (
    SELECT seq, is_keyed, row_number() OVER (ORDER BY priority DESC, round, queue <= :last_queue, queue) AS place
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
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE {_WAITING} AND run_at <= :now)
    AND NOT EXISTS (SELECT 1 FROM pick WHERE is_keyed)
    AND NOT {_IS_LIMITED}
RETURNING {JOB_COLUMNS}
"""
"""Takes the first jobs of the open queues: by priority, at equal priority a job of each queue in turn, beginning behind
the last one served. It takes none where the engine is not registered, where one of its workers holds a job already,
where something due is not yet ready: CLAIM_VIEW tells. Nor does it where one of the first has a key, which may be full,
and where a queue with a limit has anything ready: then they are taken one by one.

Parameters: engine_id, now, workers (a JSON array), last_queue, and queues (a JSON array) for THESE_QUEUES. Rows: the
jobs, in no order; the higher the token, the later was its turn.
"""

CLAIM_VIEW = f"""
SELECT
    EXISTS (SELECT 1 FROM engines WHERE id = :engine_id),
    EXISTS (
        SELECT 1 FROM jobs
        WHERE state = 'processing' AND engine_id = :engine_id AND worker IN (SELECT value FROM json_each(:workers))
    ),
    EXISTS (SELECT 1 FROM jobs WHERE {_WAITING} AND run_at <= :now)
"""
"""Rows: whether the engine is registered, whether its workers hold jobs already, whether any job becomes ready."""

OPEN_QUEUES = f"""
WITH RECURSIVE open (queue) AS ({ALL_QUEUES})
SELECT
    open.queue, concurrency, rate, tokens, refilled_at,
    coalesce((SELECT jobs FROM counts WHERE counts.queue = open.queue AND state = 'processing'), 0)
FROM open LEFT JOIN queues ON name = open.queue
WHERE open.queue IS NOT NULL AND coalesce(paused, 0) = 0
"""
"""Rows: the queues that have something ready and are not paused, with their rules and how many of their jobs run."""

NEXT_HEAD = """
SELECT seq, concurrency_key, concurrency_limit
FROM json_each(:queues) AS open JOIN jobs ON jobs.seq = (
    SELECT first.seq FROM jobs AS first WHERE first.ready = 1 AND first.queue = open.value
    ORDER BY first.priority DESC, first.run_at, first.seq LIMIT 1
)
ORDER BY priority DESC, queue <= :last_queue, queue LIMIT 1
"""
"""Parameters: queues (a JSON array), last_queue. Row: the job that is next, in the order of TAKE."""

TAKE_ONE = f"""
UPDATE jobs SET
    state = 'processing', ready = 0, engine_id = :engine_id, worker = :worker,
    claim_token = (SELECT last FROM claim_tokens) + 1,
    runs = runs + 1, started_at = :now, updated_at = :now, pid = NULL, pid_start = NULL, {_NO_LAST_RUN}
WHERE seq = :seq
RETURNING {JOB_COLUMNS}
"""

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
    "exit_code", "outcome", "signal", "duration_us", "ended_at", "cancel_error",
)  # fmt: skip


@lru_cache
def finish(ends: int, condition: str) -> str:
    """Give the statement that ends so many runs, under BY_HOLDER or BY_ANOTHER.

    Where the job is to be cancelled, that is its end, unless the run gives no `cancel_error`: then it is a success.

    Parameters: END_COLUMNS, once for each. Rows: id, engine_id, claim_token of those that were held under their claims,
    the state of each now if others wait for the job, and its key.
    """
    # A row of VALUES for each, because JSON would be written and read again for twice the cost.
    one = f"({', '.join('?' * len(END_COLUMNS))})"
    is_cancelled = "jobs.cancelling = 1 AND ended.cancel_error IS NOT NULL"
    return f"""
WITH ended ({", ".join(END_COLUMNS)}) AS (VALUES {", ".join([one] * ends)})
UPDATE jobs SET
    state = iif({is_cancelled}, 'cancelled', ended.state), ready = iif({is_cancelled}, 0, ended.ready),
    attempts = ended.attempts, crashes = ended.crashes, run_at = coalesce(ended.run_at, jobs.run_at),
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

COUNT_READY = "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE ready = 1 AND queue = ? LIMIT ?)"
"""Parameters: queue, limit."""

COUNT_DUE = f"""
SELECT count(*) FROM (
    SELECT 1 FROM jobs WHERE {_WAITING} AND run_at <= ? {{and_queue}} LIMIT ?
)
"""
"""Parameters: now, those of `and_queue`, limit."""

NEXT_DUE = f"SELECT min(run_at) FROM jobs WHERE {_WAITING} AND run_at > ?"
"""Parameters: now."""

TO_CANCEL = """
SELECT id, engine_id, claim_token FROM jobs WHERE state = 'processing' AND engine_id = ? AND cancelling = 1
"""

NOT_PAUSED = "AND queue NOT IN (SELECT name FROM queues WHERE paused = 1)"
"""For `and_queue`."""

IS_ANY_PARKED = f"SELECT EXISTS (SELECT 1 FROM jobs WHERE parked = 1 AND {_KEYED} {{and_queue}})"
"""Parameters: those of `and_queue`."""

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

OLDEST_DUE = f"""
SELECT min(run_at) FROM (
    SELECT min(run_at) AS run_at FROM jobs WHERE ready = 1
    UNION ALL
    SELECT min(run_at) FROM jobs WHERE parked = 1 AND {_KEYED}
    UNION ALL
    SELECT min(run_at) FROM jobs WHERE {_WAITING} AND run_at <= ?
)
"""

# ── Settings ─────────────────────────────────────────────────────────────────

SETTINGS = "SELECT key, value FROM config ORDER BY key"

SET_SETTING = "INSERT INTO config (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

UNSET_SETTING = "DELETE FROM config WHERE key = ?"

# ── Checking ─────────────────────────────────────────────────────────────────

MAX_FINDINGS = 100
"""How many breaches of one rule are told."""

INTEGRITY = f"PRAGMA integrity_check({MAX_FINDINGS})"
"""Rows: what SQLite finds wrong with its file, its indexes and the constraints of its tables; ``ok`` for nothing."""

ALL_SEQS = "SELECT seq FROM jobs ORDER BY seq"

RUNS_BY_SEQ = """
SELECT
    jobs.id, run, attempt, runs.engine_id, runs.worker, runs.outcome, runs.exit_code, runs.signal, runs.error,
    runs.started_at, runs.finished_at, runs.duration_us
FROM json_each(?) AS wanted JOIN jobs ON jobs.seq = wanted.value JOIN runs ON runs.job_seq = jobs.seq
"""
"""Parameters: a JSON array of seqs. Rows: as `rows.run` reads them."""

_RUNS_THAT_ENDED_EARLIER = "(runs - (state = 'processing' OR outcome IS NOT NULL))"
"""Of a job: how many of its runs stand in `runs`; the last one may stand in the job itself."""

RULES = {
    "counts": """
        SELECT NULL, printf('queue %s is said to have %d %s jobs: it has %d', queue, sum(said), state, sum(found))
        FROM (
            SELECT queue, state, jobs AS said, 0 AS found FROM counts
            UNION ALL
            SELECT queue, state, 0, count(*) FROM jobs GROUP BY queue, state
        )
        GROUP BY queue, state HAVING sum(said) <> sum(found)
    """,
    "state": """
        SELECT id, printf('job %s is %s, which does not fit what stands beside it: ', id, state) || CASE
            WHEN ready = 1 AND state NOT IN ('pending', 'failed') THEN 'it is ready to be claimed'
            WHEN finished_at IS NOT NULL AND state NOT IN ('completed', 'dead', 'cancelled') THEN 'it has finished'
            WHEN finished_at IS NULL AND state IN ('completed', 'dead', 'cancelled') THEN 'it has not finished'
            WHEN state = 'processing' AND (engine_id IS NULL OR worker IS NULL) THEN 'nobody holds it'
            WHEN state = 'processing' AND (started_at IS NULL OR runs = 0) THEN 'it has not begun'
            WHEN state = 'processing' AND outcome IS NOT NULL THEN 'its run has ended'
            WHEN (outcome IS NULL) <> (ended_at IS NULL) THEN 'half of the end of its last run is missing'
        END AS message
        FROM jobs WHERE message IS NOT NULL
    """,
    "runs": f"""
        SELECT id, printf(
            'job %s has had %d runs: of the %d earlier ones %d are kept, the last as number %d',
            id, runs, {_RUNS_THAT_ENDED_EARLIER}, kept, last
        )
        FROM (
            SELECT
                jobs.id, jobs.runs, jobs.state, jobs.outcome,
                count(runs.run) AS kept, coalesce(max(runs.run), 0) AS last
            FROM jobs LEFT JOIN runs ON runs.job_seq = jobs.seq GROUP BY jobs.seq
        )
        WHERE kept <> {_RUNS_THAT_ENDED_EARLIER} OR last <> kept
    """,
    "tokens": """
        WITH given (token) AS (
            SELECT claim_token FROM runs
            UNION ALL
            SELECT claim_token FROM jobs WHERE state = 'processing' OR outcome IS NOT NULL
        )
        SELECT NULL, printf('claim token %d was given to %d runs', token, count(*))
        FROM given GROUP BY token HAVING count(*) > 1
        UNION ALL
        SELECT NULL, printf('claim token %d is above the last that was given, %d', token, last)
        FROM given JOIN claim_tokens ON token > last
        UNION ALL
        SELECT NULL, 'the last claim token that was given is not known' WHERE NOT EXISTS (SELECT 1 FROM claim_tokens)
    """,
    "workers": """
        SELECT NULL, printf('worker %d of engine %s holds %d jobs', worker, engine_id, count(*))
        FROM jobs WHERE state = 'processing' GROUP BY engine_id, worker HAVING count(*) > 1
    """,
    "orphans": """
        SELECT NULL, printf('there are runs of job number %d, which there is not', job_seq)
        FROM runs WHERE job_seq NOT IN (SELECT seq FROM jobs) GROUP BY job_seq
        UNION ALL
        SELECT NULL, printf('there is output of job number %d, which there is not', job_seq)
        FROM output WHERE job_seq NOT IN (SELECT seq FROM jobs) GROUP BY job_seq
        UNION ALL
        SELECT jobs.id, printf('there is output of run %d of job %s, which has had %d', run, jobs.id, runs)
        FROM output JOIN jobs ON jobs.seq = output.job_seq WHERE run < 1 OR run > runs GROUP BY job_seq, run
    """,
    "edges": """
        SELECT id, printf('job %s is said to wait for %d others: it waits for %d', id, unmet, open)
        FROM (
            SELECT id, unmet, count(edges.job_seq) AS open
            FROM jobs LEFT JOIN edges ON edges.job_seq = jobs.seq AND edges.verdict = 'open' GROUP BY jobs.seq
        )
        WHERE unmet <> open
        UNION ALL
        SELECT jobs.id, printf('job %s waits for job %s, which is %s', jobs.id, other.id, other.state)
        FROM edges JOIN jobs ON jobs.seq = edges.job_seq JOIN jobs AS other ON other.id = edges.on_id
        WHERE verdict = 'open' AND other.finished_at IS NOT NULL AND NOT (other.state = 'dead' AND condition = 'ok')
        UNION ALL
        SELECT jobs.id, printf('job %s waits for job %s, which there is not', jobs.id, on_id)
        FROM edges JOIN jobs ON jobs.seq = edges.job_seq
        WHERE verdict = 'open' AND on_id NOT IN (SELECT id FROM jobs)
        UNION ALL
        SELECT NULL, printf('job number %d, which there is not, waits for others', job_seq)
        FROM edges WHERE job_seq NOT IN (SELECT seq FROM jobs) GROUP BY job_seq
    """,
    "keys": """
        SELECT NULL, printf(
            '%d jobs with the concurrency key %s are processing: at most %d may be',
            count(*), concurrency_key, max(concurrency_limit)
        )
        FROM jobs WHERE state = 'processing' AND concurrency_key IS NOT NULL
        GROUP BY concurrency_key HAVING count(*) > max(concurrency_limit)
    """,
    "tags": """
        WITH said (tag, job_seq) AS (
            SELECT DISTINCT tag.value, seq FROM jobs, json_each(iif(json_valid(tags), tags, '[]')) AS tag
            WHERE tags <> '[]'
        )
        SELECT id, printf('job %s cannot be found by its tag %s', id, tag)
        FROM (SELECT * FROM said EXCEPT SELECT * FROM job_tags) JOIN jobs ON jobs.seq = job_seq
        UNION ALL
        SELECT NULL, printf('tag %s leads to job number %d, which does not have it', tag, job_seq)
        FROM (SELECT * FROM job_tags EXCEPT SELECT * FROM said)
    """,
}
"""What has to be true of the tables: statements that look for breaches, by name. Rows: a job's id or NULL, message."""

SOME = f"SELECT * FROM ({{rule}}) LIMIT {MAX_FINDINGS}"
"""Rows: those of `rule`."""
