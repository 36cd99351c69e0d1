"""A program that runs queuectl's command lines with its system calls under watch; see `watched`.

It is told what to run on its standard input, a JSON array of command lines at a time, and runs those side by side,
each in a fork of its own, which spares every one of them the start of an interpreter.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from queuectl.cli import enqueue, worker  # noqa: F401 - imported once, for all forks
from queuectl.cli.command_line import run
from queuectl.store.sqlite import checkpoint, store  # noqa: F401 - likewise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NUMBERS = {
    "x86_64": {
        "write": 1,
        "open": 2,
        "pwrite64": 18,
        "fsync": 74,
        "fdatasync": 75,
        "ftruncate": 77,
        "rename": 82,
        "unlink": 87,
        "openat": 257,
        "unlinkat": 263,
        "renameat": 264,
        "renameat2": 316,
    },
    "aarch64": {
        "renameat": 38,
        "unlinkat": 35,
        "ftruncate": 46,
        "openat": 56,
        "write": 64,
        "pwrite64": 68,
        "fsync": 82,
        "fdatasync": 83,
        "renameat2": 276,
    },
}
"""The numbers of the calls that change what a disk holds, on each kind of machine."""

_AUDIT_ARCH = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_NOTIFY, _ALLOW = 0x7FC0_0000, 0x7FFF_0000
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCH_AT = 0, 4
"""Where a filter finds what it judges by."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _filter(machine: str) -> bytes:
    """Give the program that has the kernel ask about these calls and let all others pass."""
    numbers = NUMBERS[machine].values()
    steps = [(_LOAD, 0, 0, _ARCH_AT), (_JUMP_IF_EQUAL, 0, len(numbers) + 1, _AUDIT_ARCH[machine])]
    steps.append((_LOAD, 0, 0, _NUMBER_AT))
    # Each jumps over the tests behind it, and over the first of the two answers.
    steps += [(_JUMP_IF_EQUAL, len(numbers) - n, 0, number) for n, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _watch() -> int:
    """Put this process and all its children under watch; give the descriptor on which the kernel asks."""
    machine = platform.machine()
    libc = ctypes.CDLL(None, use_errno=True)
    instructions = _filter(machine)
    program = _Program(len(instructions) // 8, instructions)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    number = ctypes.c_long(_SECCOMP[machine])
    descriptor: int = libc.syscall(
        number, ctypes.c_long(_SET_MODE_FILTER), ctypes.c_long(_NEW_LISTENER), ctypes.byref(program)
    )
    if descriptor < 0:
        sys.exit(
            f"the kernel, or this container, refuses seccomp's user notification: {os.strerror(ctypes.get_errno())}"
        )
    return descriptor


def _start(args: Sequence[str], told: str) -> int:
    """Run one command line in a fork, with what it prints in a file; give its process id."""
    if pid := os.fork():
        return pid
    descriptor = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, sys.stdout.fileno())
    os.dup2(descriptor, sys.stderr.fileno())
    os._exit(run(args))


def _serve(requests: Iterable[str], *, checkpoint_every: int) -> None:
    for name in ("_COMMITS", "_LOOK_EVERY"):
        setattr(checkpoint, name, checkpoint_every)
    for request in requests:
        started = [_start(args, told) for args, told in json.loads(request)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in started]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _, handed, commits, folder = sys.argv
    os.chdir(Path(folder))
    with socket.socket(fileno=int(handed)) as to_watcher:
        socket.send_fds(to_watcher, [b"!"], [_watch()])
    _serve(sys.stdin, checkpoint_every=int(commits))
