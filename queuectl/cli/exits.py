"""Exit codes: what the shell sees, and the one map from errors to it."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from queuectl.errors import Conflict, InvalidInput, LeaseLost, NotFound, QueuectlError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EVERYWHERE", "FOUND", "MEANINGS", "SIGNALLED", "STEERED", "ExitCode", "Exits", "exit_code_of"]


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    NO = 1
    """Done, and the answer is no."""
    USAGE = 2
    """Bad usage or bad input; nothing was changed."""
    NOT_FOUND = 3
    CONFLICT = 4
    STORE = 5
    """The store cannot be used; it is left untouched."""
    FAULT = 70
    """A fault of queuectl's own."""
    UNPRINTED = 74
    """Not all could be printed; what was to be done may be done."""
    TIMED_OUT = 124
    """What was waited for did not come in time; also the job that was waited for took longer than its timeout."""
    OWN = 125
    """Where a job's exit code is expected: something of queuectl's own was in the way."""
    INTERRUPTED = 130
    CLOSED_PIPE = 141


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.NO: "done, and the answer is no",
    ExitCode.USAGE: "bad usage or bad input; nothing was changed",
    ExitCode.NOT_FOUND: "no such job, run, queue or engine",
    ExitCode.CONFLICT: "conflict: an id or unique key is taken, a prefix ambiguous, a state wrong for that",
    ExitCode.STORE: "the store cannot be used, and is left as it is; or the outcome is unknown: the message says so",
    ExitCode.FAULT: "a fault of queuectl's own; -vv shows where",
    ExitCode.UNPRINTED: "not all could be printed, as on a full disk; what was to be done may be done",
    ExitCode.TIMED_OUT: "what was waited for did not come in time, or the job took longer than its timeout",
    ExitCode.OWN: "where a job's exit code is expected: something that is not the command's own doing",
    ExitCode.INTERRUPTED: "Ctrl-C",
    ExitCode.CLOSED_PIPE: "a closed pipe",
}
"""What the exit codes mean, whatever the command."""

SIGNALLED = 128
"""What a shell adds to the number of the signal that ended a command."""

Exits: TypeAlias = "Mapping[int | str, str]"
"""What exit codes mean to one command: a number, or several in words."""

EVERYWHERE = (ExitCode.DONE, ExitCode.USAGE, ExitCode.STORE)
"""The exit codes of every command that uses a store."""
FOUND: Exits = {
    ExitCode.NOT_FOUND: "there is no such job",
    ExitCode.CONFLICT: "several generated ids begin so",
}
"""Those of a command about one job."""
STEERED: Exits = {
    ExitCode.NOT_FOUND: "one of the jobs is not there; nothing was changed",
    ExitCode.CONFLICT: "the state of one of them does not allow it, or several ids begin so; nothing was changed",
}
"""Those of a command that does something to jobs."""

_BY_ERROR: Mapping[type[QueuectlError], ExitCode] = {
    InvalidInput: ExitCode.USAGE,
    NotFound: ExitCode.NOT_FOUND,
    Conflict: ExitCode.CONFLICT,
    StoreError: ExitCode.STORE,
    # An engine deals with a lost lease itself: that it comes here at all is the fault.
    LeaseLost: ExitCode.FAULT,
}


def exit_code_of(error: QueuectlError) -> ExitCode:
    """Give the exit code of an error: that of the nearest class above it in the tree of errors."""
    return next(_BY_ERROR[cls] for cls in type(error).__mro__ if cls in _BY_ERROR)
