"""Looking for damage."""

from __future__ import annotations

MAX_FINDINGS = 100
"""How many breaches of one rule are told."""

INTEGRITY = f"PRAGMA integrity_check({MAX_FINDINGS})"
"""Rows: what SQLite finds wrong with its file, its indexes and the constraints of its tables; ``ok`` for nothing."""

ALL_SEQS = "SELECT seq FROM jobs ORDER BY seq"

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
