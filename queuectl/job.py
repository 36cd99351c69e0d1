"""The job: what a user asks for, what the store keeps, and what became of each of its runs."""

from __future__ import annotations

import math
import re
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from queuectl.errors import InvalidJob

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

__all__ = [
    "FINAL_STATES",
    "MAX_JOB_BYTES",
    "RESERVED_ENV_PREFIX",
    "Claim",
    "Job",
    "JobState",
    "NewJob",
    "OnConflict",
    "Receipt",
    "Run",
    "is_generated_id",
]

MAX_JOB_BYTES = 1 << 20
"""The largest job, as JSON in UTF-8."""
MAX_PRIORITY = 1_000_000
MAX_RETRIES = 1_000
RESERVED_ENV_PREFIX = "QUEUECTL_"

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Lower-case Crockford base32: no i, l, o, u."""
GENERATED_ID_LENGTH = 12

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
_GENERATED_ID = re.compile(rf"[{ID_ALPHABET}]{{{GENERATED_ID_LENGTH}}}", re.ASCII)


class JobState(StrEnum):
    """Where a job stands in its life."""

    PENDING = "pending"
    """Ready, or waiting for its `run_at`."""
    BLOCKED = "blocked"
    """Held by hand, or waiting for other jobs."""
    PROCESSING = "processing"
    """Claimed by a worker of an engine."""
    FAILED = "failed"
    """The last attempt failed; another is due at `run_at`."""
    COMPLETED = "completed"
    """An attempt succeeded."""
    DEAD = "dead"
    """Its attempts are used up: it is in the dead letter queue."""
    CANCELLED = "cancelled"
    """Cancelled before or while running."""


FINAL_STATES = frozenset({JobState.COMPLETED, JobState.DEAD, JobState.CANCELLED})


class OnConflict(StrEnum):
    """What to do with a new job whose id is taken."""

    REFUSE = "refuse"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class _Spec:
    """What a user can say about a job. What is None follows the setting of the same name."""

    command: str | tuple[str, ...]
    """A line for ``/bin/sh -c``, or a program and its arguments, run without a shell."""
    _: KW_ONLY
    queue: str = "default"
    priority: int = 0
    """Higher first."""
    timeout: timedelta | None = None
    """For each execution."""
    max_retries: int | None = None
    """The number of attempts."""
    backoff: str | None = None
    """``exponential``, ``linear`` or ``fixed``."""
    backoff_base: float | None = None
    """Seconds; at least 1."""
    backoff_max: timedelta | None = None
    backoff_jitter: float | None = None
    """0 to 1."""
    retry_on: frozenset[int] | None = None
    """Exit codes worth another attempt; None for every one but 0."""
    no_retry_on: frozenset[int] = frozenset()
    """Exit codes that are final."""
    cwd: str | None = None
    """Absolute; None for the directory of the process that enqueues."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the engine's environment."""
    stdin: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewJob(_Spec):
    """A job as it is handed to `enqueue`. It refuses what cannot be stored.

    Raises:
        InvalidJob: a value is out of range; the message names the key, what was found and what is allowed.
    """

    _: KW_ONLY
    id: str | None = None
    """None for a generated one."""
    run_at: datetime | None = None
    """Aware; None for now."""
    on_conflict: OnConflict = OnConflict.REFUSE

    def __post_init__(self) -> None:
        """Check each value against what the store accepts."""
        _check_command(self.command)
        if self.id is not None:
            _check_name("id", self.id)
        _check_name("queue", self.queue)
        _check_range("priority", self.priority, -MAX_PRIORITY, MAX_PRIORITY)
        if self.max_retries is not None:
            _check_range("max_retries", self.max_retries, 0, MAX_RETRIES)
        if self.timeout is not None and self.timeout.total_seconds() < 0.001:
            raise InvalidJob(f"timeout is {self.timeout}: use at least 1ms, or leave it out")
        if self.backoff is not None and self.backoff not in _BACKOFFS:
            raise InvalidJob(f"backoff is {self.backoff!r}: use {', '.join(_BACKOFFS)}")
        if self.backoff_base is not None and not (1 <= self.backoff_base < math.inf):
            raise InvalidJob(f"backoff_base is {self.backoff_base}: use a number of at least 1")
        if self.backoff_jitter is not None and not 0 <= self.backoff_jitter <= 1:
            raise InvalidJob(f"backoff_jitter is {self.backoff_jitter}: use a number from 0 to 1")
        _check_exit_codes("retry_on", self.retry_on or ())
        _check_exit_codes("no_retry_on", self.no_retry_on)
        if self.run_at is not None and self.run_at.tzinfo is None:
            raise InvalidJob(f"run_at is {self.run_at.isoformat()}, which has no time zone: use an aware datetime")
        if self.cwd is not None:
            _check_text("cwd", self.cwd)
            if not self.cwd.startswith("/"):
                raise InvalidJob(f"cwd is {self.cwd!r}: use an absolute path")
        for name, value in self.env.items():
            _check_variable(name, value)
        _check_text("stdin", self.stdin)
        for tag in self.tags:
            _check_text("tags", tag)
            if not tag:
                raise InvalidJob("tags has an empty string: give each tag at least one character")


