"""Rows that nobody has written: SQLite gives what is left of damaged ones, and does not always notice."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import StoreDamaged
from queuectl.job import JobState
from queuectl.new_job import NewJob
from queuectl.store import open_store
from tests.factories import add, claim_next, new_engine, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from queuectl.store.base import Store

DAMAGES = ["state = 'gone'", "tags = '['", "created_at = 1 << 60", "cwd = CAST(x'FF2F' AS TEXT)"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "jobs.db") as store:
        await store.register_engine(new_engine("engine1"))
        await store.enqueue([NewJob("true", id="sound"), NewJob("true", id="damaged", priority=1)])
        yield store


def damage(folder: Path, what: str) -> None:
    connection = sqlite3.connect(folder / "jobs.db", isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute(f"UPDATE jobs SET {what} WHERE id = 'damaged'")
    connection.close()


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


@pytest.mark.parametrize("statement", ["'CREATE TABLE jobs (\n' || sql", "CAST(x'4352FFFE' || sql AS TEXT)"])
async def test_a_damaged_schema_is_told_in_a_line(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "jobs.db"
    async with open_store(path) as store:
        await add(store, "job1")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(f"UPDATE sqlite_master SET sql = {statement} WHERE name = 'jobs'")
    connection.close()
    with pytest.raises(StoreDamaged) as refusal:
        async with open_store(path, read_only=True):
            pass
    message = str(refusal.value).replace(str(path), "")
    assert message.isprintable()
    assert len(message) < 200
