"""Ledgers that no fault touches: what clients asked and were told, what commands did. `histories`: what stores saw."""

from __future__ import annotations

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
    "alive_in",
    "ledgered",
    "lines_of",
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


def lines_of(ledger: Path) -> list[Line]:
    """Read what commands have written."""
    if not ledger.exists():
        return []
    words = (line.split() for line in ledger.read_text().splitlines())
    return [
        Line(job, int(run), int(attempt), int(token), engine, moment)
        for job, run, attempt, token, engine, moment in words
    ]


def alive_in(folder: Path) -> Iterator[tuple[str, int]]:
    """Give the job and the claim of each process that still runs there."""
    for process in strays(folder):
        try:
            environ = process.environ()
        except psutil.Error:
            continue
        if "QUEUECTL_CLAIM" in environ:
            yield environ["QUEUECTL_JOB_ID"], int(environ["QUEUECTL_CLAIM"])
