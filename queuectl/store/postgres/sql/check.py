"""What has to be true of the tables."""

from __future__ import annotations

from queuectl.store.postgres.sql.jobs import JOB_COLUMNS

MAX_FINDINGS = 100
"""How many breaches of one rule are told."""

SEQS_AFTER = "SELECT seq FROM jobs WHERE seq > %(after)s ORDER BY seq LIMIT %(limit)s"

JOBS_OF = f"SELECT {JOB_COLUMNS} FROM jobs WHERE seq = ANY (%(seqs)s)"

RUNS_OF = """
SELECT
    jobs.id AS job_id, run, attempt, runs.engine_id, runs.worker, runs.outcome, runs.exit_code, runs.signal, runs.error,
    runs.started_at, runs.finished_at, runs.duration
FROM jobs JOIN runs ON runs.job_seq = jobs.seq WHERE seq = ANY (%(seqs)s)
"""
"""Rows: as `rows.run` reads them."""

SET_UP = """
SET LOCAL enable_seqscan TO on; SET LOCAL enable_hashjoin TO on; SET LOCAL enable_mergejoin TO on;
"""
"""What reads everything reads it best in one go; see `transactions`."""

RULES = {
    "integrity": """
        SELECT NULL AS job_id, format('index %%s is not valid', indexrelid::regclass) AS message
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = current_schema() AND NOT indisvalid
    """,
    "counts": """
        SELECT NULL AS job_id, format(
            'queue %%s is said to have %%s %%s jobs: it has %%s', queue, sum(said), state, sum(found)
        ) AS message
        FROM (
            SELECT queue, state, jobs AS said, 0 AS found FROM counts
            UNION ALL
            SELECT queue, state, 0, count(*) FROM jobs GROUP BY queue, state
        ) AS counted
        GROUP BY queue, state HAVING sum(said) <> sum(found)
    """,
    "state": """
        SELECT job_id, message FROM (
            SELECT id AS job_id, format('job %%s is %%s, which does not fit what stands beside it: ', id, state) || CASE
                WHEN ready AND state NOT IN ('pending', 'failed') THEN 'it is ready to be claimed'
                WHEN finished_at IS NOT NULL AND state NOT IN ('completed', 'dead', 'cancelled') THEN 'it has finished'
                WHEN finished_at IS NULL AND state IN ('completed', 'dead', 'cancelled') THEN 'it has not finished'
                WHEN state = 'processing' AND (engine_id IS NULL OR worker IS NULL) THEN 'nobody holds it'
                WHEN state = 'processing' AND (started_at IS NULL OR runs = 0) THEN 'it has not begun'
            END AS message
            FROM jobs
        ) AS looked_at
        WHERE message IS NOT NULL
    """,
    "runs": """
        SELECT id AS job_id, format(
            'job %%s has had %%s runs: of the %%s earlier ones %%s are kept, the last as number %%s',
            id, runs, earlier, kept, last
        ) AS message
        FROM (
            SELECT
                jobs.id, jobs.runs, jobs.runs - (jobs.state = 'processing')::integer AS earlier,
                count(runs.run) AS kept, coalesce(max(runs.run), 0) AS last
            FROM jobs LEFT JOIN runs ON runs.job_seq = jobs.seq GROUP BY jobs.seq
        ) AS counted
        WHERE kept <> earlier OR last <> kept
    """,
    "tokens": """
        WITH given AS (
            SELECT claim_token AS token FROM runs
            UNION ALL
            SELECT claim_token FROM jobs WHERE state = 'processing'
        )
        SELECT NULL AS job_id, format('claim token %%s was given to %%s runs', token, count(*)) AS message
        FROM given GROUP BY token HAVING count(*) > 1
        UNION ALL
        SELECT NULL, format('claim token %%s is above the last that was given, %%s', token, last_value)
        FROM given JOIN claim_tokens ON token > last_value OR NOT is_called
    """,
    "workers": """
        SELECT NULL AS job_id, format('worker %%s of engine %%s holds %%s jobs', worker, engine_id, count(*)) AS message
        FROM jobs WHERE state = 'processing' GROUP BY engine_id, worker HAVING count(*) > 1
    """,
    "orphans": """
        SELECT NULL AS job_id, format('there are runs of job number %%s, which there is not', job_seq) AS message
        FROM runs WHERE NOT EXISTS (SELECT FROM jobs WHERE seq = job_seq) GROUP BY job_seq
        UNION ALL
        SELECT NULL, format('there is output of job number %%s, which there is not', job_seq)
        FROM output WHERE NOT EXISTS (SELECT FROM jobs WHERE seq = job_seq) GROUP BY job_seq
        UNION ALL
        SELECT id, format('there is output of run %%s of job %%s, which has had %%s', run, id, runs)
        FROM output JOIN jobs ON seq = job_seq WHERE run < 1 OR run > runs GROUP BY id, runs, run
    """,
    "edges": """
        SELECT id AS job_id, format('job %%s is said to wait for %%s others: it waits for %%s', id, unmet, open)
            AS message
        FROM (
            SELECT jobs.id, jobs.unmet, count(edges.job_seq) AS open
            FROM jobs LEFT JOIN edges ON job_seq = seq AND verdict = 'open' GROUP BY seq
        ) AS counted
        WHERE unmet <> open
        UNION ALL
        SELECT jobs.id, format('job %%s waits for job %%s, which is %%s', jobs.id, other.id, other.state)
        FROM edges JOIN jobs ON jobs.seq = job_seq JOIN jobs AS other ON other.id = on_id
        WHERE verdict = 'open' AND other.finished_at IS NOT NULL AND NOT (other.state = 'dead' AND condition = 'ok')
        UNION ALL
        SELECT jobs.id, format('job %%s waits for job %%s, which does not know of it', jobs.id, other.id)
        FROM edges JOIN jobs ON jobs.seq = job_seq JOIN jobs AS other ON other.id = on_id
        WHERE verdict = 'open' AND NOT other.awaited
        UNION ALL
        SELECT jobs.id, format('job %%s waits for job %%s, which there is not', jobs.id, on_id)
        FROM edges JOIN jobs ON seq = job_seq
        WHERE verdict = 'open' AND NOT EXISTS (SELECT FROM jobs WHERE id = on_id)
        UNION ALL
        SELECT NULL, format('job number %%s, which there is not, waits for others', job_seq)
        FROM edges WHERE NOT EXISTS (SELECT FROM jobs WHERE seq = job_seq) GROUP BY job_seq
    """,
    "keys": """
        SELECT NULL AS job_id, format(
            '%%s jobs with the concurrency key %%s are processing: at most %%s may be',
            count(*), concurrency_key, max(concurrency_limit)
        ) AS message
        FROM jobs WHERE state = 'processing' AND concurrency_key IS NOT NULL
        GROUP BY concurrency_key HAVING count(*) > max(concurrency_limit)
    """,
}
"""Statements that look for breaches, by the names of the rules. Rows: job_id (or NULL), message."""

SOME = "SELECT job_id, message FROM ({rule}) AS breach LIMIT %(limit)s"
"""Formatted with: a rule."""
