-- A run that ends writes one row: its job's. Only when the next begins does it move to `runs`.
--
-- Conditions on a row have no IN with more than two words: SQLite sorts such a list anew each time that it is asked,
-- which cost as much as the rest of an insert.

CREATE TABLE new_jobs (
    seq            INTEGER PRIMARY KEY,  -- age: higher is younger
    id             TEXT    NOT NULL UNIQUE,
    state          TEXT    NOT NULL CHECK (
                       state = 'pending' OR state = 'processing' OR state = 'completed' OR state = 'failed'
                       OR state = 'dead' OR state = 'blocked' OR state = 'cancelled'),
    -- Whether a claim may take it. Kept beside `state` and `run_at` because no index can say "run_at <= now".
    ready          INTEGER NOT NULL CHECK (ready IN (0, 1)),
    queue          TEXT    NOT NULL,
    priority       INTEGER NOT NULL,
    run_at         INTEGER NOT NULL,
    attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    runs           INTEGER NOT NULL DEFAULT 0 CHECK (runs >= attempts),
    crashes        INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    started_at     INTEGER,
    finished_at    INTEGER,
    engine_id      TEXT,
    worker         INTEGER,
    claim_token    INTEGER NOT NULL DEFAULT 0,
    pid            INTEGER,
    pid_start      TEXT,
    exit_code      INTEGER,              -- of the last run that ended by itself
    error          TEXT,
    -- The last run, once it has ended. It moves to `runs` when the next one begins.
    outcome        TEXT,
    signal         INTEGER,
    ended_at       INTEGER,
    duration_us    INTEGER,              -- microseconds by a monotonic clock; NULL where nobody saw the end
    timeout        INTEGER,
    max_retries    INTEGER,
    backoff        TEXT,
    backoff_base   REAL,
    backoff_max    INTEGER,
    backoff_jitter REAL,
    retry_on       TEXT,                 -- JSON array; NULL for every exit code but 0
    no_retry_on    TEXT    NOT NULL DEFAULT '[]',  -- JSON array
    is_argv        INTEGER NOT NULL CHECK (is_argv IN (0, 1)),
    tags           TEXT    NOT NULL DEFAULT '[]',  -- JSON array
    cwd            TEXT    NOT NULL,
    -- The columns that may be long stand last, so that the others are read without them.
    command        TEXT    NOT NULL,     -- where is_argv, a JSON array
    env            TEXT    NOT NULL DEFAULT '{}',  -- JSON object
    stdin          TEXT    NOT NULL DEFAULT '',
    CHECK (ready = 0 OR state IN ('pending', 'failed')),
    CHECK ((finished_at IS NOT NULL) = (state = 'completed' OR state = 'dead' OR state = 'cancelled')),
    CHECK ((outcome IS NOT NULL) = (ended_at IS NOT NULL)),
    CHECK (state <> 'processing' OR outcome IS NULL),
    CHECK (state <> 'processing' OR (engine_id IS NOT NULL AND worker IS NOT NULL AND started_at IS NOT NULL))
) STRICT;

INSERT INTO new_jobs (
    seq, id, state, ready, queue, priority, run_at, attempts, runs, crashes, created_at, updated_at, started_at,
    finished_at, engine_id, worker, claim_token, pid, pid_start, exit_code, error, timeout, max_retries, backoff,
    backoff_base, backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin
)
SELECT
    seq, id, state, ready, queue, priority, run_at, attempts, runs, crashes, created_at, updated_at, started_at,
    finished_at, engine_id, worker, claim_token, pid, pid_start, exit_code, error, timeout, max_retries, backoff,
    backoff_base, backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin
FROM jobs;

-- Where a job still tells what its last run did, that run moves in with it.
UPDATE new_jobs SET
    outcome = last.outcome, signal = last.signal, ended_at = last.finished_at, duration_us = last.duration_us
