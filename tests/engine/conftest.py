from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from queuectl.store import open_store
from tests.engine.engines import MARK, EventLog, Gate, patient_store, strays
from tests.factories import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from queuectl.store.base import Store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory in which this test's commands run. What is left of them at its end is killed."""
    monkeypatch.setenv(MARK, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    left = strays(tmp_path)
    for process in left:
        # It may end by itself just now.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=10)


@pytest.fixture
def path(folder: Path) -> Path:
    """Where the store of this test is."""
    return folder / "queuectl.db"


@pytest.fixture
def log() -> EventLog:
    """What the engine and the store of this test say."""
    return EventLog()


@pytest.fixture
async def store(path: Path, log: EventLog) -> AsyncIterator[Store]:
    """A store, opened as an engine opens it."""
    async with patient_store(path, log) as opened:
        yield opened


@pytest.fixture
def url(new_url: Callable[[], str], folder: Path) -> str:  # noqa: ARG001 - `folder` is where commands run
    """Where `any_store` is."""
    return new_url()


@pytest.fixture
async def any_store(url: str, log: EventLog) -> AsyncIterator[Store]:
    """A store of each kind in turn, opened as an engine opens it."""
    async with patient_store(url, log) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    """The clock of `timed_store`."""
    return Clock()


@pytest.fixture
async def timed_store(path: Path, clock: Clock) -> AsyncIterator[Store]:
    """A store whose time the test tells."""
    async with open_store(path, patient=True, clock=clock) as opened:
        yield opened


@pytest.fixture
def gate(folder: Path) -> Iterator[Gate]:
    """The named pipe ``gate`` in the directory of the commands."""
    gate = Gate(folder / "gate")
    yield gate
    gate.close()
