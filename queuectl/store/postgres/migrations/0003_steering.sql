-- Jobs that know each other, queues that do not simply run, jobs that are held and cancelled by hand.

ALTER TABLE jobs
    -- Held by hand. A blocked job is held, or has unmet dependencies, or both.
    ADD COLUMN held              boolean NOT NULL DEFAULT false,
    -- How many of its edges are open.
    ADD COLUMN unmet             integer NOT NULL DEFAULT 0,
    -- It runs, and is to be cancelled.
    ADD COLUMN cancelling        boolean NOT NULL DEFAULT false,
    -- Due, but a claim has met it while its key was full: an end of a run with that key makes it ready again.
    ADD COLUMN parked            boolean NOT NULL DEFAULT false,
    -- Others came after it at some time. Who ends it looks for their edges then, and else need not.
    ADD COLUMN awaited           boolean NOT NULL DEFAULT false,
    ADD COLUMN concurrency_limit integer NOT NULL DEFAULT 1,
    ADD COLUMN concurrency_key   text COLLATE "C",
    ADD COLUMN unique_key        text COLLATE "C",
    -- [{"id", "if"}], as it was asked for; NULL for none.
    ADD COLUMN after             jsonb;

-- No program could do that before: whoever did it wrote into the table.
UPDATE jobs SET held = true WHERE state = 'blocked';

ALTER TABLE jobs
    ADD CHECK (NOT held OR state = 'blocked'),
    ADD CHECK (unmet >= 0 AND (unmet = 0 OR state = 'blocked' OR finished_at IS NOT NULL)),
    ADD CHECK (state <> 'blocked' OR held OR unmet > 0),
    ADD CHECK (NOT cancelling OR state = 'processing'),
    ADD CHECK (NOT parked OR (NOT ready AND concurrency_key IS NOT NULL AND state IN ('pending', 'failed'))),
    ADD CHECK (concurrency_limit >= 1);

DROP INDEX jobs_waiting;
-- What becomes ready by and by.
CREATE INDEX jobs_waiting ON jobs (run_at) WHERE NOT ready AND NOT parked AND state IN ('pending', 'failed');
-- Who has a unique key.
CREATE UNIQUE INDEX jobs_unique ON jobs (unique_key) WHERE unique_key IS NOT NULL AND finished_at IS NULL;
-- How many with a key run, who of the others is ready, and who is parked and the first of its kind.
CREATE INDEX jobs_running_keyed ON jobs (concurrency_key) WHERE state = 'processing' AND concurrency_key IS NOT NULL;
CREATE INDEX jobs_ready_keyed ON jobs (concurrency_key, concurrency_limit) WHERE ready AND concurrency_key IS NOT NULL;
CREATE INDEX jobs_parked ON jobs (concurrency_key, queue, concurrency_limit, priority DESC, run_at, seq) WHERE parked;

-- What a job comes after, an edge for each. It is decided once, when the other job ends or goes. Whoever writes an edge
-- has locked the other job, and to decide it the job of the edge too: so no verdict is lost between two who write.
CREATE TABLE edges (
    job_seq   bigint           NOT NULL,
    place     integer          NOT NULL,
    on_id     text COLLATE "C" NOT NULL,
    condition text             NOT NULL CHECK (condition IN ('ok', 'any', 'notok')),
    verdict   text             NOT NULL DEFAULT 'open' CHECK (verdict IN ('open', 'met', 'impossible')),
    PRIMARY KEY (job_seq, place)
);

-- Who waits for a job.
CREATE INDEX edges_open ON edges (on_id) WHERE verdict = 'open';

-- Queues for which anything was ever set.
CREATE TABLE queues (
    name        text COLLATE "C" PRIMARY KEY,
    paused      boolean          NOT NULL DEFAULT false,
    concurrency integer          CHECK (concurrency >= 1),
    rate        double precision CHECK (rate > 0),  -- starts in a second
    tokens      double precision,                   -- what is left of them
    refilled_at timestamptz,                        -- and when it was so much
    CHECK ((rate IS NULL) = (tokens IS NULL) AND (rate IS NULL) = (refilled_at IS NULL))
);

-- Places under a key that became free while somebody else was at that key. The next claim gives them away: to wait for
-- each other here, some would hold what the others wait for.
CREATE TABLE freed_places (
    seq             bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    concurrency_key text COLLATE "C" NOT NULL
);
