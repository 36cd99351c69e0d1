"""What a user asks for: a job that is not stored yet, and what makes a job acceptable.

It stands apart from `job`, which shows it too, so that a command that only stores a job loads nothing else.
"""

from __future__ import annotations

import re
import sys
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from queuectl.errors import InvalidJob, quote
from queuectl.value import value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "GENERATED_ID_LENGTH",
    "ID_ALPHABET",
    "MAX_DURATION",
    "MAX_JOB_BYTES",
    "RESERVED_ENV_PREFIX",
    "YEARS",
    "Backoff",
    "Condition",
    "Dependency",
    "NewJob",
    "OnConflict",
    "Receipt",
    "Spec",
    "is_name",
]

MAX_JOB_BYTES = 1 << 20
"""The largest job, as JSON in UTF-8."""
MAX_DURATION = timedelta(days=36_525)
"""The longest duration that is accepted: a hundred years, so that no sum of times overflows."""
YEARS = range(1970, 9001)
"""Where times may lie: those near the end of the calendar overflow as soon as something is added to them."""
MAX_PRIORITY = 1_000_000
MAX_RETRIES = 1_000
MAX_CONCURRENCY = 1_000_000
MAX_EXIT_CODE = 255
RESERVED_ENV_PREFIX = "QUEUECTL_"

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Lower-case Crockford base32: no i, l, o, u."""
GENERATED_ID_LENGTH = 12

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)


class Backoff(StrEnum):
    """How the delay before a retry grows with the number of attempts."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"
    FIXED = "fixed"


class OnConflict(StrEnum):
    """What to do with a new job whose id, or unique key, is taken."""

    REFUSE = "refuse"
    IGNORE = "ignore"


class Condition(StrEnum):
    """How another job has to end before one that comes after it may run."""

    OK = "ok"
    """It has to complete."""
    ANY = "any"
    """It has to end, in whatever way."""
    NOT_OK = "notok"
    """It has to die, or to be cancelled."""


class Dependency(NamedTuple):
    """Another job that a job comes after."""

    id: str
    condition: Condition = Condition.OK


# Only what is made of it is ever used: methods that are written for it too would cost every start of a command.
@dataclass(frozen=True, slots=True, init=False, repr=False, eq=False)
class Spec:
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
    unique: str | None = None
    """A key that only one job may have which is not final."""
    after: tuple[Dependency, ...] = ()
    """Jobs that have to end first."""
    concurrency_key: str | None = None
    """The job starts only if fewer than `concurrency_limit` jobs with that key are processing."""
    concurrency_limit: int = 1
    tags: tuple[str, ...] = ()


@value
class NewJob(Spec):
    """A job as it is handed to `enqueue`. It refuses what cannot be stored.

    Raises:
        InvalidJob: a value is out of range; the message names the key, what was found and what is allowed.
    """

    _: KW_ONLY
    id: str | None = None
    """None for a generated one."""
    run_at: datetime | None = None
    """Aware; None for now."""
    delay: timedelta | None = None
    """From when it is stored, by the store's clock, in place of `run_at`."""
    on_conflict: OnConflict = OnConflict.REFUSE

    def __post_init__(self) -> None:
        """Check each value against what the store accepts."""
        _check_identity(self)
        _check_execution(self)
        _check_retries(self)
        _check_relations(self)
        _check_texts(self)

    def due(self, now: datetime) -> datetime:
        """Give the time before which it does not run, if it is stored `now`."""
        if self.delay is not None:
            return now + self.delay
        return now if self.run_at is None else self.run_at


def _refusal(key: str, found: object, allowed: str) -> InvalidJob:
    # Python would write a duration in a form that is none of ours.
    shown = f"{found.total_seconds():g}s" if isinstance(found, timedelta) else quote(found)
    return InvalidJob(f"{key} is {shown}: use {allowed}")


class _Range(NamedTuple):
    kind: type | tuple[type, ...]
    low: Any
    high: Any
    allowed: str

    def check(self, key: str, value: object) -> None:
        if not isinstance(value, self.kind) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise _refusal(key, value, self.allowed)


_PRIORITY = _Range(int, -MAX_PRIORITY, MAX_PRIORITY, f"an integer from -{MAX_PRIORITY} to {MAX_PRIORITY}")
_RETRIES = _Range(int, 0, MAX_RETRIES, f"an integer from 0 to {MAX_RETRIES}")
_TIMEOUT = _Range(timedelta, timedelta(milliseconds=1), MAX_DURATION, f"1ms to {MAX_DURATION.days}d")
_DELAY = _Range(timedelta, timedelta(0), MAX_DURATION, f"0s to {MAX_DURATION.days}d")
_BASE = _Range((int, float), 1, sys.float_info.max, "a number of at least 1")
_SHARE = _Range((int, float), 0, 1, "a number from 0 to 1")
_CONCURRENCY = _Range(int, 1, MAX_CONCURRENCY, f"an integer from 1 to {MAX_CONCURRENCY}")
_EXIT_CODE = _Range(int, 0, MAX_EXIT_CODE, f"exit codes from 0 to {MAX_EXIT_CODE}")
_NOT_EMPTY = "a string of at least one character"


# Most jobs leave most keys out, and a large batch has a million jobs: so what is not given is passed over at once.


