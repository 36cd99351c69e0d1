"""Three ledgers that no fault touches: what clients asked and were told, what commands did, what the store has seen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import psutil

from tests.engine.engines import strays

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = [
    "Answer",
    "Asked",
    "Change",
    "ClientLedger",
    "EndedRun",
    "Evidence",
    "Line",
    "Request",
    "StoredJob",
    "collect",
    "keep_history",
    "ledgered",
]

COMMANDS = "commands.ledger"
"""The file, in the directory where commands run, that each of them writes to."""


class Request(StrEnum):
    """What a client can ask for."""

    ENQUEUE = "enqueue"
    RETRY = "retry"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    DELETE = "delete"
    EDIT = "edit"
    """Its priority."""


class Answer(StrEnum):
    """What a client was told."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """Nothing: it died, or waits still."""


@dataclass(slots=True)
class Asked:
    """One thing that a client asked for one job."""

    job: str
    request: Request = Request.ENQUEUE
    answer: Answer = Answer.ACKNOWLEDGED
    priority: int | None = None
    """What an edit asks for."""


class ClientLedger:
    """What all clients asked. It is written before they ask, and again when they are told."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def ask(self, job: str, request: Request = Request.ENQUEUE, priority: int | None = None) -> Asked:
        """Note that a client is about to ask; set the `answer` when it is there."""
        asked = Asked(job, request, Answer.UNKNOWN, priority)
        self.asked.append(asked)
        return asked


@dataclass(frozen=True, slots=True)
class Line:
    """What a command has written at one moment of its life. The order of the file is the order of the moments.

    There is no time in it: clocks may be set, and whoever appends to a file is in line with all others anyway.
    """

    job: str
    run: int
    attempt: int
    token: int
    engine: str
    moment: str
    """``start``, ``alive`` or ``end``."""


def ledgered(body: str = ":", *, exit_code: int | str = 0) -> str:
    """Make a command that keeps the ledger: it says when it starts and ends, and may ``say alive`` meanwhile.

    The exit code may be worded as the shell does arithmetic.
    """
    identity = "$QUEUECTL_JOB_ID $QUEUECTL_RUN $QUEUECTL_ATTEMPT $QUEUECTL_CLAIM $QUEUECTL_ENGINE_ID"
    # The shell writes a line at once, to the end of the file: nobody's line is torn or written over.
    return "\n".join(
        (f'say() {{ echo "{identity} $1" >> {COMMANDS}; }}', "say start", body, "say end", f"exit $(({exit_code}))")
    )


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a job, as the store has committed it, with what the job was afterwards, and its queue was.

    Where the state is the same before and after, the job was held, released, or to be cancelled, or got its keys.
    """

    job: str
    before: str | None
    """None where the job was made."""
    after: str | None
    """None where the job was deleted; then the rest is as it was before."""
    run: int = 0
    attempts: int = 0
    crashes: int = 0
    token: int = 0
    engine: str | None = None
    error: str | None = None
    held: int = 0
    cancelling: int = 0
    unique: str | None = None
    key: str | None = None
    """Its concurrency key."""
    key_limit: int = 1
    queue: str = "default"
    paused: int = 0
    """Whether its queue was."""
    concurrency: int | None = None
    """That of its queue."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that the store has recorded."""

    job: str
    run: int
    attempt: int
    token: int
    engine: str
    outcome: str
    exit_code: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job, as the store has it in the end."""

    id: str
    state: str
    attempts: int = 0
    runs: int = 0
    max_retries: int = 3
    priority: int = 0
    after: str | None = None
    """What it comes after, in JSON, as the store keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known when it is over."""

    asked: Sequence[Asked] = ()
    lines: Sequence[Line] = ()
    changes: Sequence[Change] = ()
    runs: Sequence[EndedRun] = ()
    jobs: Sequence[StoredJob] = ()
    engines: Sequence[str] = ()
    """Those that are registered still."""
    alive: Sequence[tuple[str, int]] = ()
    """The job and the claim of each process that commands have left running."""
    damage: Sequence[str] = ()
    """What the store's own check has found."""


