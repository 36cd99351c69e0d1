"""A child process by Linux's pidfds, at half of what asyncio's own transports cost."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from queuectl.engine.child import Child, kill_and_reap
from queuectl.engine.child_watch import QUICK, ChildWatch
from queuectl.engine.fork_exec import has_fork_exec, spawn

if TYPE_CHECKING:
    from typing import IO

    from queuectl.engine.command_spec import CommandSpec

__all__ = ["PidfdChild", "has_pidfds", "hide_descriptors"]

_PIECE = 1 << 18
"""Bytes read at a time."""
_TAKEN_AWAY = 255
"""The exit code, where SIGCHLD is ignored or somebody else has reaped the process. It must not look like success."""
_STANDARD_STREAMS = frozenset({0, 1, 2})
_DESCRIPTORS = Path("/proc/self/fd")


@cache
def has_pidfds() -> bool:
    """Tell, once and for all, whether the kernel lets this process use `PidfdChild`."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return _DESCRIPTORS.is_dir()


def hide_descriptors() -> None:
    """Keep the descriptors that this process inherited from its commands. To be called once, before the first.

    Those that Python opens are hidden from the start. Closing all of them in every child instead takes longer than
    starting it.
    """
    if not has_pidfds():
        return
    for descriptor in {int(entry.name) for entry in _DESCRIPTORS.iterdir()} - _STANDARD_STREAMS:
        # The one that the directory was read by is closed again.
        with suppress(OSError):
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - it takes no keywords


class PidfdChild(Child):
    """A child whose end is told by a pidfd. It sees every descriptor that is inheritable: see `hide_descriptors`."""

    def __init__(self, max_output: int) -> None:
        """Keep at most `max_output` bytes of each stream."""
        super().__init__(max_output)
        self._pid: int
        self._pidfd: int
        self._returncode: int
        self._pipes: dict[int, int] = {}
        self._reads_along = False

    async def start(self, spec: CommandSpec, stdin: IO[bytes]) -> None:
        """Start the process, without ever yielding to the event loop."""
        try:
            self._pid = self._spawn(spec, stdin.fileno())
            self._watch()
        except BaseException:
            self._close_pipes()
            raise

    def _spawn(self, spec: CommandSpec, stdin: int) -> int:
        write_ends: list[int] = []
        try:
            for number in self._streams:
                self._pipes[number], write_end = os.pipe()
                write_ends.append(write_end)
            return (spawn if has_fork_exec() else _spawn_by_subprocess)(spec, stdin, *write_ends)
        finally:
            for write_end in write_ends:
                os.close(write_end)

    def _watch(self) -> None:
        try:
            self._pidfd = os.pidfd_open(self._pid)
            try:
                ChildWatch.of_this_loop().begin(self, self._pidfd)
            except BaseException:
                os.close(self._pidfd)
                raise
        except BaseException:
            kill_and_reap(self._pid)
            raise

    @property
    def pid(self) -> int:
        """The id of the process, and of its process group and session."""
        return self._pid

    async def exited(self) -> int:
        """Wait for the process's end and give its exit code, or the negated number of the signal that ended it."""
        await self._exited.wait()
        return self._returncode

    async def close(self) -> None:
        """Read what is in the pipes at this moment, and let go of them."""
        for number, pipe in self._pipes.items():
            self._read_rest(number, pipe)
        self._close_pipes()

    def note_exit(self) -> None:
        """Take note that the process has ended."""
        os.close(self._pidfd)
        self._returncode = _reap(self._pid)
        self._exited.set()

    def note_age(self) -> None:
        """Read along from now on. What a quicker command prints is read once, at its end."""
        self._reads_along = True
        loop = asyncio.get_running_loop()
        try:
            for number, pipe in self._pipes.items():
                loop.add_reader(pipe, self._read, number)
        except OSError:
            # The kernel can watch no more just now. Unread, a full pipe would hold the command up for good.
            loop.call_later(QUICK, self.note_age)

    def _read(self, number: int) -> None:
        # It never blocks: nobody else reads this pipe.
        if data := os.read(self._pipes[number], _PIECE):
            self._streams[number].feed(data)
        else:
            self._close_pipe(number)

    def _close_pipes(self) -> None:
        for number in tuple(self._pipes):
            self._close_pipe(number)

    def _close_pipe(self, number: int) -> None:
        pipe = self._pipes.pop(number)
        if self._reads_along:
            asyncio.get_running_loop().remove_reader(pipe)
        os.close(pipe)


def _spawn_by_subprocess(spec: CommandSpec, stdin: int, stdout: int, stderr: int) -> int:
    process = subprocess.Popen(
        spec.argv,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=spec.cwd,
        env=spec.env,
        close_fds=False,
        start_new_session=True,
    )
    # It is reaped here: Popen would do so at some moment of its own, and take an exit code that is gone for 0.
    process.returncode = 0
    return process.pid


def _reap(pid: int) -> int:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return _TAKEN_AWAY
    return os.waitstatus_to_exitcode(status)
