"""The one who writes for all: whatever befalls it, those who wait get an answer."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from queuectl.errors import StoreLocked
from queuectl.job import NewJob
from queuectl.store import open_store
from queuectl.store.sqlite import opening, writer
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from queuectl.errors import StoreError


async def test_who_waits_hears_of_it_when_the_writer_itself_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_SLICE", timedelta(milliseconds=1))
    with pytest.raises(ZeroDivisionError):
        await enqueue_into_a_locked_store(tmp_path / "jobs.db", on_wait=fail)


def fail(_: StoreError | None) -> None:
    raise ZeroDivisionError


async def test_who_leaves_does_not_wait_for_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has_begun, run_group = threading.Event(), writer._run_group

    def begin(*args: Any) -> Any:
        has_begun.set()
        return run_group(*args)

    monkeypatch.setattr(writer, "_run_group", begin)
    monkeypatch.setattr(opening, "_SLICE", timedelta(milliseconds=1))
    path = tmp_path / "jobs.db"
    store = open_store(path, busy_timeout=timedelta(minutes=2))
    opened = await store.__aenter__()
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(opened.enqueue([NewJob("true")]))
        await until(has_begun.is_set)
        waiting.cancel()
        async with asyncio.timeout(PATIENCE):
            await store.__aexit__(None, None, None)
    assert waiting.cancelled()


async def test_who_stays_waits_for_the_lock_as_long_as_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_SLICE", timedelta(milliseconds=1))
    path = tmp_path / "jobs.db"
    async with open_store(path, busy_timeout=timedelta(milliseconds=5)) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreLocked):
                await store.enqueue([NewJob("true")])
        await store.enqueue([NewJob("true")])


async def enqueue_into_a_locked_store(path: Path, on_wait: Callable[[StoreError | None], None]) -> None:
    async with open_store(path, patient=True, on_wait=on_wait) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
            await store.enqueue([NewJob("true")])
