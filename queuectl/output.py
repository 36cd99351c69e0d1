"""What a command prints: capped while it is read, handed on in chunks, put together again with its cut marked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "NO_OUTPUT",
    "START",
    "CappedStream",
    "Chunk",
    "Gap",
    "OutputUpdate",
    "Position",
    "RunOutput",
    "Stream",
    "assemble",
    "take_update",
]


class Stream(StrEnum):
    """One of the two streams of a command."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream."""

    stream: Stream
    offset: int
    """Bytes of that stream before this piece."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """The bytes of a stream from `start` to before `end`, which are not kept."""

    stream: Stream
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class OutputUpdate:
    """What has come since the last update: pieces to add, and what earlier ones may no longer keep."""

    chunks: tuple[Chunk, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is anything to store."""
        return bool(self.chunks or self.gaps)


NO_OUTPUT = OutputUpdate()


class Position(NamedTuple):
    """How far someone has read: bytes of each stream, in the order of `Stream`, those that are not kept included."""

    stdout: int = 0
    stderr: int = 0


START = Position()


@dataclass(frozen=True, slots=True)
class RunOutput:
    """What one run printed, byte for byte; where it was cut, a line says how many bytes are missing."""

    stdout: bytes = b""
    stderr: bytes = b""
    end: Position = field(default=START, compare=False)
    """Where it ends, and what is printed next begins."""


class CappedStream:
    """Keeps the first and the last half of a stream, in memory only what no update has taken yet.

    The memory it holds is bounded by `limit` and one piece of input, however much is fed.
    """

    def __init__(self, stream: Stream, limit: int) -> None:
        """Keep at most `limit` bytes (at least 2) of `stream`."""
        self._stream = stream
        self._head_size = limit - limit // 2
        self._tail_size = limit // 2
        self._total = 0
        self._head: list[bytes] = []
        self._head_taken = 0
        self._tail: deque[bytes] = deque()
        self._tail_held = 0

    @property
    def has_news(self) -> bool:
        """Whether anything came since the last update was taken."""
        return bool(self._head or self._tail)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        room = max(self._head_size - self._total, 0)
        self._total += len(data)
        if head := data[:room]:
            self._head.append(head)
        if tail := data[room:]:
            self._tail.append(tail)
            self._tail_held += len(tail)
            while self._tail_held - len(self._tail[0]) >= self._tail_size:
                self._tail_held -= len(self._tail.popleft())

    def take(self) -> tuple[list[Chunk], list[Gap]]:
        """Hand out what came since the last call, and forget it here."""
        chunks = []
        if head := b"".join(self._head):
            chunks.append(Chunk(self._stream, self._head_taken, head))
            self._head_taken += len(head)
        # The deque may hold up to a piece more than the last half.
        if tail := b"".join(self._tail)[-self._tail_size :]:
            chunks.append(Chunk(self._stream, self._total - len(tail), tail))
        gaps = []
        if tail and self._total > self._head_size + self._tail_size:
            gaps.append(Gap(self._stream, self._head_size, self._total - self._tail_size))
        self._head.clear()
        self._tail.clear()
        self._tail_held = 0
        return chunks, gaps


def take_update(streams: Iterable[CappedStream]) -> OutputUpdate:
    """Hand out what came on several streams since the last call."""
    chunks: list[Chunk] = []
    gaps: list[Gap] = []
    for stream in streams:
        if not stream.has_news:
            continue
        more_chunks, more_gaps = stream.take()
        chunks += more_chunks
        gaps += more_gaps
    return OutputUpdate(tuple(chunks), tuple(gaps)) if chunks else NO_OUTPUT


def assemble(chunks: Iterable[Chunk], after: Position = START) -> RunOutput:
    """Put the kept chunks of a run together; they come in the order of their offsets within each stream.

    With `after`, these are the chunks that begin there or later.
    """
    parts: Mapping[Stream, list[bytes]] = {stream: [] for stream in Stream}
    ends = dict(zip(Stream, after, strict=True))
    for chunk in chunks:
        if missing := chunk.offset - ends[chunk.stream]:
            parts[chunk.stream].append(f"\n[queuectl: {missing} bytes cut here]\n".encode())
        parts[chunk.stream].append(chunk.data)
        ends[chunk.stream] = chunk.offset + len(chunk.data)
    stdout, stderr = (b"".join(parts[stream]) for stream in Stream)
    return RunOutput(stdout, stderr, Position(*ends.values()))
