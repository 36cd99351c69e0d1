"""Why a command could not be started, in words for the person who wrote the job."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

from queuectl.outcome import Interrupted, SpawnFailed

if TYPE_CHECKING:
    from queuectl.engine.command_spec import CommandSpec

__all__ = ["explain_failure", "no_means_left"]

_NO_MEANS_LEFT = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC})
_MISSING = 127
_NOT_EXECUTABLE = 126


def no_means_left(error: Exception) -> Interrupted:
    """Say that the machine, and not the job, is to blame."""
    cause = error.strerror if isinstance(error, OSError) else str(error)
    return Interrupted(f"no process, descriptor or memory was left to start it ({cause})")


def explain_failure(spec: CommandSpec, error: OSError) -> SpawnFailed | Interrupted:
    """Tell what stood in the way of a command: the machine (`Interrupted`), its directory, or its program."""
    if error.errno in _NO_MEANS_LEFT:
        return no_means_left(error)
    # The directory is entered before the program is looked for.
    return _directory_failure(spec.cwd) or _program_failure(spec, error)


def _directory_failure(cwd: str | None) -> SpawnFailed | None:
    if cwd is None:
        return None
    try:
        os.stat(f"{cwd}/.")  # noqa: PTH116 - with the dot, which pathlib drops, it wants what entering wants
    except FileNotFoundError:
        return SpawnFailed(f"the working directory {cwd} does not exist", _MISSING)
    except NotADirectoryError:
        return SpawnFailed(f"the working directory {cwd} is not a directory", _NOT_EXECUTABLE)
    except OSError as error:
        return SpawnFailed(f"the working directory {cwd} cannot be entered ({error.strerror})", _NOT_EXECUTABLE)
    return None


def _program_failure(spec: CommandSpec, error: OSError) -> SpawnFailed:
    program = spec.argv[0]
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        missing = f"the interpreter in the first line of {program}" if _is_there(spec) else f"the program {program}"
        return SpawnFailed(f"{missing} does not exist", _MISSING)
    if error.errno == errno.EACCES and os.path.isdir(_path(spec)):  # noqa: PTH112 - unlike pathlib's, it never raises
        return SpawnFailed(f"{program} is a directory", _NOT_EXECUTABLE)
    why = _REFUSALS.get(error.errno or 0, f"cannot be executed ({error.strerror})")
    return SpawnFailed(f"{program} {why}", _NOT_EXECUTABLE)


_REFUSALS = {
    errno.EACCES: "is not executable by this user",
    errno.ENOEXEC: "is in no format that this machine can execute",
    errno.E2BIG: "is given more arguments and environment than this machine allows",
    errno.ETXTBSY: "is being written by another process",
}


def _is_there(spec: CommandSpec) -> bool:
    if "/" in spec.argv[0]:
        return os.path.exists(_path(spec))  # noqa: PTH110 - unlike pathlib's, it never raises
    search = os.pathsep.join(os.get_exec_path(spec.env))
    return shutil.which(spec.argv[0], mode=os.F_OK, path=search) is not None


def _path(spec: CommandSpec) -> str:
    return os.path.join(spec.cwd or "", spec.argv[0])  # noqa: PTH118 - these are the texts that were given
