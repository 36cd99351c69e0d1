"""Copies of a SQLite store: whole or not there, and nothing else in their place is harmed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import InvalidInput, PlaceTaken, StoreDamaged, StoreError, StoreFull, StoreUnavailable
from queuectl.store import open_store
from queuectl.store.sqlite import backup
from tests.factories import add, all_jobs, new_engine, run_next
from tests.store.sqlite.furnished import contents, furnish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.db"
    await furnish(path)
    return path


async def back_up(path: Path, place: Path, *, replace: bool = False) -> None:
    async with open_store(path, read_only=True) as store:
        await store.back_up(place, replace=replace)


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


async def test_a_copy_has_all_that_the_store_has(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "copy.db"
    copy.parent.mkdir()
    await back_up(path, copy)
    assert names(copy.parent) == {"copy.db"}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    async with open_store(path, read_only=True) as store, open_store(copy) as copied:
        assert await contents(copied) == await contents(store)
        assert await copied.check() == []


async def test_a_copy_is_of_one_moment_of_a_busy_store(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    async with open_store(path) as store, open_store(path) as writer:
        await writer.register_engine(new_engine("writer"))

        async def write() -> None:
            for n in range(200):
                await add(writer, f"job{n}")
                await run_next(writer, "writer")

        writing = asyncio.create_task(write())
        copies = 0
        while not writing.done():
            copy = tmp_path / f"copy{copies}.db"
            await store.back_up(copy)
            copies += 1
            async with open_store(copy, read_only=True) as copied:
                assert await copied.check() == []
                jobs = [job.id for job in await all_jobs(copied)]
                assert jobs == [f"job{n}" for n in range(len(jobs))]
        await writing
        assert copies
        # The locks on the store are still what they were: it goes on.
        await add(store, "later")
        assert await writer.check() == []


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-lock"])
async def test_no_file_of_the_store_is_replaced(path: Path, suffix: str) -> None:
    async with open_store(path) as store:
        await add(store, "later")
        with pytest.raises(InvalidInput, match="belongs to the store itself"):
            await store.back_up(path.with_name(f"jobs.db{suffix}"), replace=True)
        assert await store.check() == []


async def test_what_is_there_stays_unless_it_is_to_be_replaced(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.symlink_to("nowhere")
    with pytest.raises(PlaceTaken):
        await back_up(path, copy)
    await back_up(path, copy, replace=True)
    assert not copy.is_symlink()


async def test_a_store_in_use_is_never_replaced(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    async with open_store(other) as store:
        await add(store, "job1")
        with pytest.raises(PlaceTaken, match="in use"):
            await back_up(path, other, replace=True)
        assert [job.id for job in await all_jobs(store)] == ["job1"]


async def test_a_damaged_store_does_not_take_the_place_of_its_last_good_copy(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    await back_up(path, copy)
    good = copy.read_bytes()
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18])
    leaf = 0x0D
    for start in range(size, len(content), size):
        if content[start] == leaf and b"every-key" in content[start : start + size]:
            content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    before = names(tmp_path)
    with pytest.raises(StoreDamaged, match="no copy was kept"):
        await back_up(path, copy, replace=True)
    assert copy.read_bytes() == good
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (OSError(28, os.strerror(28)), StoreUnavailable),
        (sqlite3.OperationalError("database or disk is full"), StoreFull),
    ],
)
async def test_nothing_is_left_of_a_copy_that_failed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, error: type[StoreError]
) -> None:
    def fail(*_: object) -> None:
        if isinstance(fault, sqlite3.Error):
            fault.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise fault

    monkeypatch.setattr(backup, "_sync" if isinstance(fault, OSError) else "_copy", fail)
    before = names(tmp_path)
    with pytest.raises(error):
        await back_up(path, tmp_path / "copy.db")
    assert names(tmp_path) == before
