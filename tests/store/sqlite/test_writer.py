"""The one who writes for all: whatever befalls it, those who wait get an answer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.job import NewJob
from queuectl.store import open_store
from queuectl.store.sqlite import opening

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from queuectl.errors import StoreError


async def test_who_waits_hears_of_it_when_the_writer_itself_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_SLICE", timedelta(0))
    with pytest.raises(ZeroDivisionError):
        await enqueue_into_a_locked_store(tmp_path / "jobs.db", on_wait=fail)


def fail(_: StoreError | None) -> None:
    raise ZeroDivisionError


async def enqueue_into_a_locked_store(path: Path, on_wait: Callable[[StoreError | None], None]) -> None:
    async with open_store(path, patient=True, on_wait=on_wait) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
            await store.enqueue([NewJob("true")])
