PRAGMA application_id = 1366647668;
PRAGMA user_version = 3;
BEGIN TRANSACTION;
CREATE TABLE claim_tokens (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    last     INTEGER NOT NULL
) STRICT;
INSERT INTO "claim_tokens" VALUES(1,21);
CREATE TABLE config (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "config" VALUES('busy_timeout','2s');
INSERT INTO "config" VALUES('max_retries','2');
CREATE TABLE counts (
    queue TEXT    NOT NULL,
    state TEXT    NOT NULL,
    jobs  INTEGER NOT NULL CHECK (jobs >= 0),
    PRIMARY KEY (queue, state)
) STRICT, WITHOUT ROWID;
INSERT INTO "counts" VALUES('default','blocked',1);
INSERT INTO "counts" VALUES('default','cancelled',1);
INSERT INTO "counts" VALUES('default','completed',1);
INSERT INTO "counts" VALUES('default','dead',5);
INSERT INTO "counts" VALUES('default','failed',0);
INSERT INTO "counts" VALUES('default','pending',3);
INSERT INTO "counts" VALUES('default','processing',3);
INSERT INTO "counts" VALUES('empty','completed',0);
INSERT INTO "counts" VALUES('empty','pending',0);
INSERT INTO "counts" VALUES('empty','processing',0);
INSERT INTO "counts" VALUES('mail','blocked',0);
INSERT INTO "counts" VALUES('mail','pending',1);
CREATE TABLE edges (
    job_seq   INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    on_id     TEXT    NOT NULL,
    condition TEXT    NOT NULL CHECK (condition = 'ok' OR condition = 'any' OR condition = 'notok'),
    verdict   TEXT    NOT NULL DEFAULT 'open' CHECK (verdict = 'open' OR verdict = 'met' OR verdict = 'impossible'),
    PRIMARY KEY (job_seq, place)
) STRICT, WITHOUT ROWID;
INSERT INTO "edges" VALUES(13,0,'dead-exited','notok','met');
INSERT INTO "edges" VALUES(13,1,'completed','ok','met');
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
INSERT INTO "engines" VALUES('engine-1','nowhere','boot-1','ns-1',4711,'100',4,30000,'["default","mail"]','1.0',1,1893499200000,1893499200000,0);
CREATE TABLE job_tags (
    tag     TEXT    NOT NULL,
    job_seq INTEGER NOT NULL,
    PRIMARY KEY (tag, job_seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "job_tags" VALUES('eu',13);
INSERT INTO "job_tags" VALUES('nightly',13);
CREATE TABLE "jobs" (
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
    stdin          TEXT    NOT NULL DEFAULT '', held INTEGER NOT NULL DEFAULT 0 CHECK (held = 0 OR (held = 1 AND state = 'blocked')), unmet INTEGER NOT NULL DEFAULT 0
    CHECK (unmet >= 0 AND (unmet = 0 OR state = 'blocked' OR finished_at IS NOT NULL))
    CHECK (state <> 'blocked' OR held = 1 OR unmet > 0), cancelling INTEGER NOT NULL DEFAULT 0
    CHECK (cancelling = 0 OR (cancelling = 1 AND state = 'processing')), unique_key TEXT, concurrency_key TEXT, concurrency_limit INTEGER NOT NULL DEFAULT 1 CHECK (concurrency_limit >= 1), parked INTEGER NOT NULL DEFAULT 0 CHECK (parked = 0 OR (
    parked = 1 AND ready = 0 AND concurrency_key IS NOT NULL AND (state = 'pending' OR state = 'failed'))), after TEXT,
    CHECK (ready = 0 OR state IN ('pending', 'failed')),
    CHECK ((finished_at IS NOT NULL) = (state = 'completed' OR state = 'dead' OR state = 'cancelled')),
    CHECK ((outcome IS NOT NULL) = (ended_at IS NOT NULL)),
    CHECK (state <> 'processing' OR outcome IS NULL),
    CHECK (state <> 'processing' OR (engine_id IS NOT NULL AND worker IS NOT NULL AND started_at IS NOT NULL))
) STRICT;
INSERT INTO "jobs" VALUES(1,'completed','completed',0,'default',0,1893499322000,2,3,0,1893499200000,1893499380000,1893499380000,1893499380000,'engine-1',103,4,NULL,NULL,0,NULL,'exited',NULL,1893499380000,1000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(2,'dead-exited','dead',0,'default',0,1893499442000,2,2,0,1893499380000,1893499500000,1893499500000,1893499500000,'engine-1',105,6,NULL,NULL,75,'exit code 75','exited',NULL,1893499500000,1000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(3,'dead-signalled','dead',0,'default',0,1893499562000,2,2,0,1893499500000,1893499620000,1893499620000,1893499620000,'engine-1',107,8,NULL,NULL,NULL,'killed by signal 15','signalled',15,1893499620000,1000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(4,'dead-timed-out','dead',0,'default',0,1893499682000,2,2,0,1893499620000,1893499740000,1893499740000,1893499740000,'engine-1',109,10,NULL,NULL,NULL,'timed out after 1s','timed_out',NULL,1893499740000,1000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(5,'dead-not-started','dead',0,'default',0,1893499802000,2,2,0,1893499740000,1893499860000,1893499860000,1893499860000,'engine-1',111,12,NULL,NULL,127,'could not start: the program x does not exist','spawn_failed',NULL,1893499860000,1000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(6,'cancelled','cancelled',0,'default',0,1893499860000,0,1,0,1893499860000,1893499920000,1893499920000,1893499920000,'engine-1',112,13,NULL,NULL,NULL,'cancelled','cancelled',NULL,1893499920000,1000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(7,'failed','dead',0,'default',0,1893499982000,2,2,0,1893499920000,1893500100000,1893500100000,1893500100000,'engine-1',115,16,NULL,NULL,1,'exit code 1','exited',NULL,1893500100000,1000000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(8,'retried','pending',1,'default',0,1893500160000,0,1,0,1893499980000,1893500160000,1893500040000,NULL,'engine-1',114,15,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(9,'retried-and-running','processing',0,'default',0,1893500160000,0,2,0,1893500040000,1893500160000,1893500160000,NULL,'engine-1',117,18,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(10,'processing','processing',0,'default',0,1893500160000,0,1,0,1893500160000,1893500160000,1893500160000,NULL,'engine-1',118,19,4711,'12345',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(11,'orphan','processing',0,'default',0,1893500160000,0,1,0,1893500160000,1893500160000,1893500160000,NULL,'engine-2',119,20,4711,'12345',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(12,'crashed','pending',1,'default',0,1893500160000,0,1,1,1893500160000,1893500160000,1893500160000,NULL,'engine-3',120,21,NULL,NULL,NULL,'its engine died','engine_died',NULL,1893500160000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(13,'every-key','pending',0,'mail',7,1893585600000,0,0,0,1893500160000,1893500160000,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,90000,5,'linear',1.5,60000,0.25,'[1,75]','[2]',1,'["nightly","eu"]','/srv','["printf","%s\n","ünï code"]','{"KEY":"välue"}','line
',0,0,0,'ünique','këy',3,0,'[{"id":"dead-exited","if":"notok"},{"id":"completed","if":"ok"}]');
INSERT INTO "jobs" VALUES(14,'pending','pending',1,'default',0,1893500160000,0,0,0,1893500160000,1893500160000,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',0,0,0,NULL,NULL,1,0,NULL);
INSERT INTO "jobs" VALUES(15,'blocked','blocked',0,'default',0,1893500160000,0,0,0,1893500160000,1893500160000,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[]',0,'[]','/','true','{}','',1,0,0,NULL,NULL,1,0,NULL);
CREATE TABLE output (
    id      INTEGER PRIMARY KEY,
    job_seq INTEGER NOT NULL,
    run     INTEGER NOT NULL,
    stream  TEXT    NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    offset  INTEGER NOT NULL CHECK (offset >= 0),
    data    BLOB    NOT NULL
) STRICT;
INSERT INTO "output" VALUES(1,1,1,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(2,1,1,'stderr',0,X'657272');
INSERT INTO "output" VALUES(3,1,2,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(4,1,2,'stderr',0,X'657272');
INSERT INTO "output" VALUES(5,1,3,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(6,1,3,'stderr',0,X'657272');
INSERT INTO "output" VALUES(7,2,1,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(8,2,1,'stderr',0,X'657272');
INSERT INTO "output" VALUES(9,2,2,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(10,2,2,'stderr',0,X'657272');
INSERT INTO "output" VALUES(11,3,1,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(12,3,1,'stderr',0,X'657272');
INSERT INTO "output" VALUES(13,3,2,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(14,3,2,'stderr',0,X'657272');
INSERT INTO "output" VALUES(15,4,1,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(16,4,1,'stderr',0,X'657272');
INSERT INTO "output" VALUES(17,4,2,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(18,4,2,'stderr',0,X'657272');
INSERT INTO "output" VALUES(19,5,1,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(20,5,1,'stderr',0,X'657272');
INSERT INTO "output" VALUES(21,5,2,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(22,5,2,'stderr',0,X'657272');
INSERT INTO "output" VALUES(23,6,1,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(24,6,1,'stderr',0,X'657272');
INSERT INTO "output" VALUES(25,7,1,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(26,7,1,'stderr',0,X'657272');
INSERT INTO "output" VALUES(27,8,1,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(28,8,1,'stderr',0,X'657272');
INSERT INTO "output" VALUES(29,7,2,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(30,7,2,'stderr',0,X'657272');
INSERT INTO "output" VALUES(31,9,1,'stdout',0,X'6F00FF');
INSERT INTO "output" VALUES(32,9,1,'stderr',0,X'657272');
INSERT INTO "output" VALUES(33,10,1,'stdout',0,X'736F20666172');
INSERT INTO "output" VALUES(34,11,1,'stdout',0,X'736F20666172');
INSERT INTO "output" VALUES(35,12,1,'stdout',0,X'736F20666172');
CREATE TABLE queues (
    name        TEXT    PRIMARY KEY,
    paused      INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    concurrency INTEGER CHECK (concurrency >= 1),
    rate        REAL    CHECK (rate > 0),  -- starts in a second
    tokens      REAL,                      -- what is left of them
    refilled_at INTEGER,                   -- and when it was so much
    CHECK ((rate IS NULL) = (tokens IS NULL) AND (rate IS NULL) = (refilled_at IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "queues" VALUES('empty',1,2,0.5,1.0,1893500160000);
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
INSERT INTO "runs" VALUES(1,1,1,'engine-1',2,101,'interrupted',NULL,NULL,'drained',1893499260000,1893499260000,1000000);
INSERT INTO "runs" VALUES(1,2,1,'engine-1',3,102,'exited',1,NULL,'exit code 1',1893499320000,1893499320000,1000000);
INSERT INTO "runs" VALUES(2,1,1,'engine-1',5,104,'exited',1,NULL,'exit code 1',1893499440000,1893499440000,1000000);
INSERT INTO "runs" VALUES(3,1,1,'engine-1',7,106,'signalled',NULL,9,'killed by signal 9',1893499560000,1893499560000,1000000);
INSERT INTO "runs" VALUES(4,1,1,'engine-1',9,108,'timed_out',NULL,NULL,'timed out after 1s',1893499680000,1893499680000,1000000);
INSERT INTO "runs" VALUES(5,1,1,'engine-1',11,110,'exited',3,NULL,'exit code 3',1893499800000,1893499800000,1000000);
INSERT INTO "runs" VALUES(7,1,1,'engine-1',14,113,'exited',75,NULL,'exit code 75',1893499980000,1893499980000,1000000);
INSERT INTO "runs" VALUES(8,1,1,'engine-1',15,114,'exited',0,NULL,NULL,1893500040000,1893500040000,1000000);
INSERT INTO "runs" VALUES(9,1,1,'engine-1',17,116,'exited',1,NULL,'exit code 1',1893500160000,1893500160000,1000000);
CREATE UNIQUE INDEX output_of_run ON output (job_seq, run, stream, offset);
CREATE INDEX jobs_ready ON jobs (queue, priority DESC, run_at, seq) WHERE ready = 1;
CREATE INDEX jobs_processing ON jobs (engine_id, worker) WHERE state = 'processing';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_of_queue ON jobs (queue, seq);
CREATE INDEX jobs_notable ON jobs (state, seq)
    WHERE state = 'blocked' OR state = 'failed' OR state = 'dead' OR state = 'cancelled';
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
CREATE TRIGGER jobs_claimed AFTER UPDATE OF claim_token ON jobs
WHEN new.claim_token > old.claim_token BEGIN
    UPDATE claim_tokens SET last = max(last, new.claim_token);
END;
CREATE INDEX jobs_waiting ON jobs (run_at)
    WHERE ready = 0 AND parked = 0 AND (state = 'pending' OR state = 'failed');
CREATE UNIQUE INDEX jobs_unique ON jobs (unique_key) WHERE unique_key IS NOT NULL AND finished_at IS NULL;
CREATE INDEX jobs_keyed ON jobs (
    concurrency_key, state, parked, ready, queue, concurrency_limit, priority DESC, run_at, seq
) WHERE concurrency_key IS NOT NULL AND finished_at IS NULL;
CREATE INDEX edges_open ON edges (on_id) WHERE verdict = 'open';
CREATE TRIGGER jobs_deleted_with_edges AFTER DELETE ON jobs WHEN old.after IS NOT NULL BEGIN
    DELETE FROM edges WHERE job_seq = old.seq;
END;
COMMIT;
