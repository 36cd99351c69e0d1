"""Moving from one store to another, of the same kind and of another kind."""

from __future__ import annotations

from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from queuectl.errors import PlaceTaken, StoreInUse, StoreUnavailable
from queuectl.job import NewJob
from queuectl.output import Stream
from queuectl.registration import NewEngine
from queuectl.store import open_store
from queuectl.store.copying import Copied, copy
from queuectl.store.liveness import this_process
from tests.factories import SECOND, add, all_jobs, new_engine, printed, record_of, run_next, take
from tests.store.sqlite.furnished import contents, furnish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from queuectl.store.base import Store
    from queuectl.store.contents import Page

MANY = 450
"""Jobs that are more than fit on a page, and with as many pieces of output."""


@pytest.fixture
async def source(new_url: Callable[[], str]) -> AsyncIterator[Store]:
    """A store of each kind in turn."""
    async with open_store(new_url()) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place of each kind in turn."""
    if request.param == "sqlite":
        return str(tmp_path / "target.db")
    new_postgres_url: Callable[[], str] = request.getfixturevalue("new_postgres_url")
    return new_postgres_url()


@pytest.fixture
async def target(target_url: str) -> AsyncIterator[Store]:
    """An empty store of each kind in turn."""
    async with open_store(target_url) as opened:
        yield opened


def ignore(_copied: Copied) -> None:
    """Show no progress."""


async def all_of(store: Store) -> dict[str, Any]:
    """Read all that a copy has to have."""
    found = await contents(store)
    del found["engines"]
    return found | {"queues": await store.queues()}


async def test_a_furnished_store_comes_through_as_it_was(tmp_path: Path) -> None:
    await furnish(tmp_path / "1.db")
    await _lead_through(tmp_path / "1.db", tmp_path / "2.db")


async def test_a_furnished_store_comes_through_another_kind_as_it_was(
    tmp_path: Path, new_postgres_url: Callable[[], str]
) -> None:
    await furnish(tmp_path / "1.db")
    await _lead_through(tmp_path / "1.db", new_postgres_url(), new_postgres_url(), tmp_path / "2.db")


async def _lead_through(*places: Path | str) -> None:
    """Copy from each of these places to the next, and see that nothing changes on the way."""
    async with open_store(places[0]) as store:
        kept = await all_of(store)
    for here, there in pairwise(places):
        async with open_store(here, read_only=True) as source, open_store(there) as target:
            await copy(source, target, ignore)
            assert await all_of(target) == kept
            assert await target.check() == []


async def test_more_than_fits_on_a_page_comes_whole_and_in_order(source: Store, target: Store) -> None:
    await source.register_engine(new_engine("engine-1"))
    await source.enqueue([NewJob("true", id="chatty"), *(NewJob("true") for _ in range(MANY))])
    job = await take(source, "engine-1")
    for number in range(MANY):
        await source.report(job.claim, 1, "1", printed(b"%3d" % number, offset=3 * number))
    await source.deregister_engine("engine-1")
    seen = []

    copied = await copy(source, target, lambda so_far: seen.append(so_far.jobs))

    assert copied == Copied(jobs=MANY + 1, runs=1)
    assert seen == sorted(seen)
    assert await all_jobs(target) == await all_jobs(source)
    assert await target.read_output("chatty", 1) == await source.read_output("chatty", 1)


async def test_claim_tokens_only_grow(source: Store, target: Store) -> None:
    await source.register_engine(new_engine("engine-1"))
    await add(source, "job1", "job2", "job3")
    await run_next(source, "engine-1")
    last = await take(source, "engine-1")
    await source.deregister_engine("engine-1")
    await copy(source, target, ignore)
    await target.register_engine(new_engine("engine-2"))
    assert (await take(target, "engine-2")).claim_token > last.claim_token


async def test_new_jobs_are_younger_than_those_that_came(source: Store, target: Store) -> None:
    await add(source, "job1", "job2")
    await copy(source, target, ignore)
    await add(target, "job3")
    assert [job.id for job in await all_jobs(target)] == ["job1", "job2", "job3"]


async def test_what_was_processing_waits_to_be_rescued(source: Store, target: Store) -> None:
    await source.register_engine(new_engine("engine-1"))
    await add(source, "job1")
    job = await take(source, "engine-1")
    await source.fence(await record_of(source, "engine-1"))
    await copy(source, target, ignore)
    assert await target.orphans() == [job]


async def test_a_place_that_is_not_empty_is_left_as_it_is(source: Store, target: Store) -> None:
    await add(source, "job1")
    await add(target, "job2")
    before = await all_of(target)
    with pytest.raises(PlaceTaken, match="name an empty place"):
        await copy(source, target, ignore)
    assert await all_of(target) == before


async def test_nothing_is_copied_beside_a_live_engine(source: Store, target: Store) -> None:
    live = NewEngine("alive", this_process(), 1, SECOND)
    for store in (source, target):
        await store.register_engine(live)
        with pytest.raises(StoreInUse, match="engine alive"):
            await copy(source, target, ignore)
        await store.deregister_engine("alive")
    await copy(source, target, ignore)


async def test_an_engine_that_comes_meanwhile_undoes_the_copy(
    source: Store, target: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(source, "job1")
    unload = source.unload

    async def beside_an_engine() -> AsyncIterator[Page]:
        await source.register_engine(NewEngine("alive", this_process(), 1, SECOND))
        async with aclosing(unload()) as pages:
            async for page in pages:
                yield page

    monkeypatch.setattr(source, "unload", beside_an_engine)
    with pytest.raises(StoreInUse, match="engine alive"):
        await copy(source, target, ignore)
    assert await all_jobs(target) == []


async def test_a_copy_that_breaks_off_leaves_nothing(source: Store, target: Store) -> None:
    await source.set_setting("workers", "2")
    await add(source, "job1")
    pages = await _pages_of(source)

    async def broken() -> AsyncIterator[Page]:
        for page in pages:
            yield page
        raise StoreUnavailable("the source is lost")

    with pytest.raises(StoreUnavailable, match="the source is lost"):
        await target.load(broken())
    assert await all_jobs(target) == []
    assert await target.settings() == {}
    await copy(source, target, ignore)
    assert [job.id for job in await all_jobs(target)] == ["job1"]


async def test_what_comes_meanwhile_is_not_in_the_copy(source: Store) -> None:
    await add(source, "job1")
    async with aclosing(source.unload()) as pages:
        found = [await anext(pages)]
        await add(source, "job2")
        found += [page async for page in pages]
    assert [stored.job.id for page in found for stored in page.jobs] == ["job1"]


async def test_a_piece_keeps_its_stream_and_its_place(source: Store, target: Store) -> None:
    await source.register_engine(new_engine("engine-1"))
    await add(source, "job1")
    await run_next(source, "engine-1", output=printed(b"out", b"err"))
    await source.deregister_engine("engine-1")
    await copy(source, target, ignore)
    output = await target.read_output("job1", 1)
    assert {stream: getattr(output, stream) for stream in Stream} == {"stdout": b"out", "stderr": b"err"}


async def _pages_of(store: Store) -> Sequence[Page]:
    async with aclosing(store.unload()) as pages:
        return [page async for page in pages]
