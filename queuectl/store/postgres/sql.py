"""Every statement of the PostgreSQL store, by name. Parameters go by name; lists of values go as a list a column."""

from __future__ import annotations

_JOB_COLUMNS = """
    id, state, queue, priority, run_at, attempts, runs, crashes, created_at, updated_at, started_at, finished_at,
    engine_id, worker, claim_token, pid, pid_start, exit_code, error, timeout, max_retries, backoff, backoff_base,
    backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin
"""

JOB_COLUMNS = ", ".join(f"jobs.{column.strip()}" for column in _JOB_COLUMNS.split(","))
"""What `rows.job` reads."""

# ── Transactions ─────────────────────────────────────────────────────────────

# Not left to the server, whose defaults may be anything. What waits inside a transaction without end would keep others
# from fencing its engine. The last ones because a queue grows and shrinks faster than the planner's figures of it: what
# looked best for a few jobs takes a hundred times as long for many, and each statement here has an index to go by.
_SETTINGS = {
    "search_path": "{schema}",
    "TimeZone": "'UTC'",
    "IntervalStyle": "'postgres'",
    "lock_timeout": "{lock_timeout}",
    "idle_in_transaction_session_timeout": "'10s'",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

SET_UP = "; ".join(f"SET {name} TO {value}" for name, value in _SETTINGS.items())
"""Composed with: schema, lock_timeout. What holds for a whole connection."""

SET_UP_LOCALLY = SET_UP.replace("SET ", "SET LOCAL ")
"""The same for one transaction, where a pooler may give the next one another connection."""

BEGIN_WRITE = """
BEGIN ISOLATION LEVEL READ COMMITTED; {set_up};
SET LOCAL plan_cache_mode TO force_generic_plan;
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
SELECT date_trunc('milliseconds', clock_timestamp()) AS now, pg_current_xact_id()::text AS xid,
    (SELECT version FROM queuectl_schema) AS version;
"""
"""Composed with: set_up (one of the above, or nothing). The last result has one row: now, xid, version.

A statement that is prepared is planned once, and not for the parameters of each time: that would take longer than to
run it.
"""

BEGIN_READ = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {set_up};
SELECT date_trunc('milliseconds', clock_timestamp()) AS now, NULL AS xid,
    (SELECT version FROM queuectl_schema) AS version;
"""
"""As BEGIN_WRITE, without an xid. All statements see the store at the same moment."""

BEGIN_PREPARE = """
BEGIN ISOLATION LEVEL READ COMMITTED; {set_up};
SELECT date_trunc('milliseconds', clock_timestamp()) AS now, NULL AS xid, NULL AS version;
"""
"""As BEGIN_WRITE, for a schema that may not be there yet."""

COMMIT = "SELECT pg_notify('queuectl', {schema}); COMMIT"
"""Composed with: schema. Tells those who listen, once for the whole transaction, when the change can be seen."""

LISTEN = "LISTEN queuectl"
"""Notifications name the schema that has changed."""

FATE = "SELECT pg_xact_status(%(xid)s::xid8) AS status"
"""Rows: in progress, committed, aborted, or NULL where that is too long ago."""

# ── The schema ───────────────────────────────────────────────────────────────

LOCK_SCHEMA = "SELECT pg_advisory_xact_lock(hashtextextended('queuectl ' || %(schema)s, 0))"
"""Held to the end of the transaction, so that one program at a time makes or migrates a store."""

SCHEMA_STATE = """
SELECT
    EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s) AS is_there,
    EXISTS (SELECT FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
        AND relname = 'queuectl_schema') AS is_ours,
    ARRAY (SELECT relname::text FROM pg_class
        WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)
        AND relname IN ('jobs', 'runs', 'output', 'engines', 'config', 'counts') ORDER BY relname) AS tables
