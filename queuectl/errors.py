"""Everything that can go wrong in queuectl, as one tree.

::

    QueuectlError
    ├── InvalidInput             what a user gave cannot be accepted
    │   ├── InvalidJob
    │   ├── InvalidSetting
    │   ├── InvalidQueue
    │   ├── InvalidDuration
    │   └── InvalidTime
    ├── NotFound                 what a user named is not there
    │   ├── JobNotFound
    │   ├── RunNotFound
    │   ├── QueueNotFound
    │   └── EngineNotFound
    ├── Conflict                 it is there, and its state forbids the request
    │   ├── DuplicateJob
    │   ├── UniqueKeyTaken
    │   ├── AmbiguousId
    │   ├── PlaceTaken
    │   └── WrongState
    ├── StoreError               the store cannot be used; it is left untouched
    │   ├── StoreMissing
    │   ├── StoreForeign
    │   ├── StoreNewer
    │   ├── StoreOlder
    │   ├── StoreLocked
    │   ├── StoreInUse
    │   ├── StoreFull
    │   ├── StoreReadOnly
    │   ├── StoreUntrusted
    │   ├── StoreDamaged
    │   ├── StoreUnavailable
    │   └── OutcomeUnknown
    └── LeaseLost                a write about a job or an engine came from one that no longer holds it
        └── EngineFenced

A command that fails is none of these: it is a value, see `queuectl.outcome`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AmbiguousId",
    "Conflict",
    "DuplicateJob",
    "EngineFenced",
    "EngineNotFound",
    "InvalidDuration",
    "InvalidInput",
    "InvalidJob",
    "InvalidQueue",
    "InvalidSetting",
    "InvalidTime",
    "JobNotFound",
    "LeaseLost",
    "NotFound",
    "OutcomeUnknown",
    "PlaceTaken",
    "QueueNotFound",
    "QueuectlError",
    "RunNotFound",
    "StoreDamaged",
    "StoreError",
    "StoreForeign",
    "StoreFull",
    "StoreInUse",
    "StoreLocked",
    "StoreMissing",
    "StoreNewer",
    "StoreOlder",
    "StoreReadOnly",
    "StoreUnavailable",
    "StoreUntrusted",
    "UniqueKeyTaken",
    "WrongState",
    "quote",
]

_LONGEST_QUOTE = 60


class QueuectlError(Exception):
    """The root of all errors that queuectl raises on purpose.

    ``str(error)`` is a sentence for the user: what was found, what is allowed, what to do.
    """

    code: ClassVar[str] = "error"
    """The stable name of the error in JSON output."""


class InvalidInput(QueuectlError):
    """A value from outside was refused; nothing was changed."""

    code = "invalid_input"


class InvalidJob(InvalidInput):
    """A job was refused: a key is unknown, a value has the wrong type or is out of range."""

    code = "invalid_job"


class InvalidSetting(InvalidInput):
    """A setting does not exist, or does not take that value."""

    code = "invalid_setting"


class InvalidQueue(InvalidInput):
    """A rule for a queue does not exist, or does not take that value."""

    code = "invalid_queue"


class InvalidDuration(InvalidInput):
    """A text is no duration."""

    code = "invalid_duration"


class InvalidTime(InvalidInput):
    """A text is no point in time."""

    code = "invalid_time"


class NotFound(QueuectlError):
    """Something that was named does not exist."""

    code = "not_found"


class JobNotFound(NotFound):
    """No job has that id."""

    code = "job_not_found"


class RunNotFound(NotFound):
    """The job has no run with that number."""

    code = "run_not_found"


class QueueNotFound(NotFound):
    """No job stands or stood in a queue of that name, and no rule is set for it."""

    code = "queue_not_found"


class EngineNotFound(NotFound):
    """No engine has that id."""

    code = "engine_not_found"


class Conflict(QueuectlError):
    """The request contradicts what is stored."""

    code = "conflict"


class DuplicateJob(Conflict):
    """The id is taken by another job."""

    code = "duplicate_job"


class UniqueKeyTaken(Conflict):
    """Another job with that unique key is not final yet."""

    code = "unique_key_taken"


class AmbiguousId(Conflict):
    """A prefix of an id fits several jobs."""

    code = "ambiguous_id"


class PlaceTaken(Conflict):
    """Something is already where a file is to be written."""

    code = "place_taken"


class WrongState(Conflict):
    """The state of the job does not allow the action."""

    code = "wrong_state"


class StoreError(QueuectlError):
    """The store cannot be used as it is."""

    code = "store_error"


class StoreMissing(StoreError):
    """There is no store at that place, and the command does not create one."""

    code = "store_missing"


class StoreForeign(StoreError):
    """The file exists and is not a queuectl store."""

    code = "store_foreign"


class StoreNewer(StoreError):
    """The store was written by a newer queuectl."""

    code = "store_newer"


class StoreOlder(StoreError):
    """The store wants a migration, which is not allowed now."""

    code = "store_older"


class StoreLocked(StoreError):
    """Another process held the store's write lock for too long."""

    code = "store_locked"


class StoreInUse(StoreError):
    """An engine runs on the store, or may run on it, and must not."""

    code = "store_in_use"


class StoreFull(StoreError):
    """There is no space left for the store; the write did not happen."""

    code = "store_full"


class StoreReadOnly(StoreError):
    """The store cannot be written by this user or on this file system."""

    code = "store_read_only"


class StoreUntrusted(StoreError):
    """Others than the owner may write to the store, so its commands must not be run."""

    code = "store_untrusted"


class StoreDamaged(StoreError):
    """The store's content is corrupt."""

    code = "store_damaged"


class StoreUnavailable(StoreError):
    """The store could not be reached, read or written; the write did not happen."""

    code = "store_unavailable"


class OutcomeUnknown(StoreError):
    """A commit was sent and its success could not be learned: it may or may not be stored."""

    code = "outcome_unknown"

    def __init__(self, message: str, ids: Sequence[str] = ()) -> None:
        """Take the sentence for the user and the `ids` of the jobs whose fate is unknown."""
        super().__init__(message)
        self.ids = tuple(ids)


class LeaseLost(QueuectlError):
    """The job is no longer held under the claim that the write named; nothing was changed."""

    code = "lease_lost"


class EngineFenced(LeaseLost):
    """The engine is no longer registered, so others may already run its jobs; nothing was changed."""

    code = "engine_fenced"


def quote(value: object) -> str:
    """Show a value in a message: on one line, and cut where it is long."""
    try:
        text = value if isinstance(value, str) else str(value)
    except ValueError:
        return "a number with too many digits"
    if len(text) > _LONGEST_QUOTE:
        text = text[:_LONGEST_QUOTE] + "…"
    return repr(text) if isinstance(value, str) else text