def _check_identity(job: NewJob) -> None:
    if job.id is not None:
        _check_name("id", job.id)
    if job.queue != "default":
        _check_name("queue", job.queue)
    if job.priority != 0:
        _PRIORITY.check("priority", job.priority)
    if not isinstance(job.on_conflict, OnConflict):
        raise _refusal("on_conflict", job.on_conflict, "OnConflict.REFUSE or OnConflict.IGNORE")
    for tag in job.tags:
        if not tag:
            raise _refusal("a tag in tags", tag, _NOT_EMPTY)


def is_name(text: str) -> bool:
    """Tell whether a text can be an id, or the name of a queue."""
    return _NAME.fullmatch(text) is not None


def _check_name(key: str, name: str) -> None:
    if not is_name(name):
        raise _refusal(key, name, "1 to 128 of the characters A-Z a-z 0-9 . _ : -, the first a letter or digit")


def _check_execution(job: NewJob) -> None:
    command = job.command
    if not (command.strip() if isinstance(command, str) else command and command[0]):
        raise InvalidJob("command is empty: give a shell command, or a program and its arguments")
    if job.run_at is not None and (job.run_at.utcoffset() is None or job.run_at.year not in YEARS):
        raise _refusal("run_at", job.run_at, f"a time with a time zone, in the years {YEARS[0]} to {YEARS[-1]}")
    if job.delay is not None:
        _DELAY.check("delay", job.delay)
        if job.run_at is not None:
            raise InvalidJob("run_at and delay are both given: keep one")
    if job.timeout is not None:
        _TIMEOUT.check("timeout", job.timeout)
    if job.cwd is not None and not job.cwd.startswith("/"):
        raise _refusal("cwd", job.cwd, "an absolute path")
    for name in job.env:
        _check_variable(name)


def _check_variable(name: str) -> None:
    if not name or "=" in name:
        raise InvalidJob(f"env has the name {quote(name)}: use names that are not empty and have no '='")
    if name.startswith(RESERVED_ENV_PREFIX):
        raise InvalidJob(f"env has {quote(name)}: names that begin with {RESERVED_ENV_PREFIX} are queuectl's own")


def _check_retries(job: NewJob) -> None:
    if job.max_retries is not None:
        _RETRIES.check("max_retries", job.max_retries)
    if job.backoff is not None and job.backoff not in [*Backoff]:
        raise _refusal("backoff", job.backoff, ", ".join(Backoff))
    if job.backoff_base is not None:
        _BASE.check("backoff_base", job.backoff_base)
    if job.backoff_max is not None:
        _DELAY.check("backoff_max", job.backoff_max)
    if job.backoff_jitter is not None:
        _SHARE.check("backoff_jitter", job.backoff_jitter)
    for code in job.retry_on or ():
        _EXIT_CODE.check("an exit code in retry_on", code)
    for code in job.no_retry_on:
        _EXIT_CODE.check("an exit code in no_retry_on", code)


def _check_relations(job: NewJob) -> None:
    if job.unique == "":
        raise _refusal("unique", "", _NOT_EMPTY)
    if job.concurrency_key == "":
        raise _refusal("concurrency_key", "", _NOT_EMPTY)
    if job.concurrency_limit != 1:
        _CONCURRENCY.check("concurrency_limit", job.concurrency_limit)
    if job.after:
        _check_after(job)


def _check_after(job: NewJob) -> None:
    seen: set[str] = set()
    for other in job.after:
        _check_name("an id in after", other.id)
        if other.id in seen:
            raise InvalidJob(f"after has {other.id} twice: keep one")
        if other.id == job.id:
            raise InvalidJob(f"after has the job's own id {job.id}: a job cannot wait for itself")
        seen.add(other.id)


def _check_texts(job: NewJob) -> None:
    command = job.command if isinstance(job.command, str) else "".join(job.command)
    # All at once, since nearly every job's texts are right.
    whole = command + job.stdin + (job.cwd or "")
    if job.unique or job.concurrency_key:
        whole += (job.unique or "") + (job.concurrency_key or "")
    if job.tags or job.env:
        whole += "".join((*job.tags, *job.env, *job.env.values()))
    if "\0" in whole:
        raise _bad_text(job, "\0", "a NUL byte: remove it, no process can be given one")
    try:
        size = len(whole) if whole.isascii() else len(whole.encode())
    except UnicodeEncodeError as error:
        found = whole[error.start]
        raise _bad_text(job, found, f"a lone surrogate (U+{ord(found):04X}): use valid Unicode") from None
    if size > MAX_JOB_BYTES:
        raise InvalidJob(f"the job has {size} bytes of text: at most {MAX_JOB_BYTES} (1 MiB) are allowed")


def _bad_text(job: NewJob, character: str, problem: str) -> InvalidJob:
    keys = ("command", "stdin", "cwd", "unique", "concurrency_key", "tags")
    key = next((key for key in keys if character in "".join(getattr(job, key) or ())), "env")
    return InvalidJob(f"{key} has {problem}")


class Receipt(NamedTuple):
    """The answer to one enqueued job."""

    id: str
    queue: str
    existing: bool = False
    """True where `on_conflict` is ``ignore`` and the job was there already, as it was: the one that has the id, or the
    unique key, that was asked for."""
