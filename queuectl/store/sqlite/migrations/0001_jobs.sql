-- Times are milliseconds since 1970 in UTC, durations milliseconds unless the name says otherwise.
-- NULL in a policy column means: follow the setting of that name.

CREATE TABLE jobs (
    seq            INTEGER PRIMARY KEY,  -- age: higher is younger
    id             TEXT    NOT NULL UNIQUE,
    state          TEXT    NOT NULL CHECK (state IN (
                       'pending', 'blocked', 'processing', 'failed', 'completed', 'dead', 'cancelled')),
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
    exit_code      INTEGER,
    error          TEXT,
    timeout        INTEGER,
    max_retries    INTEGER,
    backoff        TEXT,
    backoff_base   REAL,
    backoff_max    INTEGER,
    backoff_jitter REAL,
    retry_on       TEXT,                 -- JSON array; NULL for every exit code but 0
    no_retry_on    TEXT    NOT NULL,     -- JSON array
    is_argv        INTEGER NOT NULL CHECK (is_argv IN (0, 1)),
    tags           TEXT    NOT NULL,     -- JSON array
    cwd            TEXT    NOT NULL,
    -- The columns that may be long stand last, so that the others are read without them.
    command        TEXT    NOT NULL,     -- where is_argv, a JSON array
    env            TEXT    NOT NULL,     -- JSON object
    stdin          TEXT    NOT NULL,
    CHECK (ready = 0 OR state IN ('pending', 'failed')),
    CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'dead', 'cancelled'))),
    CHECK (state <> 'processing' OR (engine_id IS NOT NULL AND worker IS NOT NULL AND started_at IS NOT NULL))
) STRICT;

-- What a claim takes, in the order in which it takes it.
CREATE INDEX jobs_ready ON jobs (queue, priority DESC, run_at, seq) WHERE ready = 1;
-- What becomes ready by and by.
CREATE INDEX jobs_waiting ON jobs (run_at) WHERE ready = 0 AND state IN ('pending', 'failed');
-- What an engine holds.
CREATE INDEX jobs_processing ON jobs (engine_id, worker) WHERE state = 'processing';
-- What retention and the figures ask for.
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
-- The states that are looked for and usually rare. Pending and completed jobs pay nothing for it.
CREATE INDEX jobs_notable ON jobs (state, seq) WHERE state IN ('blocked', 'failed', 'dead', 'cancelled');

-- How many jobs each queue has in each state, so that nobody has to count a million rows.
CREATE TABLE counts (
    queue TEXT    NOT NULL,
    state TEXT    NOT NULL,
    jobs  INTEGER NOT NULL CHECK (jobs >= 0),
    PRIMARY KEY (queue, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN
    INSERT INTO counts (queue, state, jobs) VALUES (new.queue, new.state, 1)
        ON CONFLICT (queue, state) DO UPDATE SET jobs = jobs + 1;
END;

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
END;

-- Runs that have ended. The one under way stands in its job.
CREATE TABLE runs (
    job_seq     INTEGER NOT NULL,
    run         INTEGER NOT NULL CHECK (run >= 1),
    attempt     INTEGER NOT NULL CHECK (attempt >= 1),
    engine_id   TEXT    NOT NULL,
    claim_token INTEGER NOT NULL,
    worker      INTEGER NOT NULL,
    outcome     TEXT    NOT NULL,
    exit_code   INTEGER,
    signal      INTEGER,
    error       TEXT,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    duration_us INTEGER,               -- microseconds by a monotonic clock; NULL where nobody saw the end
    PRIMARY KEY (job_seq, run)
) STRICT, WITHOUT ROWID;

-- What runs printed, in pieces. Where the end of one is not the offset of the next, something was cut.
CREATE TABLE output (
    id      INTEGER PRIMARY KEY,
    job_seq INTEGER NOT NULL,
    run     INTEGER NOT NULL,
    stream  TEXT    NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    offset  INTEGER NOT NULL CHECK (offset >= 0),
    data    BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX output_of_run ON output (job_seq, run, stream, offset);

CREATE TABLE engines (
    id            TEXT    PRIMARY KEY,
    host          TEXT    NOT NULL,
    boot_id       TEXT    NOT NULL,
    pid_namespace TEXT    NOT NULL,
    pid           INTEGER NOT NULL,
    process_start TEXT    NOT NULL,
    workers       INTEGER NOT NULL,
    lease         INTEGER NOT NULL,
    queues        TEXT,                -- JSON array; NULL for all
    version       TEXT    NOT NULL,
    beats         INTEGER NOT NULL DEFAULT 0,
    started_at    INTEGER NOT NULL,
    beat_at       INTEGER NOT NULL,
    stopping      INTEGER NOT NULL DEFAULT 0 CHECK (stopping IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Settings. Anyone may read and write this table.
CREATE TABLE config (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The last claim token that was given out.
CREATE TABLE claim_tokens (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    last     INTEGER NOT NULL
) STRICT;

INSERT INTO claim_tokens VALUES (1, 0);
