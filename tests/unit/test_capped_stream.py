from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.output import (
    NO_OUTPUT,
    CappedStream,
    Chunk,
    Gap,
    OutputUpdate,
    RunOutput,
    Stream,
    assemble,
    take_update,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Step: TypeAlias = bytes | None
"""A piece that comes, or None where an update is taken."""

LIMITS = st.integers(2, 24)
STEPS = st.lists(st.none() | st.binary(min_size=1, max_size=4) | st.binary(min_size=1, max_size=40), max_size=30)


class KeptChunks:
    """What a store does with updates: it adds the chunks, and drops what lies in a gap."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []

    def apply(self, chunks: Iterable[Chunk], gaps: Iterable[Gap]) -> None:
        self.chunks += chunks
        for gap in gaps:
            self.chunks = [kept for chunk in self.chunks for kept in _outside(chunk, gap)]
        self.chunks.sort(key=lambda chunk: chunk.offset)


def _outside(chunk: Chunk, gap: Gap) -> list[Chunk]:
    if chunk.stream is not gap.stream:
        return [chunk]
    before = chunk.data[: max(gap.start - chunk.offset, 0)]
    cut = max(gap.end - chunk.offset, 0)
    after = chunk.data[cut:]
    pieces = [Chunk(chunk.stream, chunk.offset, before), Chunk(chunk.stream, chunk.offset + cut, after)]
    return [piece for piece in pieces if piece.data]


def capped(whole: bytes, limit: int) -> bytes:
    """What is to be seen of a stream: all of it, or its halves and a line between them."""
    if len(whole) <= limit:
        return whole
    cut = f"\n[queuectl: {len(whole) - limit} bytes cut here]\n".encode()
    return whole[: limit - limit // 2] + cut + whole[-(limit // 2) :]


@given(LIMITS, STEPS)
def test_the_first_and_the_last_half_are_kept_however_the_pieces_come_and_go(limit: int, steps: list[Step]) -> None:
    stream, kept, whole = CappedStream(Stream.STDOUT, limit), KeptChunks(), b""
    for step in [*steps, None]:
        if step is not None:
            whole += step
            stream.feed(step)
            assert stream.has_news
        else:
            kept.apply(*stream.take())
            assert not stream.has_news
            assert assemble(kept.chunks) == RunOutput(stdout=capped(whole, limit))


@given(LIMITS, STEPS)
def test_no_more_is_kept_than_the_limit(limit: int, steps: list[Step]) -> None:
    stream, kept = CappedStream(Stream.STDERR, limit), KeptChunks()
    for step in [*steps, None]:
        if step is not None:
            stream.feed(step)
        else:
            kept.apply(*stream.take())
            assert sum(len(chunk.data) for chunk in kept.chunks) <= limit


@given(LIMITS, STEPS)
def test_memory_is_bounded_by_the_limit_and_one_piece(limit: int, steps: list[Step]) -> None:
    stream = CappedStream(Stream.STDOUT, limit)
    longest = max((len(step) for step in steps if step), default=0)
    for step in steps:
        if step is None:
            stream.take()
        else:
            stream.feed(step)
        assert sum(map(len, stream._head)) + sum(map(len, stream._tail)) <= limit + longest


@given(LIMITS, STEPS)
def test_an_update_says_nothing_again(limit: int, steps: list[Step]) -> None:
    stream = CappedStream(Stream.STDOUT, limit)
    seen = 0
    for step in steps:
        if step is None:
            for chunk in stream.take()[0]:
                assert chunk.offset >= seen
                seen = chunk.offset + len(chunk.data)
            assert stream.take() == ([], [])
        else:
            stream.feed(step)


def test_a_flood_is_cut_in_its_middle() -> None:
    stream, kept = CappedStream(Stream.STDOUT, 10), KeptChunks()
    stream.feed(b"abcdefghij")
    kept.apply(*stream.take())
    assert assemble(kept.chunks).stdout == b"abcdefghij"
    stream.feed(b"klmno")
    kept.apply(*stream.take())
    assert kept.chunks == [Chunk(Stream.STDOUT, 0, b"abcde"), Chunk(Stream.STDOUT, 10, b"klmno")]
    assert assemble(kept.chunks).stdout == b"abcde\n[queuectl: 5 bytes cut here]\nklmno"


def test_an_update_tells_of_all_streams() -> None:
    stdout, stderr = CappedStream(Stream.STDOUT, 4), CappedStream(Stream.STDERR, 4)
    stdout.feed(b"abc")
    stderr.feed(b"12345")
    update = take_update([stdout, stderr])
    assert update == OutputUpdate(
        (
            *(Chunk(Stream.STDOUT, 0, b"ab"), Chunk(Stream.STDOUT, 2, b"c")),
            *(Chunk(Stream.STDERR, 0, b"12"), Chunk(Stream.STDERR, 3, b"45")),
        ),
        (Gap(Stream.STDERR, 2, 3),),
    )
    assert assemble(update.chunks) == RunOutput(b"abc", b"12\n[queuectl: 1 bytes cut here]\n45")


def test_without_news_there_is_nothing_to_store() -> None:
    streams = [CappedStream(stream, 4) for stream in Stream]
    assert take_update(streams) is NO_OUTPUT
    assert not NO_OUTPUT
    streams[0].feed(b"")
    assert not take_update(streams)
    streams[0].feed(b"a")
    assert take_update(streams)


@pytest.mark.parametrize("limit", [2, 3])
def test_the_smallest_limits_keep_a_byte_at_each_end(limit: int) -> None:
    stream = CappedStream(Stream.STDOUT, limit)
    stream.feed(b"abcdef")
    chunks, _ = stream.take()
    assert [chunk.data for chunk in chunks] == [b"abcdef"[: limit - 1], b"f"]
