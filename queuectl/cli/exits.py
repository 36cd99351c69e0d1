"""Exit codes: what the shell sees, and the one map from errors to it."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from queuectl.errors import Conflict, InvalidInput, LeaseLost, NotFound, QueuectlError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ExitCode", "exit_code_of"]


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
    TIMED_OUT = 124
    """What was waited for did not come in time; also the job that was waited for took longer than its timeout."""
    OWN = 125
    """Where a job's exit code is expected: something of queuectl's own was in the way."""
    INTERRUPTED = 130
    CLOSED_PIPE = 141


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
