"""Starting a process by the function that `subprocess` itself calls, without what `Popen` does around it.

It begins the process by vfork. The C library's posix_spawn gives it a stack of its own each time; measured, that takes
a sixth longer.
"""

from __future__ import annotations

import os
import sys
from _posixsubprocess import fork_exec
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queuectl.engine.command_spec import CommandSpec

__all__ = ["has_fork_exec", "spawn"]

_KNOWN = frozenset({(3, 11), (3, 12), (3, 13)})
"""The Pythons whose function has these arguments: it is private, and may change."""

_NONE = -1
"""For a descriptor or a number that is not given."""

_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
"""What `os.fsencode` encodes by, which takes four calls more to look for what is no text."""
_LONGEST = 1_000
"""Bytes in which a process says why its program did not begin: ``OSError:2:noexec``, with the error in hexadecimal."""


def has_fork_exec() -> bool:
    """Tell whether this Python is one that `spawn` knows."""
    return sys.version_info[:2] in _KNOWN


def spawn(spec: CommandSpec, stdin: int, stdout: int, stderr: int) -> int:
    """Start a command in a session of its own, on these descriptors, and give its process id.

    Of the other descriptors it gets those that are inheritable.

    Raises:
        ValueError: its words cannot be handed to a process.
        OSError: it was not started.
    """
    cwd = None if spec.cwd is None else spec.cwd.encode(_ENCODING, _ERRORS)
    failure, failure_end = os.pipe()
    try:
        try:
            pid = fork_exec(
                [word.encode(_ENCODING, _ERRORS) for word in spec.argv],
                [path.encode(_ENCODING, _ERRORS) for path in _candidates(spec.argv[0], spec.env)],
                False,  # noqa: FBT003 - of all these, it takes none by its name: not to close other descriptors
                (failure_end,),
                cwd,  # type: ignore[arg-type] # its stub knows no bytes
                [_assignment(name, value) for name, value in spec.env.items()],
                stdin, _NONE, _NONE, stdout, _NONE, stderr, failure, failure_end,
                True,  # noqa: FBT003 - to have the signals that Python ignores as they are by default
                True,  # noqa: FBT003 - a session of its own
                _NONE, None, None, None, _NONE,  # process group, group, groups, user, umask: as they are
                None,  # type: ignore[arg-type] # nothing to be called first, which its stub does not know
                True,  # noqa: FBT003 - by vfork
            )  # fmt: skip
        finally:
            os.close(failure_end)
        # The end that the process has is closed as its program begins.
        told = os.read(failure, _LONGEST)
    finally:
        os.close(failure)
    if told:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
        error = int(told.split(b":")[1], 16)
        raise OSError(error, os.strerror(error))
    return pid


def _candidates(program: str, env: Mapping[str, str]) -> Iterator[str]:
    """Give where a program may be: one without a slash is searched for, seen from its own working directory."""
    if "/" in program:
        yield program
        return
    for folder in os.get_exec_path(env):
        yield os.path.join(folder, program)  # noqa: PTH118 - these are the texts that were given


@lru_cache(maxsize=512)
def _assignment(name: str, value: str) -> bytes:
    # Most of an environment is the engine's own, the same for every command.
    return f"{name}={value}".encode(_ENCODING, _ERRORS)