FROM runs AS last
WHERE last.job_seq = new_jobs.seq AND last.run = new_jobs.runs
    AND last.error IS new_jobs.error
    AND (last.exit_code IS new_jobs.exit_code OR last.outcome NOT IN ('exited', 'spawn_failed'));

DELETE FROM runs WHERE EXISTS (
    SELECT 1 FROM new_jobs WHERE new_jobs.seq = runs.job_seq AND new_jobs.runs = runs.run AND new_jobs.outcome IS NOT NULL
);

DROP TABLE jobs;

ALTER TABLE new_jobs RENAME TO jobs;

-- What a claim takes, in the order in which it takes it.
CREATE INDEX jobs_ready ON jobs (queue, priority DESC, run_at, seq) WHERE ready = 1;
-- What becomes ready by and by.
CREATE INDEX jobs_waiting ON jobs (run_at) WHERE ready = 0 AND state IN ('pending', 'failed');
-- What an engine holds.
CREATE INDEX jobs_processing ON jobs (engine_id, worker) WHERE state = 'processing';
-- What retention and the figures ask for.
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
-- A queue's jobs by age. Nothing of it changes while a job lives.
CREATE INDEX jobs_of_queue ON jobs (queue, seq);
-- The states that are looked for and usually rare. Pending and completed jobs pay nothing for it.
CREATE INDEX jobs_notable ON jobs (state, seq)
    WHERE state = 'blocked' OR state = 'failed' OR state = 'dead' OR state = 'cancelled';

-- A tag's jobs by age. Jobs without tags pay nothing for it.
CREATE TABLE job_tags (
    tag     TEXT    NOT NULL,
    job_seq INTEGER NOT NULL,
    PRIMARY KEY (tag, job_seq)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO job_tags SELECT tag.value, jobs.seq FROM jobs, json_each(jobs.tags) AS tag;

-- Of `counts` and `job_tags`, who stores new jobs sees to what they add, once for a whole batch; these triggers see to
-- the rest.

CREATE TRIGGER jobs_moved AFTER UPDATE OF state, queue ON jobs
WHEN new.state <> old.state OR new.queue <> old.queue BEGIN
    UPDATE counts SET jobs = jobs - 1 WHERE queue = old.queue AND state = old.state;
    INSERT INTO counts (queue, state, jobs) VALUES (new.queue, new.state, 1)
        ON CONFLICT (queue, state) DO UPDATE SET jobs = jobs + 1;
END;

CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs BEGIN
    UPDATE counts SET jobs = jobs - 1 WHERE queue = old.queue AND state = old.state;
    DELETE FROM runs WHERE job_seq = old.seq;
    DELETE FROM output WHERE job_seq = old.seq;
    DELETE FROM job_tags WHERE tag IN (SELECT value FROM json_each(old.tags)) AND job_seq = old.seq;
END;

-- The next run begins, or the job starts anew: what became of the last one is history.
CREATE TRIGGER jobs_run_over AFTER UPDATE OF outcome ON jobs
WHEN old.outcome IS NOT NULL BEGIN
    INSERT INTO runs (
        job_seq, run, attempt, engine_id, claim_token, worker, outcome, exit_code, signal, error, started_at,
        finished_at, duration_us
    ) VALUES (
        old.seq, old.runs, old.attempts + (old.outcome IN ('interrupted', 'engine_died', 'cancelled')),
        old.engine_id, old.claim_token, old.worker, old.outcome,
        iif(old.outcome IN ('exited', 'spawn_failed'), old.exit_code, NULL), old.signal, old.error, old.started_at,
        old.ended_at, old.duration_us
    );
END;

-- Tokens only grow, also over the deletion of jobs.
CREATE TRIGGER jobs_claimed AFTER UPDATE OF claim_token ON jobs
WHEN new.claim_token > old.claim_token BEGIN
    UPDATE claim_tokens SET last = max(last, new.claim_token);
END;
