"""A proxy between a store and its PostgreSQL server, on which a network's troubles can be made."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["Proxy", "proxied"]

_SOCKET = ".s.PGSQL.5432"
_PIECE = 1 << 16
_HEADER = 5
"""Bytes before what a server says: a letter and a length, which counts itself."""
_NOTIFICATION = b"A"


class Proxy:
    """Passes on what is said, as far as a test lets it."""

    def __init__(self, folder: Path, server: Path) -> None:
        """Listen in one folder, and speak to the server that listens in the other."""
        self.url = f"postgresql://postgres@/postgres?host={folder}"
        self.server = server
        """May be set: who connects from then on is led there."""
        self.slice = _PIECE
        """Bytes that are passed on at a time."""
        self.commits_to_lose = 0
        """How many answers to COMMIT are still to be lost, each with its connection."""
        self.drops_notifications = False
        self.dropped = 0
        """How many were."""
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def stall(self) -> None:
        """Pass on nothing more, and let nobody know."""
        self._flows.clear()

    def go_on(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Close all connections."""
        for writer in self._writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, to its end."""
        with suppress(OSError):
            await self._flows.wait()
            from_server, to_server = await asyncio.open_unix_connection(str(self.server / _SOCKET))
            link = _Link(self, to_server, writer)
            self._writers |= {writer, to_server}
            ways = [link.there(reader), link.back(from_server)]
            with suppress(asyncio.CancelledError):
                done, left = await asyncio.wait(map(asyncio.ensure_future, ways), return_when=asyncio.FIRST_COMPLETED)
                for task in left:
                    task.cancel()
                await asyncio.gather(*done, *left, return_exceptions=True)
            to_server.close()
            self._writers -= {writer, to_server}
        writer.close()

    async def pass_on(self, data: bytes, to: asyncio.StreamWriter) -> None:
        for start in range(0, len(data), self.slice):
            await self._flows.wait()
            to.write(data[start : start + self.slice])
            await to.drain()
            if self.slice < _PIECE:
                await asyncio.sleep(0)


class _Link:
    """One connection."""

    def __init__(self, proxy: Proxy, to_server: asyncio.StreamWriter, to_client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._to_server = to_server
        self._to_client = to_client
        self._loses_next_answer = False

    async def there(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the client says."""
        while data := await reader.read(_PIECE):
            if b"COMMIT" in data and self._proxy.commits_to_lose:
                self._proxy.commits_to_lose -= 1
                self._loses_next_answer = True
            await self._proxy.pass_on(data, self._to_server)

    async def back(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the server says, a message at a time."""
        while True:
            try:
                header = await reader.readexactly(_HEADER)
                (length,) = struct.unpack("!I", header[1:])
                message = header + await reader.readexactly(length - 4)
            except asyncio.IncompleteReadError:
                return
            if message.startswith(b"C") and b"COMMIT" in message and self._loses_next_answer:
                return
            if message.startswith(_NOTIFICATION) and self._proxy.drops_notifications:
                self._proxy.dropped += 1
                continue
            await self._proxy.pass_on(message, self._to_client)


@asynccontextmanager
async def proxied(folder: Path, server: Path) -> AsyncIterator[Proxy]:
    """Run a proxy for as long as the block lasts."""
    proxy = Proxy(folder, server)
    listening = await asyncio.start_unix_server(proxy.serve, str(folder / _SOCKET))
    try:
        yield proxy
    finally:
        listening.close()
        proxy.go_on()
        proxy.cut()
