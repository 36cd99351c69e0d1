"""A child process of which two things are wanted: what it prints, capped while it is read, and its end."""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import signal
import termios
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

from queuectl.output import CappedStream, OutputUpdate, Stream, take_update

if TYPE_CHECKING:
    from typing import IO

    from queuectl.engine.command_spec import CommandSpec

__all__ = ["Child", "kill_and_reap"]


class Child(ABC):
    """One process with its two pipes, from `start` until `close`.

    The process's exit alone ends it: a pipe that something in the background still holds is not waited for.
    """

    def __init__(self, max_output: int) -> None:
        """Keep at most `max_output` bytes of each stream."""
        self._streams = {1: CappedStream(Stream.STDOUT, max_output), 2: CappedStream(Stream.STDERR, max_output)}
        self._exited = asyncio.Event()

    @abstractmethod
    async def start(self, spec: CommandSpec, stdin: IO[bytes]) -> None:
        """Start the process as `spec` says, in a session of its own. No cancellation cuts this short.

        Raises:
            ValueError: the words cannot be handed to a process.
            OSError, RuntimeError: it was not started, or could not be watched and was killed.
        """

    @property
    @abstractmethod
    def pid(self) -> int:
        """The id of the process, and of its process group and session."""

    @abstractmethod
    async def exited(self) -> int:
        """Wait for the process's end and give its exit code, or the negated number of the signal that ended it.

        It is 255 where somebody else has taken the exit code away.
        """

    @abstractmethod
    async def close(self) -> None:
        """Read what is in the pipes at this moment, and let go of them. The process has exited."""

    @property
    def has_news(self) -> bool:
        """Whether anything was printed since the last `take_output`."""
        return any(stream.has_news for stream in self._streams.values())

    def take_output(self) -> OutputUpdate:
        """Hand out what was printed since the last call."""
        return take_update(self._streams.values())

    def has_exited(self) -> bool:
        """Tell whether the process has ended, even where the event loop has not come to notice it."""
        if self._exited.is_set():
            return True
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True
        except AttributeError:
            return False  # macOS has no waitid before Python 3.13.

    def _read_rest(self, number: int, pipe: int) -> None:
        # No more than is there now, or something that floods the pipe in the background would hold us.
        waiting = array.array("i", [0])
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
        if waiting[0]:
            self._streams[number].feed(os.read(pipe, waiting[0]))


def kill_and_reap(pid: int) -> None:
    """Be rid of a process that was started in a session of its own, and then could not be watched."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
