"""What must be done to its end is, however it is cancelled."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from queuectl.store.sqlite.connection import Connection
from queuectl.store.sqlite.shield import to_the_end
from tests.factories import SECOND

if TYPE_CHECKING:
    from pathlib import Path


class Work:
    """Goes on once it is let."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.has_ended = False

    async def run(self) -> None:
        self.has_begun.set()
        await self.may_end.wait()
        self.has_ended = True


async def test_a_cancelled_task_ends_its_work_first() -> None:
    work = Work()
    task = asyncio.create_task(to_the_end(work.run()))
    await work.has_begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.has_ended


async def test_a_cancelled_scope_ends_its_work_first() -> None:
    async def pause_often() -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        ended.append(True)

    ended: list[bool] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await to_the_end(pause_often())
    assert scope.cancelled_caught
    assert ended


async def test_its_error_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await to_the_end(fail())


async def test_a_connection_that_is_being_made_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.db"
    path.touch()
    has_begun, may_end = threading.Event(), threading.Event()
    connect = sqlite3.connect

    def slowly(*args: Any, **options: Any) -> sqlite3.Connection:
        has_begun.set()
        may_end.wait()
        made: sqlite3.Connection = connect(*args, **options)
        return made

    monkeypatch.setattr(sqlite3, "connect", slowly)
    opening = asyncio.create_task(Connection.open(path, busy_timeout=SECOND))
    await asyncio.to_thread(has_begun.wait)
    opening.cancel()
    await asyncio.wait([opening], timeout=0.01)
    was_waited_for = not opening.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert was_waited_for
