"""A child process by asyncio's own means, which every system has."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import anyio

from queuectl.engine.child import Child, kill_and_reap

if TYPE_CHECKING:
    from typing import IO

    from queuectl.engine.command_spec import CommandSpec

__all__ = ["AsyncioChild"]


class AsyncioChild(Child, asyncio.SubprocessProtocol):
    """A child whose pipes and end asyncio watches."""

    def __init__(self, max_output: int) -> None:
        """Keep at most `max_output` bytes of each stream."""
        super().__init__(max_output)
        self._transport: asyncio.SubprocessTransport
        self._is_unwanted = False
        self._closed = asyncio.Event()

    async def start(self, spec: CommandSpec, stdin: IO[bytes]) -> None:
        """Start the process."""
        try:
            # Cut short here, a process would be there that nobody could stop.
            with anyio.CancelScope(shield=True):
                await asyncio.get_running_loop().subprocess_exec(
                    lambda: self, *spec.argv, stdin=stdin, cwd=spec.cwd, env=spec.env, start_new_session=True
                )
        except (OSError, RuntimeError):
            # It may have started, and then could not be watched: asyncio hands it over all the same, a little later.
            self._is_unwanted = True
            raise

    @property
    def pid(self) -> int:
        """The id of the process, and of its process group and session."""
        return self._transport.get_pid()

    async def exited(self) -> int:
        """Wait for the process's end and give its exit code, or the negated number of the signal that ended it."""
        await self._exited.wait()
        return cast("int", self._transport.get_returncode())

    async def close(self) -> None:
        """Read what is in the pipes at this moment, and let go of them."""
        pipes = [(fd, cast("asyncio.ReadTransport", self._transport.get_pipe_transport(fd))) for fd in self._streams]
        for _, transport in pipes:
            transport.pause_reading()
        # What asyncio has read before is handed over in its next pass.
        await asyncio.sleep(0)
        for fd, transport in pipes:
            pipe: IO[bytes] = transport.get_extra_info("pipe")
            if not pipe.closed:
                self._read_rest(fd, pipe.fileno())
        self._transport.close()
        await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the process over."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        if self._is_unwanted:
            kill_and_reap(self._transport.get_pid())
            self._transport.close()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take what the process has printed."""
        self._streams[fd].feed(data)

    def process_exited(self) -> None:
        """Note the end of the process."""
        self._exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Note that the process has ended and both pipes are closed."""
        self._closed.set()
