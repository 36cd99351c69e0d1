"""A child process as asyncio sees it: what it prints is read and capped, its end is an event."""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import signal
import subprocess
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from queuectl.output import CappedStream, OutputUpdate, Stream, take_update

if TYPE_CHECKING:
    from typing import IO

__all__ = ["Child"]


class Child(asyncio.SubprocessProtocol):
    """One process with its two pipes, from `connection_made` until `close`.

    The process's exit alone ends it: a pipe that something in the background still holds is not waited for.
    """

    def __init__(self, max_output: int) -> None:
        """Keep at most `max_output` bytes of each stream."""
        self._streams = {1: CappedStream(Stream.STDOUT, max_output), 2: CappedStream(Stream.STDERR, max_output)}
        self._transport: asyncio.SubprocessTransport
        self._is_unwanted = False
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()

    @property
    def pid(self) -> int:
        """The id of the process, and of its process group and session."""
        return self._transport.get_pid()

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

    async def exited(self) -> int:
        """Wait for the process's end and give its exit code, or the negated number of the signal that ended it."""
        await self._exited.wait()
        return cast("int", self._transport.get_returncode())

    async def close(self) -> None:
        """Read what is in the pipes at this moment, and let go of them. The process has exited."""
        pipes = [(fd, cast("asyncio.ReadTransport", self._transport.get_pipe_transport(fd))) for fd in self._streams]
        for _, transport in pipes:
            transport.pause_reading()
        # What asyncio has read before is handed over in its next pass.
        await asyncio.sleep(0)
        for fd, transport in pipes:
            self._read_rest(fd, transport.get_extra_info("pipe"))
        self._transport.close()
        await self._closed.wait()

    def _read_rest(self, fd: int, pipe: IO[bytes]) -> None:
        if pipe.closed:
            return
        # No more than is there now, or something that floods the pipe in the background would hold us.
        waiting = array.array("i", [0])
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
        if waiting[0]:
            self._streams[fd].feed(os.read(pipe.fileno(), waiting[0]))

    def disown(self) -> None:
        """Have the process killed as soon as asyncio hands it over: it started, and then could not be watched."""
        self._is_unwanted = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the process over."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        if self._is_unwanted:
            self._kill_and_reap(transport.get_extra_info("subprocess"))

    def _kill_and_reap(self, process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self._transport.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take what the process has printed."""
        self._streams[fd].feed(data)

    def process_exited(self) -> None:
        """Note the end of the process."""
        self._exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Note that the process has ended and both pipes are closed."""
        self._closed.set()
