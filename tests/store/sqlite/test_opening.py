"""What is particular to a store that is one SQLite file: whose it is, what is refused, who waits for whom."""

from __future__ import annotations

import asyncio
import sqlite3
import struct
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import (
    StoreDamaged,
    StoreForeign,
    StoreLocked,
    StoreMissing,
    StoreNewer,
    StoreOlder,
    StoreReadOnly,
    StoreUnavailable,
    StoreUntrusted,
)
from queuectl.job import NewJob
from queuectl.store import migrate, open_store
from queuectl.store.liveness import this_process
from queuectl.store.sqlite import schema
from tests.factories import all_jobs, new_engine
from tests.store.sqlite.versions import next_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


async def make(path: Path) -> None:
    """Make a store with one job."""
    async with open_store(path) as store:
        await store.enqueue([NewJob("true", id="job1")])


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def everything_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def test_only_its_owner_may_read_it(path: Path) -> None:
    async with open_store(path) as store:
        await store.enqueue([NewJob("true")])
        assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == dict.fromkeys(
            ["jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db-lock"], 0o600
        )


async def test_every_commit_is_synced(path: Path) -> None:
    async with open_store(path) as store:
        connection = store._writer._connection  # type: ignore[attr-defined]
        pragmas = ("journal_mode", "synchronous", "wal_autocheckpoint")
        found = [
            await connection.run(lambda bare, name=name: bare.execute(f"PRAGMA {name}").fetchone()[0])
            for name in pragmas
        ]
    assert found == ["wal", 2, 0]


