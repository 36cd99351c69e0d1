"""Watches the system calls by which queuectl changes what a disk holds, or lets some of them fail.

The kernel asks about each such call before it does it (seccomp's user notification): that takes Linux 5.5, no
privileges, no compiler and no tracer. Where a container forbids it, what uses it fails and says so.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import platform
import select
import socket
import struct
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import queuectl
from tests.faults.watched_main import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Change", "Create", "Remove", "Sync", "Truncate", "Watched", "Write", "watched"]

_RECEIVE, _SEND = 0xC050_2100, 0xC018_2101
_QUESTION = struct.Struct("=QIIiIQ6Q")
"""id, process, flags, number, architecture, instruction, arguments."""
_ANSWER = struct.Struct("=QqiI")
"""id, value, error, flags."""
_GO_AHEAD = 1
_LONGEST_PATH = 4096
_PLACES = (str(Path(queuectl.__file__).parents[1]), str(Path(__file__).parents[2]))
"""Where the process finds the package under test, and these tests."""
_AT_CWD = -100
"""What takes the place of a directory's descriptor for the current one."""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes are put into a file."""

    path: Path
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file gets another size."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class Create:
    """A file that was not there is made."""

    path: Path


@dataclass(frozen=True, slots=True)
class Remove:
    """A file is taken out of its directory."""

    path: Path


@dataclass(frozen=True, slots=True)
class Sync:
    """All of a file so far, or of a directory's entries, is made durable."""

    path: Path


Change = Write | Truncate | Create | Remove | Sync


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that waits for its answer, so that the process that makes it can be looked into."""

    process: int
    name: str
    args: tuple[int, ...]

    def change(self) -> Change | None:
        """Say what the call is about to change; None for nothing that a disk keeps."""
        match self.name:
            case "write" | "pwrite64":
                return Write(self._file(), self._offset(), self._memory(self.args[1], self.args[2]))
            case "ftruncate":
                return Truncate(self._file(), self.args[1])
            case "fsync" | "fdatasync":
                return Sync(self._file())
            case "open" | "openat":
                path, flags = (
                    (self._path(_AT_CWD, self.args[0]), self.args[1])
                    if self.name == "open"
                    else (self._path(self.args[0], self.args[1]), self.args[2])
                )
                return Create(path) if flags & os.O_CREAT and not path.exists() else None
            case "unlink":
                return Remove(self._path(_AT_CWD, self.args[0]))
            case "unlinkat":
                return Remove(self._path(self.args[0], self.args[1]))
            case _:
                raise NotImplementedError(f"{self.name}: queuectl has renamed nothing so far")

    def _offset(self) -> int:
        if self.name == "pwrite64":
            return self.args[3]
        [position, *_] = Path(f"/proc/{self.process}/fdinfo/{self.args[0]}").read_text().splitlines()
        return int(position.removeprefix("pos:"))

    def _file(self) -> Path:
        return Path(f"/proc/{self.process}/fd/{self.args[0]}").readlink()

    def _path(self, directory: int, address: int) -> Path:
        # Not beyond the page, which may be the last one there is.
        size = _LONGEST_PATH - address % _LONGEST_PATH
        text = self._memory(address, size)
        if b"\0" not in text:
            text += self._memory(address + size, _LONGEST_PATH)
        directory = struct.unpack("=i", struct.pack("=I", directory & 0xFFFF_FFFF))[0]
        base = "cwd" if directory == _AT_CWD else f"fd/{directory}"
        return Path(f"/proc/{self.process}/{base}").readlink() / os.fsdecode(text.partition(b"\0")[0])

    def _memory(self, address: int, size: int) -> bytes:
        with Path(f"/proc/{self.process}/mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(size)


class Watched:
    """Runs queuectl's command lines under watch."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._told = itertools.count()
        self.judge: Callable[[Change], int] = lambda _: 0
        """Is asked about every change of a file before it is made, one at a time; gives an `errno` to let it fail."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def run(self, *lines: Sequence[str]) -> list[tuple[int, str]]:
        """Run command lines side by side to their ends; give each one's exit code and all that it printed."""
        told = [self._folder / f"told-{next(self._told)}" for _ in lines]
        request = [(line, str(path)) for line, path in zip(lines, told, strict=True)]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        codes = json.loads(self._process.stdout.readline())
        return [(code, path.read_text()) for code, path in zip(codes, told, strict=True)]


class _Watcher:
    """Answers the kernel's questions, on a thread of its own."""

    def __init__(self, descriptor: int, watched: Watched) -> None:
        self._descriptor = descriptor
        self._watched = watched
        self._names = {number: name for name, number in NUMBERS[platform.machine()].items()}
        self._thread = threading.Thread(target=self._answer_all, name="watcher")
        self._faults: list[Exception] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        os.close(self._descriptor)
        assert not self._faults, self._faults

    def _answer_all(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while all(event & select.POLLIN for _, event in poll.poll()):
            # A process that was killed meanwhile asks no more.
            with suppress(FileNotFoundError, InterruptedError):
                self._answer_one()

    def _answer_one(self) -> None:
        question = bytearray(_QUESTION.size)
        fcntl.ioctl(self._descriptor, _RECEIVE, question)
        number, process, _, call, _, _, *args = _QUESTION.unpack(question)
        error = 0
        try:
            if change := _Call(process, self._names[call], tuple(args)).change():
                error = self._watched.judge(change)
        except (FileNotFoundError, ProcessLookupError):
            # A descriptor that is not open, or a process that was killed meanwhile: nothing is changed.
            pass
        except Exception as fault:  # noqa: BLE001 - who asks must have an answer
            self._faults.append(fault)
        answer = _ANSWER.pack(number, 0, -error, 0 if error else _GO_AHEAD)
        fcntl.ioctl(self._descriptor, _SEND, bytearray(answer))


@contextmanager
def watched(folder: Path, *, checkpoint_every: int) -> Iterator[Watched]:
    """Begin to watch: command lines run in `folder`, and engines move the log into the file after so many commits."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "tests.faults.watched_main"),
                    *(str(theirs.fileno()), str(checkpoint_every), str(folder)),
                ],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(_PLACES)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                pass_fds=[theirs.fileno()],
            )
        with process:
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
            assert descriptors, "nothing can be watched here: see what the process has printed"
            found = Watched(process, folder)
            with _Watcher(descriptors[0], found), found:
                yield found