_ROW = """
    {0}.runs, {0}.attempts, {0}.crashes, {0}.claim_token, {0}.engine_id, {0}.error, {0}.held, {0}.cancelling,
    {0}.unique_key, {0}.concurrency_key, {0}.concurrency_limit, {0}.queue,
    coalesce((SELECT paused FROM queues WHERE name = {0}.queue), 0),
    (SELECT concurrency FROM queues WHERE name = {0}.queue)
"""
# That a job waits for one other less is no change that anyone asked for.
_HISTORY = f"""
CREATE TABLE history (
    place INTEGER PRIMARY KEY, job TEXT, before TEXT, after TEXT, run INTEGER, attempts INTEGER, crashes INTEGER,
    token INTEGER, engine TEXT, error TEXT, held INTEGER, cancelling INTEGER, unique_key TEXT, key TEXT,
    key_limit INTEGER, queue TEXT, paused INTEGER, concurrency INTEGER
);
CREATE TRIGGER history_made AFTER INSERT ON jobs BEGIN
    INSERT INTO history SELECT NULL, new.id, NULL, new.state, {_ROW.format("new")};
END;
CREATE TRIGGER history_moved AFTER UPDATE OF state, held, cancelling, unique_key ON jobs
WHEN old.state <> new.state OR old.cancelling <> new.cancelling OR old.unique_key IS NOT new.unique_key
    OR (old.unmet = new.unmet AND (old.held OR new.held))
BEGIN
    INSERT INTO history SELECT NULL, new.id, old.state, new.state, {_ROW.format("new")};
END;
CREATE TRIGGER history_deleted AFTER DELETE ON jobs BEGIN
    INSERT INTO history SELECT NULL, old.id, old.state, NULL, {_ROW.format("old")};
END;
"""


_RUNS = """
SELECT jobs.id, run, attempt, runs.claim_token, runs.engine_id, runs.outcome, runs.exit_code, runs.error
FROM runs JOIN jobs ON seq = job_seq
UNION ALL
SELECT
    id, runs, attempts + (outcome IN ('interrupted', 'engine_died', 'cancelled')), claim_token, engine_id, outcome,
    iif(outcome = 'exited', exit_code, NULL), error
FROM jobs WHERE outcome IS NOT NULL
ORDER BY 1, 2
"""
"""The last run of a job stands in its row."""

_JOBS = "SELECT id, state, attempts, runs, coalesce(max_retries, 3), priority, after FROM jobs ORDER BY seq"


def keep_history(store: Path) -> None:
    """Have a store without jobs write down each change of a job's state, in the very transaction that makes it."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.executescript(_HISTORY)


def collect(store: Path, clients: ClientLedger) -> Evidence:
    """Put together the ledgers of a store in the directory of its commands, and look at what still runs there."""
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        ask = connection.execute
        return Evidence(
            asked=clients.asked,
            lines=_lines(store.with_name(COMMANDS)),
            changes=[Change(*row[1:]) for row in ask("SELECT * FROM history ORDER BY place")],
            runs=[EndedRun(*row) for row in ask(_RUNS)],
            jobs=[StoredJob(*row) for row in ask(_JOBS)],
            engines=[row[0] for row in ask("SELECT id FROM engines")],
            alive=list(_alive(store.parent)),
            damage=[row[0] for row in ask("PRAGMA integrity_check") if row[0] != "ok"] + _miscounted(connection),
        )


def _lines(ledger: Path) -> list[Line]:
    if not ledger.exists():
        return []
    words = (line.split() for line in ledger.read_text().splitlines())
    return [
        Line(job, int(run), int(attempt), int(token), engine, moment)
        for job, run, attempt, token, engine, moment in words
    ]


def _alive(folder: Path) -> Iterator[tuple[str, int]]:
    for process in strays(folder):
        try:
            environ = process.environ()
        except psutil.Error:
            continue
        if "QUEUECTL_CLAIM" in environ:
            yield environ["QUEUECTL_JOB_ID"], int(environ["QUEUECTL_CLAIM"])


def _miscounted(connection: sqlite3.Connection) -> list[str]:
    kept = connection.execute("SELECT queue, state, jobs FROM counts WHERE jobs > 0").fetchall()
    real = connection.execute("SELECT queue, state, count(*) FROM jobs GROUP BY queue, state").fetchall()
    return [f"counted {queue} {state} {jobs}" for queue, state, jobs in sorted({*kept} ^ {*real})]
