"""Rows that nobody has written: SQLite gives what is left of damaged ones, and does not always notice."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import StoreDamaged
from queuectl.job import JobState
from queuectl.new_job import NewJob
from queuectl.store import open_store
from tests.engine.engines import run_until_idle
from tests.factories import SECOND, START, Clock, add, claim_next, new_engine, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from pathlib import Path

    from queuectl.store.base import Store

DAMAGES = ["state = 'gone'", "tags = '['", "created_at = 1 << 60", "cwd = CAST(x'FF2F' AS TEXT)"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "jobs.db") as store:
        await store.register_engine(new_engine("engine1"))
        await store.enqueue([NewJob("true", id="sound"), NewJob("true", id="damaged", priority=1)])
        yield store


def write(path: Path, statement: str, *parameters: object) -> list[tuple[object, ...]]:
    """Write with a connection of its own, which reads the schema anew."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        return connection.execute(statement, parameters).fetchall()


def damage(folder: Path, what: str) -> None:
    write(folder / "jobs.db", f"UPDATE jobs SET {what} WHERE id = 'damaged'")


@pytest.mark.parametrize("what", DAMAGES)
async def test_a_row_that_is_no_job_is_refused_as_damage(store: Store, tmp_path: Path, what: str) -> None:
    damage(tmp_path, what)
    with pytest.raises(StoreDamaged, match="restore a backup"):
        await store.get("damaged")
    assert (await store.get("sound")).state is JobState.PENDING


async def test_what_cannot_be_read_is_not_claimed(store: Store, tmp_path: Path) -> None:
    damage(tmp_path, "tags = '['")
    with pytest.raises(StoreDamaged):
        await claim_next(store, "engine1")
    damage(tmp_path, "tags = '[]'")
    job = await take(store, "engine1")
    assert (job.id, job.runs, job.claim_token) == ("damaged", 1, 1)


async def test_it_harms_nobody_else_in_the_same_transaction(store: Store, tmp_path: Path) -> None:
    damage(tmp_path, "tags = '['")
    claimed, beats, added = await asyncio.gather(
        claim_next(store, "engine1"), store.beat("engine1"), add(store, "later"), return_exceptions=True
    )
    assert isinstance(claimed, StoreDamaged)
    assert (beats, added) == (1, ["later"])


def delete_behind_the_back_of(index: str, path: Path, job_id: str) -> None:
    """Delete a job, and leave it in that index."""
    [entry] = write(path, "DELETE FROM sqlite_master WHERE name = ? RETURNING *", index)
    write(path, "DELETE FROM jobs WHERE id = ?", job_id)
    write(path, "INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", *entry)


@pytest.mark.parametrize(("index", "run_at"), [("jobs_ready", START), ("jobs_waiting", START + SECOND)])
async def test_an_engine_stops_where_an_index_names_a_job_that_is_not_there(
    tmp_path: Path, index: str, run_at: datetime
) -> None:
    path, clock = tmp_path / "jobs.db", Clock()
    async with open_store(path, clock=clock) as store:
        await store.enqueue([NewJob("true", id="gone", run_at=run_at)])
    delete_behind_the_back_of(index, path, "gone")
    clock.advance(SECOND)
    async with open_store(path, clock=clock, patient=True) as store:
        # It would look, see the job, and claim nothing, for ever.
        with pytest.raises(StoreDamaged, match="an index names jobs that are not there"):
            await run_until_idle(store)


@pytest.mark.parametrize("what", ["rate = -1", "refilled_at = 1 << 60"])
async def test_limits_that_nobody_has_set_are_refused_as_damage(store: Store, tmp_path: Path, what: str) -> None:
    await store.set_queue("default", {"rate": 5.0})
    write(tmp_path / "jobs.db", f"UPDATE queues SET {what}")
    with pytest.raises(StoreDamaged):
        await claim_next(store, "engine1")


async def test_a_queue_whose_name_is_none_is_refused_as_damage(store: Store, tmp_path: Path) -> None:
    await store.set_queue("default", {"paused": True})
    write(tmp_path / "jobs.db", "UPDATE queues SET name = ' '")
    with pytest.raises(StoreDamaged):
        await store.queues()


@pytest.mark.parametrize("statement", ["'CREATE TABLE jobs (\n' || sql", "CAST(x'4352FFFE' || sql AS TEXT)"])
async def test_a_damaged_schema_is_told_in_a_line(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "jobs.db"
    async with open_store(path) as store:
        await add(store, "job1")
    write(path, f"UPDATE sqlite_master SET sql = {statement} WHERE name = 'jobs'")
    with pytest.raises(StoreDamaged) as refusal:
        async with open_store(path, read_only=True):
            pass
    message = str(refusal.value).replace(str(path), "")
    assert message.isprintable()
    assert len(message) < 200