@pytest.mark.parametrize("content", [b"no database at all, but a letter to my aunt\n" * 99, b"\0" * 4096])
async def test_a_file_that_is_no_database_is_refused_and_not_touched(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    before = everything_in(path.parent)
    for read_only in (True, False):
        with pytest.raises(StoreForeign, match=r"jobs\.db is no queuectl store"):
            async with open_store(path, read_only=read_only):
                pass
    assert everything_in(path.parent) == before


async def test_a_database_of_another_program_is_refused_and_not_touched(path: Path) -> None:
    with connected(path) as connection:
        connection.execute("CREATE TABLE jobs (id TEXT)")
    before = everything_in(path.parent)
    with pytest.raises(StoreForeign, match="another program"):
        async with open_store(path):
            pass
    assert everything_in(path.parent) == before


@pytest.mark.parametrize("unwritten", [b"", bytes(512)], ids=["killed", "power cut"])
async def test_a_store_whose_making_was_cut_off_is_made_anew(path: Path, unwritten: bytes) -> None:
    await make(path)
    whole = path.read_bytes()
    path.write_bytes((unwritten + whole[len(unwritten) :])[:8192])
    # A journal that is valid, tells of no page, and of a file that had none.
    header = struct.pack(">8s5I", bytes.fromhex("d9d505f920a163d7"), 0, 1, 0, 512, 4096)
    path.with_name("jobs.db-journal").write_bytes(header.ljust(512, b"\0"))
    await make(path)
    assert path.read_bytes()[:16] == whole[:16]


async def test_a_store_whose_log_was_being_moved_into_it_is_opened(path: Path, tmp_path: Path) -> None:
    log = path.with_name("jobs.db-wal")
    await make(path)
    before = path.read_bytes()
    async with open_store(path) as store:
        await store.enqueue([NewJob("true", id="job2", stdin="in" * 10_000)])
        logged = log.read_bytes()
    cut_off = tmp_path / "cut off.db"
    # The first page tells of others that are not there yet.
    cut_off.write_bytes(path.read_bytes()[:4096] + before[4096:])
    cut_off.with_name("cut off.db-wal").write_bytes(logged)
    for read_only in (True, False):
        async with open_store(cut_off, read_only=read_only) as store:
            assert [job.id for job in await all_jobs(store)] == ["job1", "job2"]


async def test_damage_that_is_met_on_the_way_in_is_refused_as_such(path: Path) -> None:
    await make(path)
    with connected(path) as connection:
        [page] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'config'").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(StoreDamaged, match="restore a backup"):
        async with open_store(path):
            pass


async def test_a_newer_store_is_refused_and_not_touched(path: Path) -> None:
    await make(path)
    with connected(path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    before = everything_in(path.parent)
    for read_only in (True, False):
        with pytest.raises(StoreNewer, match="written by a newer queuectl"):
            async with open_store(path, read_only=read_only):
                pass
    assert everything_in(path.parent) == before


async def test_a_store_that_becomes_newer_is_not_written_any_more(path: Path) -> None:
    async with open_store(path) as store:
        with connected(path) as connection:
            connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
        with pytest.raises(StoreNewer):
            await store.enqueue([NewJob("true")])
    with connected(path) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_the_schema_version_is_that_of_the_last_migration() -> None:
    migrations = migrate.load_migrations("queuectl.store.sqlite")
    assert [migration.number for migration in migrations] == list(range(1, schema.SCHEMA_VERSION + 1))


async def test_an_older_store_is_migrated_with_its_jobs(path: Path) -> None:
    await make(path)
    with next_program():
        with pytest.raises(StoreOlder, match="db migrate"):
            async with open_store(path, read_only=True):
                pass
        async with open_store(path) as store:
            assert (await store.get("job1")).command == "true"
    with connected(path) as connection:
        assert connection.execute("SELECT count(*) FROM another").fetchone() == (0,)


async def test_an_older_store_is_left_alone_while_an_engine_lives(path: Path) -> None:
    async with open_store(path) as store:
        await store.register_engine(new_engine("engine-1", process=this_process()))
    with next_program(), pytest.raises(StoreOlder, match="engine-1"):
        async with open_store(path):
            pass


async def test_an_engine_that_ran_before_a_reboot_does_not_hold_a_migration_up(path: Path) -> None:
    async with open_store(path) as store:
        process = replace(this_process(), boot_id="an earlier one")
        await store.register_engine(new_engine("engine-1", process=process))
    with next_program():
        async with open_store(path) as store:
            assert [engine.id for engine in await store.engines()] == ["engine-1"]


async def test_twenty_who_make_it_at_once_make_one(path: Path) -> None:
    async def enqueue(number: int) -> None:
        async with open_store(path) as store:
            await store.enqueue([NewJob("true", id=f"job{number}")])

    await asyncio.gather(*(enqueue(number) for number in range(20)))
    with connected(path) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (20,)


async def test_reading_makes_nothing(path: Path) -> None:
    with pytest.raises(StoreMissing, match="db init"):
        async with open_store(path, read_only=True):
            pass
    assert everything_in(path.parent) == {}


async def test_who_reads_cannot_write(path: Path) -> None:
    await make(path)
    async with open_store(path, read_only=True) as store:
        with pytest.raises(StoreReadOnly):
            await store.enqueue([NewJob("true")])


async def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No such file or directory"):
        async with open_store(tmp_path / "nowhere" / "jobs.db"):
            pass


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
async def test_an_engine_does_not_trust_a_store_that_others_may_write(path: Path, mode: int) -> None:
    await make(path)
    path.chmod(mode)
    with pytest.raises(StoreUntrusted, match=f"mode {mode:04o}"):
        async with open_store(path, check_owner=True):
            pass
    async with open_store(path) as store:
        assert (await store.get("job1")).id == "job1"


async def test_a_lock_is_waited_for_as_long_as_the_caller_says(path: Path) -> None:
    await make(path)
    with connected(path) as holder:
        async with open_store(path, busy_timeout=timedelta(0)) as store:
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreLocked, match="locked by another process"):
                await store.enqueue([NewJob("true", id="job2")])
            holder.execute("ROLLBACK")
            await store.enqueue([NewJob("true", id="job2")])


@pytest.mark.timeout(45)  # The default would be a minute.
async def test_a_lock_is_waited_for_as_long_as_the_setting_says(path: Path) -> None:
    await make(path)
    async with open_store(path) as store:
        await store.set_setting("busy_timeout", "50ms")
    with connected(path) as holder:
        async with open_store(path) as store:
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreLocked):
                await store.enqueue([NewJob("true", id="job2")])


async def test_a_setting_that_cannot_be_used_does_not_keep_anyone_from_mending_it(path: Path) -> None:
    await make(path)
    with connected(path) as connection:
        connection.execute("INSERT INTO config VALUES ('busy_timeout', 'soon')")
    async with open_store(path) as store:
        await store.unset_setting("busy_timeout")
        assert await store.settings() == {}