"""
"""Rows: whether the schema is there, whether a store is in it, and which names that a store needs are in use."""

VERSION = "SELECT version FROM queuectl_schema"

SET_VERSION = "UPDATE queuectl_schema SET version = %(version)s"

MAY_EVERYONE_WRITE = "SELECT has_table_privilege('public', 'jobs', 'INSERT, UPDATE') AS may"

# ── Jobs ─────────────────────────────────────────────────────────────────────

INSERT_JOBS = """
COPY jobs (
    id, state, ready, queue, priority, run_at, created_at, updated_at, timeout, max_retries, backoff, backoff_base,
    backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin
) FROM STDIN
"""
"""Rows: as `rows.new_job` gives them."""

QUEUES_OF = "SELECT id, queue FROM jobs WHERE id = ANY (%(ids)s)"

JOB_BY_ID = f"SELECT {JOB_COLUMNS} FROM jobs WHERE id = %(id)s"

IDS_BY_PREFIX = """
SELECT id FROM jobs
WHERE id >= %(prefix)s AND id < %(prefix)s || '~' AND id ~ '^[0-9a-hjkmnp-tv-z]{12}$' ORDER BY id LIMIT %(limit)s
"""
"""Parameters: prefix, of characters that sort before a tilde. Rows: id of generated ones."""

# Planned with its parameters known: what is NULL falls away, and a partial index is seen to fit.
_FILTER = """
    (%(states)s::text[] IS NULL OR state = ANY (%(states)s))
    AND (%(queues)s::text[] IS NULL OR queue = ANY (%(queues)s))
    AND tags @> %(tags)s::text[] AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
"""

SEQS = f"SELECT seq FROM jobs WHERE {_FILTER} ORDER BY {{order}} LIMIT %(limit)s"
"""Formatted with: an order. Parameters: those of a filter, limit (NULL for all). Rows: seq."""

JOBS_BY_SEQ = f"""
SELECT {JOB_COLUMNS} FROM unnest(%(seqs)s::bigint[]) WITH ORDINALITY AS wanted (seq, place) JOIN jobs USING (seq)
WHERE {_FILTER} ORDER BY wanted.place
"""
"""Parameters: seqs, those of a filter. Rows: jobs in that order."""

LOCK_FITTING = f"SELECT seq, id FROM jobs WHERE {_FILTER} AND state = ANY (%(allowed)s) ORDER BY seq FOR UPDATE"
"""Parameters: those of a filter, allowed states. Rows: seq, id. The order keeps two who lock from a deadlock."""

FITTING = f"SELECT seq, id FROM jobs WHERE {_FILTER} AND state = ANY (%(allowed)s) ORDER BY seq"
"""As LOCK_FITTING, without the lock."""

LOCK_NAMED = "SELECT seq, id, state FROM jobs WHERE id = ANY (%(ids)s) ORDER BY seq FOR UPDATE"

NAMED = "SELECT seq, id, state FROM jobs WHERE id = ANY (%(ids)s) ORDER BY seq"
"""As LOCK_NAMED, without the lock."""

RETRY = """
UPDATE jobs SET
    state = 'pending', ready = true, attempts = 0, crashes = 0, run_at = %(now)s, updated_at = %(now)s,
    finished_at = NULL, exit_code = NULL, error = NULL
WHERE seq = ANY (%(seqs)s)
"""

# What is chosen with a limit and locked stands in an array or a CTE: after IN, the planner may run it once a row, and
# each time it would choose others.
COUNT_PURGEABLE = """
SELECT count(*) AS jobs FROM (
    SELECT 1 FROM jobs
    WHERE finished_at IS NOT NULL AND state = ANY (%(states)s)
        AND (%(before)s::timestamptz IS NULL OR finished_at < %(before)s)
    LIMIT %(limit)s
) AS gone
"""
"""Parameters: as PURGE."""

PURGE = """
WITH gone AS (
    DELETE FROM jobs WHERE seq = ANY (ARRAY (
        SELECT seq FROM jobs
        WHERE finished_at IS NOT NULL AND state = ANY (%(states)s)
            AND (%(before)s::timestamptz IS NULL OR finished_at < %(before)s)
        ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ))
    RETURNING seq
), without_runs AS (
    DELETE FROM runs USING gone WHERE runs.job_seq = gone.seq
), without_output AS (
    DELETE FROM output USING gone WHERE output.job_seq = gone.seq
)
SELECT count(*) AS jobs FROM gone
"""
"""Parameters: states, before (NULL for any time), limit (NULL for all)."""

# ── Runs and output ──────────────────────────────────────────────────────────

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

# ── The life of a claim ──────────────────────────────────────────────────────

LOCK_ENGINE = "SELECT FROM engines WHERE id = %(id)s FOR KEY SHARE"
"""Rows: one if it is registered; then it stays so until the end of the transaction."""

CLAIM_VIEW = """
SELECT
    EXISTS (
        SELECT FROM jobs
        WHERE state = 'processing' AND engine_id = %(engine_id)s AND worker = ANY (%(workers)s::integer[])
    ) AS holds_some,
    EXISTS (SELECT FROM jobs WHERE NOT ready AND state IN ('pending', 'failed') AND run_at <= %(now)s) AS some_are_due