_BACKOFFS = ("exponential", "linear", "fixed")


def _check_command(command: str | tuple[str, ...]) -> None:
    words = (command,) if isinstance(command, str) else command
    if not words or not (words[0].strip() if isinstance(command, str) else words[0]):
        raise InvalidJob("command is empty: give a shell command, or a program and its arguments")
    for word in words:
        _check_text("command", word)


def _check_text(key: str, text: str) -> None:
    if "\0" in text:
        raise InvalidJob(f"{key} has a NUL byte: remove it, no process can be given one")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidJob(f"{key} has a lone surrogate (U+{ord(text[error.start]):04X}): use valid Unicode") from None


def _check_name(key: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        shown = name if len(name) <= 40 else name[:40] + "…"
        raise InvalidJob(
            f"{key} is {shown!r}: use 1 to 128 of the characters A-Z a-z 0-9 . _ : -, the first a letter or digit"
        )


def _check_range(key: str, number: int, low: int, high: int) -> None:
    if not low <= number <= high:
        raise InvalidJob(f"{key} is {number}: use an integer from {low} to {high}")


def _check_exit_codes(key: str, codes: frozenset[int] | tuple[()]) -> None:
    for code in codes:
        if not 0 <= code <= 255:
            raise InvalidJob(f"{key} has {code}: use exit codes from 0 to 255")


def _check_variable(name: str, value: str) -> None:
    _check_text("env", name)
    _check_text("env", value)
    if not name or "=" in name:
        raise InvalidJob(f"env has the name {name!r}: a variable's name is not empty and has no '='")
    if name.startswith(RESERVED_ENV_PREFIX):
        raise InvalidJob(f"env has {name!r}: names that begin with {RESERVED_ENV_PREFIX} are queuectl's own")


def is_generated_id(job_id: str) -> bool:
    """Tell whether an id looks as generated ones do: 12 characters of lower-case Crockford base32."""
    return _GENERATED_ID.fullmatch(job_id) is not None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one enqueued job."""

    id: str
    queue: str
    existing: bool
    """True where `on_conflict` is ``ignore`` and the job was there already, as it was."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker holds a job under. Every write about a running job names all three."""

    job_id: str
    engine_id: str
    """Random, never used again."""
    token: int
    """Only grows."""


@dataclass(frozen=True, slots=True)
class Job(_Spec):
    """A job as the store keeps it. Times are aware, in UTC, to the millisecond."""

    _: KW_ONLY
    id: str
    state: JobState
    run_at: datetime
    """When it is, or was, due."""
    attempts: int
    """Executions that ended by themselves."""
    runs: int
    """Executions in all."""
    crashes: int
    """Engines in a row that died under it."""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    """Of the last run."""
    finished_at: datetime | None
    """When it became final."""
    engine_id: str | None
    """Of the last run."""
    worker: int | None
    """The slot of the last run in its engine."""
    claim_token: int
    pid: int | None
    """The process of the run under way, once the engine has reported it; also its process group and session."""
    pid_start: str | None
    """When that process started, in the machine's own terms: with the pid it names a process for good."""
    exit_code: int | None
    """Of the last run that ended by itself."""
    error: str | None
    """Why the last run did not succeed, as a sentence."""

    @property
    def claim(self) -> Claim:
        """The claim that the job is, or was last, held under."""
        return Claim(self.id, self.engine_id or "", self.claim_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a job's command."""

    job_id: str
    run: int
    """From 1, never reset."""
    attempt: int
    """`attempts` + 1 at its start."""
    engine_id: str
    worker: int
    outcome: str | None
    """The name of an `Outcome`; None while it runs."""
    exit_code: int | None
    signal: int | None
    error: str | None
    started_at: datetime
    finished_at: datetime | None
    """None while it runs."""
    duration: timedelta | None
    """None while it runs, and where nobody saw the end."""
