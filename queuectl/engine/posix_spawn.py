"""Starting a process by the C library's posix_spawn, at half of what `subprocess` costs.

Python's own `os.posix_spawn` knows no working directory, and like `subprocess` it holds the interpreter's lock until
the child has begun: the store's thread would stand still for as long. The calling thread waits for that in any case.
Measured: to wait in threads of their own costs each command a fifth more work, which is worth it only on a machine
that others keep busy.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queuectl.engine.command_spec import CommandSpec

__all__ = ["has_posix_spawn", "spawn"]

# Larger than any C library's structures of these kinds.
_STRUCTURE = ctypes.c_char * 512
_SETSIGDEF = 0x04
_SETSID = 0x80
"""The same number in glibc and musl, which are those that have `addchdir_np`."""

_ELSEWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES})
"""Why a program cannot be run where it was looked for first, and may be where it is looked for next, as in a shell."""

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""What a child would go on ignoring."""


@cache
def has_posix_spawn() -> bool:
    """Tell whether this C library has all that `spawn` needs."""
    return os.uname().sysname == "Linux" and hasattr(_library(), "posix_spawn_file_actions_addchdir_np")


def spawn(spec: CommandSpec, stdin: int, stdout: int, stderr: int) -> int:
    """Start a command in a session of its own, on these descriptors, and give its process id.

    Of the other descriptors it gets those that are inheritable.

    Raises:
        ValueError: its words cannot be handed to a process.
        OSError: it was not started.
    """
    library = _library()
    actions = _STRUCTURE()
    _require(library.posix_spawn_file_actions_init(actions))
    try:
        for number, descriptor in enumerate((stdin, stdout, stderr)):
            _require(library.posix_spawn_file_actions_adddup2(actions, descriptor, number))
        if spec.cwd is not None:
            _require(library.posix_spawn_file_actions_addchdir_np(actions, _encode(spec.cwd)))
        return _spawn_first(spec, actions)
    finally:
        library.posix_spawn_file_actions_destroy(actions)


def _spawn_first(spec: CommandSpec, actions: ctypes.Array[ctypes.c_char]) -> int:
    arguments = _strings([_encode(word) for word in spec.argv])
    environment = _strings([_assignment(name, value) for name, value in spec.env.items()])
    pid = ctypes.c_int()
    failure = errno.ENOENT
    for path in _candidates(spec.argv[0], spec.env, spec.cwd):
        error = _library().posix_spawn(ctypes.byref(pid), _encode(path), actions, _attributes(), arguments, environment)
        if not error:
            return pid.value
        if error not in _ELSEWHERE:
            raise OSError(error, os.strerror(error))
        if error == errno.EACCES:
            failure = error
    raise OSError(failure, os.strerror(failure))


def _candidates(program: str, env: Mapping[str, str], cwd: str | None) -> Iterator[str]:
    """Give where a program may be: one without a slash is searched for, seen from its own working directory."""
    if "/" in program:
        yield program
        return
    for folder in os.get_exec_path(env):
        path = os.path.join(cwd or "", folder, program)  # noqa: PTH118 - these are the texts that were given
        if os.path.lexists(path):
            yield path


@cache
def _library() -> ctypes.CDLL:
    # Its functions give the interpreter's lock away while they run.
    return ctypes.CDLL(None)


@cache
def _attributes() -> ctypes.Array[ctypes.c_char]:
    library = _library()
    attributes, signals = _STRUCTURE(), _STRUCTURE()
    _require(library.sigemptyset(signals))
    for number in _IGNORED_BY_PYTHON:
        _require(library.sigaddset(signals, int(number)))
    _require(library.posix_spawnattr_init(attributes))
    _require(library.posix_spawnattr_setsigdefault(attributes, signals))
    _require(library.posix_spawnattr_setflags(attributes, ctypes.c_short(_SETSIGDEF | _SETSID)))
    return attributes


def _strings(texts: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(texts) + 1))(*texts, None)


def _encode(text: str) -> bytes:
    encoded = os.fsencode(text)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


@lru_cache(maxsize=512)
def _assignment(name: str, value: str) -> bytes:
    # Most of an environment is the engine's own, the same for every command.
    return _encode(f"{name}={value}")


def _require(error: int) -> None:
    if error:
        raise OSError(error, os.strerror(error))