FROM engines WHERE id = %(engine_id)s
"""
"""Rows: one if the engine is registered: whether its workers hold jobs already, whether any job becomes ready."""

HELD_BY_WORKERS = f"""
SELECT {JOB_COLUMNS} FROM jobs
WHERE state = 'processing' AND engine_id = %(engine_id)s AND worker = ANY (%(workers)s)
"""

PROMOTE_DUE = """
UPDATE jobs SET ready = true WHERE seq = ANY (ARRAY (
    SELECT seq FROM jobs WHERE NOT ready AND state IN ('pending', 'failed') AND run_at <= %(now)s
    ORDER BY run_at LIMIT 20000 FOR UPDATE SKIP LOCKED
))
"""
"""Parameters: now. The bound keeps the transaction short where a flood becomes due at once; the next claim goes on."""

TAKE = f"""
WITH RECURSIVE registered AS MATERIALIZED (
    SELECT FROM engines WHERE id = %(engine_id)s FOR KEY SHARE
), open (queue) AS (
    (SELECT queue FROM jobs WHERE ready ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT jobs.queue FROM jobs WHERE ready AND jobs.queue > open.queue ORDER BY jobs.queue LIMIT 1)
    FROM open WHERE open.queue IS NOT NULL
), heads AS (
    SELECT
        head.seq, head.priority, open.queue, open.queue <= %(last_queue)s AS had_its_turn,
        row_number() OVER (PARTITION BY open.queue, head.priority ORDER BY head.run_at, head.seq) AS round
    FROM open CROSS JOIN LATERAL (
        SELECT seq, priority, run_at FROM jobs WHERE ready AND jobs.queue = open.queue
        ORDER BY priority DESC, run_at, seq LIMIT %(reach)s
    ) AS head
    WHERE open.queue IS NOT NULL AND (%(queues)s::text[] IS NULL OR open.queue = ANY (%(queues)s))
), chosen AS (
    SELECT jobs.seq, heads.priority, heads.round, heads.had_its_turn, heads.queue
    FROM heads JOIN jobs ON jobs.seq = heads.seq AND jobs.ready
    WHERE EXISTS (SELECT FROM registered)
        AND NOT EXISTS (
            SELECT FROM jobs
            WHERE state = 'processing' AND engine_id = %(engine_id)s AND worker = ANY (%(workers)s::integer[])
        )
        AND NOT EXISTS (
            SELECT FROM jobs WHERE NOT ready AND state IN ('pending', 'failed') AND run_at <= %(now)s::timestamptz
        )
    ORDER BY heads.priority DESC, heads.round, heads.had_its_turn, heads.queue
    LIMIT %(wanted)s FOR UPDATE OF jobs SKIP LOCKED
), picked AS (
    SELECT seq, row_number() OVER (ORDER BY priority DESC, round, had_its_turn, queue) AS place FROM chosen
)
UPDATE jobs SET
    state = 'processing', ready = false, engine_id = %(engine_id)s, claim_token = nextval('claim_tokens'),
    worker = (%(workers)s::integer[])[picked.place], runs = runs + 1, started_at = %(now)s, updated_at = %(now)s,
    pid = NULL, pid_start = NULL
FROM picked WHERE jobs.seq = picked.seq
RETURNING {JOB_COLUMNS}, picked.place
"""
"""Takes the first jobs that nobody else is about to take: by priority, at equal priority in turns of the queues. It
takes none where the engine is not registered, where one of its workers holds a job already, and where something due is
not yet ready: CLAIM_VIEW tells. Whoever takes the engine off waits for the end of the transaction.

