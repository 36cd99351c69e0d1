"""Output: what a run printed, while it prints and later, byte for byte, with the cut marked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from queuectl.output import (
    NO_OUTPUT,
    CappedStream,
    Chunk,
    Gap,
    OutputUpdate,
    Position,
    RunOutput,
    Stream,
    take_update,
)
from queuectl.store import open_store
from queuectl.transition import Action
from tests.factories import add, end, new_engine, printed, run_next, take

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from queuectl.store.base import Store

EVERY_BYTE = bytes(range(256))


async def test_no_run_has_no_output(store: Store, engine: str) -> None:
    assert await store.read_output("nobody", 1) == RunOutput()
    await add(store, "job1")
    await run_next(store, engine, output=printed(b"text"))
    assert await store.read_output("job1", 0) == RunOutput()
    assert await store.read_output("job1", 2) == RunOutput()


async def test_a_run_that_printed_nothing_has_no_output(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine)
    assert await store.read_output("job1", 1) == RunOutput()


async def test_the_two_streams_are_kept_apart(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, output=printed(b"out\n", b"err\n"))
    assert await store.read_output("job1", 1) == RunOutput(b"out\n", b"err\n")


async def test_output_is_kept_byte_for_byte(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, output=printed(EVERY_BYTE, b"\0\xff\r\n\n"))
    assert await store.read_output("job1", 1) == RunOutput(EVERY_BYTE, b"\0\xff\r\n\n")


async def test_output_is_there_while_the_job_runs(store: Store, other: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.report(job.claim, 100, "start", printed(b"one "))
    assert await other.read_output("job1", 1) == RunOutput(b"one ")
    await store.report(job.claim, 100, "start", NO_OUTPUT)
    await store.report(job.claim, 100, "start", printed(b"two ", offset=4))
    assert await other.read_output("job1", 1) == RunOutput(b"one two ")
    await end(store, job, output=printed(b"three", offset=8))
    assert await other.read_output("job1", 1) == RunOutput(b"one two three")


async def test_a_report_goes_before_the_end_that_was_said_after_it(store: Store, engine: str) -> None:
    await add(store, "job1", "job2")
    first, second = await take(store, engine), await take(store, engine)
    # All at once, so that both ends are stored by one call: the first of them was said before the report.
    await asyncio.gather(
        end(store, first),
        store.report(second.claim, 100, "start", printed(b"one ")),
        end(store, second, output=printed(b"two", offset=4)),
    )
    assert await store.read_output(second.id, 1) == RunOutput(b"one two")


async def test_each_run_keeps_its_own_output(store: Store, engine: str) -> None:
    await add(store, "job1", "job2")
    await run_next(store, engine, output=printed(b"first"))
    await run_next(store, engine, output=printed(b"of another job"))
    await store.apply(Action.RETRY, ["job1"])
    await run_next(store, engine, output=printed(b"second"))
    assert await store.read_output("job1", 1) == RunOutput(b"first")
    assert await store.read_output("job1", 2) == RunOutput(b"second")
    assert await store.read_output("job2", 1) == RunOutput(b"of another job")


async def test_a_gap_takes_whole_chunks_and_the_beginning_of_one(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    for offset, text in enumerate([b"0123", b"4567", b"89ab", b"cdef"]):
        await store.report(job.claim, 100, "start", printed(text, text, offset=4 * offset))
    gap = OutputUpdate(gaps=(Gap(Stream.STDOUT, 4, 14),))
    await store.report(job.claim, 100, "start", gap)
    cut = b"0123\n[queuectl: 10 bytes cut here]\nef"
    assert await store.read_output("job1", 1) == RunOutput(cut, b"0123456789abcdef")


async def test_a_gap_reaches_into_what_the_end_of_the_run_brings(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.report(job.claim, 100, "start", printed(b"head"))
    await store.report(job.claim, 100, "start", printed(EVERY_BYTE, offset=4))
    last = OutputUpdate((Chunk(Stream.STDOUT, 260, b"tail"),), (Gap(Stream.STDOUT, 4, 258),))
    await end(store, job, output=last)
    cut = b"head\n[queuectl: 254 bytes cut here]\n\xfe\xfftail"
    assert await store.read_output("job1", 1) == RunOutput(cut)


async def test_output_can_be_read_on_from_where_one_has_read(store: Store, other: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.report(job.claim, 100, "start", printed(b"one ", b"err"))
    first = await other.read_output("job1", 1)
    assert first.end == Position(4, 3)
    nothing = await other.read_output("job1", 1, after=first.end)
    assert (nothing, nothing.end) == (RunOutput(), first.end)
    await end(store, job, output=printed(b"two", offset=4))
    rest = await other.read_output("job1", 1, after=first.end)
    assert (rest, rest.end) == (RunOutput(b"two"), Position(7, 3))


async def test_a_gap_is_marked_for_whom_it_hides_something(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.report(job.claim, 100, "start", printed(b"head", b"head"))
    early = await store.read_output("job1", 1)
    await store.report(job.claim, 100, "start", printed(b"middle", b"middle", offset=4))
    late = await store.read_output("job1", 1)
    chunks = tuple(Chunk(stream, 10, b"tail") for stream in Stream)
    await end(store, job, output=OutputUpdate(chunks, tuple(Gap(stream, 4, 9) for stream in Stream)))
    seen = b"\n[queuectl: 5 bytes cut here]\netail"
    assert await store.read_output("job1", 1, after=early.end) == RunOutput(seen, seen)
    assert await store.read_output("job1", 1, after=late.end) == RunOutput(b"tail", b"tail")
    assert await store.read_output("job1", 1, after=Position(4, 10)) == RunOutput(seen, b"tail")


@settings(max_examples=30)
@given(
    pieces=st.lists(st.tuples(st.sampled_from(Stream), st.binary(max_size=30), st.booleans()), max_size=12),
    limit=st.integers(2, 40),
)
@example(pieces=[(Stream.STDOUT, bytes([number]) * 5, True) for number in range(10)], limit=11)
def test_a_capped_stream_keeps_its_first_and_its_last_half(
    new_url: Callable[[], str], pieces: list[tuple[Stream, bytes, bool]], limit: int
) -> None:
    totals = {stream: b"".join(data for name, data, _ in pieces if name is stream) for stream in Stream}
    expected = RunOutput(_cut(totals[Stream.STDOUT], limit), _cut(totals[Stream.STDERR], limit))
    assert asyncio.run(_print_live(new_url(), pieces, limit)) == expected


def _cut(data: bytes, limit: int) -> bytes:
    if len(data) <= limit:
        return data
    mark = b"\n[queuectl: %d bytes cut here]\n" % (len(data) - limit)
    return data[: limit - limit // 2] + mark + data[-(limit // 2) :]


async def _print_live(url: str, pieces: Sequence[tuple[Stream, bytes, bool]], limit: int) -> RunOutput:
    """Print pieces as an engine does; the flag of a piece says that a report follows it."""
    streams = {stream: CappedStream(stream, limit) for stream in Stream}
    async with open_store(url) as store:
        await store.register_engine(new_engine("engine-1"))
        await add(store, "job1")
        job = await take(store, "engine-1")
        for stream, data, is_reported in pieces:
            streams[stream].feed(data)
            if is_reported:
                await store.report(job.claim, 100, "start", take_update(streams.values()))
        await end(store, job, output=take_update(streams.values()))
        return await store.read_output("job1", 1)
