"""Claiming jobs, and who holds them."""

from __future__ import annotations

from queuectl.store.postgres.sql.engines import LOCK_ENGINES
from queuectl.store.postgres.sql.jobs import JOB_COLUMNS, MOST_COLUMNS
from queuectl.store.postgres.sql.queues import IS_ANY_LIMITED, IS_PAUSED, IS_SERVED, OPEN
from queuectl.store.postgres.sql.waiting import WAITING

CLAIM_VIEW = f"""
SELECT
    EXISTS (
        SELECT FROM jobs
        WHERE state = 'processing' AND engine_id = %(engine_id)s AND worker = ANY (%(workers)s::integer[])
    ) AS holds_some,
    EXISTS (SELECT FROM jobs WHERE {WAITING} AND run_at <= %(now)s) AS some_are_due,
    EXISTS (SELECT FROM queues WHERE NOT paused AND (concurrency IS NOT NULL OR rate IS NOT NULL))
        OR EXISTS (SELECT FROM jobs WHERE ready AND concurrency_key IS NOT NULL)
        OR EXISTS (SELECT FROM freed_places) AS is_bounded
FROM engines WHERE id = %(engine_id)s FOR KEY SHARE
"""
"""Rows: one if the engine is registered, and it stays so until the end of the transaction: whether its workers hold
jobs already, whether any job becomes ready, whether keys or the rules of queues may bound what is to be taken."""

HELD_BY_WORKERS = f"""
SELECT {JOB_COLUMNS} FROM jobs
WHERE state = 'processing' AND engine_id = %(engine_id)s AND worker = ANY (%(workers)s)
"""

LOCK_HELD = f"""
SELECT {JOB_COLUMNS} FROM jobs WHERE state = 'processing' AND engine_id = %(id)s ORDER BY seq FOR UPDATE
"""

_SET_TAKEN = """
    state = 'processing', ready = false, engine_id = %(engine_id)s, claim_token = picked.token,
    runs = runs + 1, started_at = %(now)s, updated_at = %(now)s, pid = NULL, pid_start = NULL
"""

TAKE = f"""
WITH RECURSIVE registered AS MATERIALIZED (
    SELECT FROM engines WHERE id = %(engine_id)s FOR KEY SHARE
), {OPEN}, heads AS (
    SELECT
        head.seq, head.priority, head.is_keyed, open.queue, open.queue <= %(last_queue)s AS had_its_turn,
        row_number() OVER (PARTITION BY open.queue, head.priority ORDER BY head.run_at, head.seq) AS round
    FROM open CROSS JOIN LATERAL (
        SELECT seq, priority, run_at, concurrency_key IS NOT NULL AS is_keyed FROM jobs
        WHERE ready AND jobs.queue = open.queue
        ORDER BY priority DESC, run_at, seq LIMIT %(reach)s
    ) AS head
    WHERE open.queue IS NOT NULL AND {IS_SERVED.format(queue="open.queue")}
        AND NOT {IS_PAUSED.format(queue="open.queue")}
), chosen AS (
    SELECT jobs.seq, heads.priority, heads.round, heads.had_its_turn, heads.queue
    FROM heads JOIN jobs ON jobs.seq = heads.seq AND jobs.ready AND jobs.concurrency_key IS NULL
    WHERE EXISTS (SELECT FROM registered)
        AND NOT EXISTS (
            SELECT FROM jobs
            WHERE state = 'processing' AND engine_id = %(engine_id)s AND worker = ANY (%(workers)s::integer[])
        )
        AND NOT EXISTS (SELECT FROM jobs WHERE {WAITING} AND run_at <= %(now)s::timestamptz)
        AND NOT EXISTS (SELECT FROM heads WHERE is_keyed)
        AND NOT EXISTS (SELECT FROM freed_places)
        AND NOT {IS_ANY_LIMITED}
    ORDER BY heads.priority DESC, heads.round, heads.had_its_turn, heads.queue
    LIMIT %(wanted)s FOR UPDATE OF jobs SKIP LOCKED
), placed AS (
    SELECT seq, row_number() OVER (ORDER BY priority DESC, round, had_its_turn, queue) AS place
    FROM chosen ORDER BY place
), picked AS MATERIALIZED (
    SELECT seq, place, nextval('claim_tokens') AS token FROM placed
)
UPDATE jobs SET worker = (%(workers)s::integer[])[picked.place], {_SET_TAKEN}
FROM picked WHERE jobs.seq = picked.seq
RETURNING {MOST_COLUMNS}, picked.place
"""
"""Takes the first jobs that nobody else is about to take: by priority, at equal priority in turns of the queues. It
takes none where the engine is not registered, where one of its workers holds a job already, and where something due is
not yet ready: CLAIM_VIEW tells. Nor does it where one of those that are looked at has a key, which may be full, where
places under keys became free, and where a queue with a limit has anything ready: then more has to be known. Whoever
takes the engine off waits for the end of the transaction. Tokens rise in the order of the jobs, however the server goes
through them.

Parameters: engine_id, workers, wanted (their number), queues (NULL for all), last_queue (the one served last), reach
(how many of each queue are looked at), now. Rows: the jobs, in no order, each with its place in it.
"""