Parameters: engine_id, workers, wanted (their number), queues (NULL for all), last_queue (the one served last), reach
(how many of each queue are looked at), now. Rows: the jobs, in no order, each with its place in it.
"""

_LOCK_ENGINES = "SELECT id FROM engines WHERE id = ANY (%(engine_id)s) ORDER BY id FOR KEY SHARE"

REPORT = f"""
WITH registered AS MATERIALIZED ({_LOCK_ENGINES}), reported AS (
    SELECT * FROM unnest(
        %(job_id)s::text[], %(engine_id)s::text[], %(claim_token)s::bigint[], %(pid)s::integer[], %(pid_start)s::text[]
    ) AS reported (id, engine_id, claim_token, pid, pid_start)
), held AS (
    SELECT jobs.seq, reported.* FROM reported JOIN jobs USING (id, engine_id, claim_token)
    WHERE jobs.state = 'processing' AND engine_id IN (SELECT id FROM registered) ORDER BY jobs.seq FOR UPDATE OF jobs
)
UPDATE jobs SET pid = held.pid, pid_start = held.pid_start, updated_at = %(now)s
FROM held WHERE jobs.seq = held.seq
RETURNING jobs.id, jobs.engine_id, jobs.claim_token, jobs.seq, jobs.runs
"""
"""Parameters: a list each for the claims, pid, pid_start; now. Rows: the claims that are held, with their runs."""

BY_HOLDERS = "engine_id IN (SELECT id FROM registered)"
"""For FINISH: runs are ended by the engines that hold the jobs."""

BY_ANOTHER = "NOT EXISTS (SELECT FROM registered)"
"""For FINISH: a run is ended in place of an engine that is gone."""

FINISH = f"""
WITH registered AS MATERIALIZED ({_LOCK_ENGINES}), ended AS (
    SELECT * FROM unnest(
        %(job_id)s::text[], %(engine_id)s::text[], %(claim_token)s::bigint[], %(outcome)s::text[],
        %(exit_code)s::integer[], %(signal)s::integer[], %(is_by_itself)s::boolean[], %(duration)s::interval[],
        %(state)s::text[], %(is_ready)s::boolean[], %(is_final)s::boolean[], %(attempts)s::integer[],
        %(crashes)s::integer[], %(run_at)s::timestamptz[], %(error)s::text[]
    ) AS ended (
        id, engine_id, claim_token, outcome, exit_code, signal, is_by_itself, duration, state, is_ready, is_final,
        attempts, crashes, run_at, error
    )
), held AS (
    SELECT
        ended.*, jobs.seq, jobs.runs, jobs.worker, jobs.started_at, jobs.attempts AS attempts_before
    FROM ended JOIN jobs USING (id, engine_id, claim_token)
    WHERE jobs.state = 'processing' AND {{condition}} ORDER BY jobs.seq FOR UPDATE OF jobs
), recorded AS (
    INSERT INTO runs (
        job_seq, run, attempt, engine_id, claim_token, worker, outcome, exit_code, signal, error, started_at,
        finished_at, duration
    )
    SELECT
        seq, runs, attempts_before + 1, engine_id, claim_token, worker, outcome, exit_code, signal, error, started_at,
        %(now)s, duration
    FROM held
)
UPDATE jobs SET
    state = held.state, ready = held.is_ready, attempts = held.attempts, crashes = held.crashes,
    run_at = coalesce(held.run_at, jobs.run_at), finished_at = CASE WHEN held.is_final THEN %(now)s::timestamptz END,
    updated_at = %(now)s, error = held.error,
    exit_code = CASE WHEN held.is_by_itself THEN held.exit_code ELSE jobs.exit_code END,
    pid = NULL, pid_start = NULL
FROM held WHERE jobs.seq = held.seq
RETURNING jobs.id, jobs.engine_id, jobs.claim_token, jobs.seq, jobs.runs
"""
"""Records the ends of runs and moves their jobs on, where they are held under their claims; others are passed over.

Formatted with: BY_HOLDERS or BY_ANOTHER. Parameters: as `rows.ends` gives them, and now. Rows: the claims that were
held and are over now, with their runs.
"""

IS_RECORDED = """
SELECT 1 FROM runs JOIN jobs ON runs.job_seq = jobs.seq
WHERE jobs.id = %(id)s AND runs.engine_id = %(engine_id)s AND runs.claim_token = %(token)s
    AND runs.outcome <> 'engine_died'
"""
"""Whether the holder of a claim has ended its run already: then the answer got lost, not the lease."""

# ── Engines ──────────────────────────────────────────────────────────────────

INSERT_ENGINE = """
INSERT INTO engines (
    id, host, boot_id, pid_namespace, pid, process_start, workers, lease, queues, version, started_at, beat_at
) VALUES (
    %(id)s, %(host)s, %(boot_id)s, %(pid_namespace)s, %(pid)s, %(process_start)s, %(workers)s, %(lease)s, %(queues)s,
    %(version)s, %(now)s, %(now)s
)
ON CONFLICT (id) DO NOTHING
"""

BEAT = "UPDATE engines SET beats = beats + 1, beat_at = %(now)s WHERE id = %(id)s RETURNING beats"

ENGINES = """
SELECT
    id, host, boot_id, pid_namespace, pid, process_start, workers, lease, queues, version, beats, started_at, beat_at,
    stopping,
    (SELECT count(*) FROM jobs WHERE state = 'processing' AND engine_id = engines.id) AS processing
