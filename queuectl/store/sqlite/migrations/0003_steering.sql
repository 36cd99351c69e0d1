-- Jobs that know each other, queues that do not simply run, jobs that are held and cancelled by hand.
--
-- Conditions of indexes and checks name no list of states: SQLite would sort it anew for each row.

-- Held by hand. A blocked job is held, or has unmet dependencies, or both.
ALTER TABLE jobs ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held = 0 OR (held = 1 AND state = 'blocked'));
-- No program could do that before: whoever did it wrote into the table.
UPDATE jobs SET held = 1 WHERE state = 'blocked';
-- How many of its edges are open.
ALTER TABLE jobs ADD COLUMN unmet INTEGER NOT NULL DEFAULT 0
    CHECK (unmet >= 0 AND (unmet = 0 OR state = 'blocked' OR finished_at IS NOT NULL))
    CHECK (state <> 'blocked' OR held = 1 OR unmet > 0);
-- It runs, and is to be cancelled.
ALTER TABLE jobs ADD COLUMN cancelling INTEGER NOT NULL DEFAULT 0
    CHECK (cancelling = 0 OR (cancelling = 1 AND state = 'processing'));
ALTER TABLE jobs ADD COLUMN unique_key TEXT;
ALTER TABLE jobs ADD COLUMN concurrency_key TEXT;
ALTER TABLE jobs ADD COLUMN concurrency_limit INTEGER NOT NULL DEFAULT 1 CHECK (concurrency_limit >= 1);
-- Due, but a claim has met it while its key was full: an end of a run with that key makes it ready again.
ALTER TABLE jobs ADD COLUMN parked INTEGER NOT NULL DEFAULT 0 CHECK (parked = 0 OR (
    parked = 1 AND ready = 0 AND concurrency_key IS NOT NULL AND (state = 'pending' OR state = 'failed')));
-- A JSON array of {"id", "if"}, as it was asked for; NULL for none.
ALTER TABLE jobs ADD COLUMN after TEXT;

DROP INDEX jobs_waiting;
-- What becomes ready by and by.
CREATE INDEX jobs_waiting ON jobs (run_at)
    WHERE ready = 0 AND parked = 0 AND (state = 'pending' OR state = 'failed');
-- Who has a unique key.
CREATE UNIQUE INDEX jobs_unique ON jobs (unique_key) WHERE unique_key IS NOT NULL AND finished_at IS NULL;
-- How many with a key run, and who of the others is ready, or parked and the first of its kind.
CREATE INDEX jobs_keyed ON jobs (
    concurrency_key, state, parked, ready, queue, concurrency_limit, priority DESC, run_at, seq
) WHERE concurrency_key IS NOT NULL AND finished_at IS NULL;

-- What a job comes after, an edge for each. It is decided once, when the other job ends or goes.
CREATE TABLE edges (
    job_seq   INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    on_id     TEXT    NOT NULL,
    condition TEXT    NOT NULL CHECK (condition = 'ok' OR condition = 'any' OR condition = 'notok'),
    verdict   TEXT    NOT NULL DEFAULT 'open' CHECK (verdict = 'open' OR verdict = 'met' OR verdict = 'impossible'),
    PRIMARY KEY (job_seq, place)
) STRICT, WITHOUT ROWID;

-- Who waits for a job.
CREATE INDEX edges_open ON edges (on_id) WHERE verdict = 'open';

CREATE TRIGGER jobs_deleted_with_edges AFTER DELETE ON jobs WHEN old.after IS NOT NULL BEGIN
    DELETE FROM edges WHERE job_seq = old.seq;
END;

-- Queues for which anything was ever set.
CREATE TABLE queues (
    name        TEXT    PRIMARY KEY,
    paused      INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    concurrency INTEGER CHECK (concurrency >= 1),
    rate        REAL    CHECK (rate > 0),  -- starts in a second
    tokens      REAL,                      -- what is left of them
    refilled_at INTEGER,                   -- and when it was so much
    CHECK ((rate IS NULL) = (tokens IS NULL) AND (rate IS NULL) = (refilled_at IS NULL))
) STRICT, WITHOUT ROWID;