NEXT_IN_LINE = f"""
WITH RECURSIVE {OPEN}
SELECT head.seq FROM open CROSS JOIN LATERAL (
    SELECT seq, priority, run_at FROM jobs
    WHERE ready AND jobs.queue = open.queue
    ORDER BY priority DESC, run_at, seq LIMIT %(limit)s
) AS head
ORDER BY head.priority DESC, head.run_at, head.seq LIMIT %(limit)s
"""
"""Parameters: limit. Rows: the seqs of the first ready jobs of all queues."""

HEADS = """
SELECT head.seq, head.queue, head.priority, head.concurrency_key, head.concurrency_limit
FROM unnest(%(names)s::text[]) AS open (queue)
CROSS JOIN LATERAL (
    SELECT seq, queue, priority, run_at, concurrency_key, concurrency_limit FROM jobs
    WHERE ready AND jobs.queue = open.queue AND seq <> ALL (%(without)s::bigint[])
    ORDER BY priority DESC, run_at, seq LIMIT %(wanted)s
) AS head
ORDER BY head.priority DESC, head.run_at, head.seq
"""
"""Parameters: names of queues, the seqs of jobs to leave out, wanted. Rows: the first so many jobs of each."""

TAKE_CHOSEN = f"""
WITH chosen AS MATERIALIZED (
    SELECT jobs.seq, chosen.worker, chosen.place
    FROM unnest(
        %(seqs)s::bigint[], %(names)s::text[], %(keys)s::text[], %(limits)s::integer[], %(workers)s::integer[]
    ) WITH ORDINALITY AS chosen (seq, queue, concurrency_key, concurrency_limit, worker, place)
    JOIN jobs ON jobs.seq = chosen.seq AND jobs.ready AND jobs.queue = chosen.queue
        AND jobs.concurrency_key IS NOT DISTINCT FROM chosen.concurrency_key
        AND jobs.concurrency_limit = chosen.concurrency_limit
    FOR UPDATE OF jobs SKIP LOCKED
), picked AS MATERIALIZED (
    SELECT seq, worker, nextval('claim_tokens') AS token FROM (SELECT * FROM chosen ORDER BY place) AS placed
)
UPDATE jobs SET worker = picked.worker, {_SET_TAKEN} FROM picked WHERE jobs.seq = picked.seq
RETURNING jobs.seq, {JOB_COLUMNS}
"""
"""Takes the chosen jobs that are still what they were when they were chosen, and that nobody else is about to take.

Parameters: engine_id, now, and a list each. The engine is locked. Rows: the jobs, each with its seq.
"""

TO_CANCEL = """
SELECT id, engine_id, claim_token FROM jobs WHERE state = 'processing' AND engine_id = %(engine_id)s AND cancelling
"""

REPORT = f"""
WITH registered AS MATERIALIZED ({LOCK_ENGINES}), reported AS (
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