FROM engines ORDER BY started_at, id
"""

REQUEST_STOP = "UPDATE engines SET stopping = true WHERE id = ANY (%(ids)s)"

LOCK_ENGINE_TO_END = "SELECT FROM engines WHERE id = %(id)s FOR UPDATE"

LOCK_HELD = f"""
SELECT {JOB_COLUMNS} FROM jobs WHERE state = 'processing' AND engine_id = %(id)s ORDER BY seq FOR UPDATE
"""

DELETE_ENGINE = "DELETE FROM engines WHERE id = %(id)s"

FENCE = "DELETE FROM engines WHERE id = %(id)s AND beats = %(beats)s"

IS_REGISTERED = "SELECT FROM engines WHERE id = %(id)s"

ORPHANS = f"""
SELECT {JOB_COLUMNS} FROM jobs
WHERE state = 'processing' AND NOT EXISTS (SELECT FROM engines WHERE engines.id = jobs.engine_id) ORDER BY seq
"""

# ── Looking ──────────────────────────────────────────────────────────────────

_WAITING = "NOT ready AND state IN ('pending', 'failed')"

LOOK = f"""
SELECT
    (SELECT count(*) FROM (SELECT FROM jobs WHERE ready {{and_queue}} LIMIT %(limit)s) AS ready) AS ready,
    (
        SELECT count(*) FROM (
            SELECT FROM jobs WHERE {_WAITING} AND run_at <= %(now)s {{and_queue}} LIMIT %(limit)s
        ) AS due
    ) AS due,
    (SELECT min(run_at) FROM jobs WHERE {_WAITING} AND run_at > %(now)s) AS next_due,
    coalesce((SELECT stopping FROM engines WHERE id = %(engine_id)s), false) AS stopping
"""
"""Formatted with: AND_QUEUE, or nothing. Parameters: limit, now, engine_id, those of `and_queue`."""

IS_IDLE = f"""
SELECT NOT (
    EXISTS (SELECT FROM jobs WHERE ready {{and_queue}})
    OR EXISTS (SELECT FROM jobs WHERE {_WAITING} AND run_at <= %(now)s {{and_queue}})
    OR EXISTS (SELECT FROM counts WHERE state IN ('processing', 'failed') AND jobs > 0 {{and_queue}})
) AS is_idle
"""
"""As LOOK. Parameters: now, those of `and_queue`."""

AND_QUEUE = "AND queue = ANY (%(queues)s)"

COUNTS = "SELECT queue, state, jobs FROM counts WHERE jobs > 0 ORDER BY queue"

RUN_FIGURES = """
SELECT
    count(*) AS total_runs,
    count(*) FILTER (
        WHERE outcome NOT IN ('exited', 'interrupted', 'engine_died', 'cancelled') OR exit_code <> 0
    ) AS failed_runs,
    avg(duration) AS mean,
    percentile_disc(0.50) WITHIN GROUP (ORDER BY duration) AS p50,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY duration) AS p95,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY duration) AS p99,
    max(duration) AS longest
FROM runs
"""
"""Percentiles by the nearest-rank method."""

JOB_FIGURES = f"""
SELECT
    (SELECT count(*) FROM jobs WHERE finished_at >= %(now)s - interval '1 minute') AS finished_last_minute,
    (SELECT count(*) FROM jobs WHERE finished_at >= %(now)s - interval '1 hour') AS finished_last_hour,
    least(
        (SELECT min(run_at) FROM jobs WHERE ready),
        (SELECT min(run_at) FROM jobs WHERE {_WAITING} AND run_at <= %(now)s)
    ) AS oldest_due
"""
"""Parameters: now."""

# ── Settings ─────────────────────────────────────────────────────────────────

SETTINGS = "SELECT key, value FROM config ORDER BY key"

SET_SETTING = """
INSERT INTO config (key, value) VALUES (%(name)s, %(text)s) ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""

UNSET_SETTING = "DELETE FROM config WHERE key = %(name)s"
