"""A store that may not be written, or not even read: this user lacks the permission, or has lost it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from queuectl.cli.command_line import run
from queuectl.events import JobFinished, StoreRecovered, StoreWaiting
from queuectl.job import JobState
from queuectl.store.sqlite.bell import bell_file
from tests.engine.engines import EventLog, patient_store, running_engine
from tests.faults.privileges import public_folder, without_privileges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITES = (["enqueue", "true"], ["config", "set", "max_retries", "1"], ["dlq", "retry", "--all"])
ENGINE = ["run", "--trust-store", "--until-idle"]


@pytest.fixture
def path() -> Iterator[Path]:
    with public_folder() as folder:
        yield folder / "queuectl.db"


@pytest.fixture(autouse=True)
def _store(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Make the store with one job, and do all that the tests do once where it is allowed."""
    monkeypatch.setenv("QUEUECTL_DB", str(path.with_name("warm.db")))
    for command in (["db", "init"], *WRITES, ["list"], ENGINE):
        assert run(command) == 0
    monkeypatch.setenv("QUEUECTL_DB", str(path))
    assert run(["enqueue", "--id", "before", "true"]) == 0
    path.chmod(0o666)
    bell_file(path).chmod(0o666)
    capsys.readouterr()


def lock_file(path: Path) -> None:
    path.chmod(0o444)


def lock_bell(path: Path) -> None:
    bell_file(path).chmod(0o444)


def lock_folder(path: Path) -> None:
    path.parent.chmod(0o555)


def hide_file(path: Path) -> None:
    path.chmod(0)


def hide_folder(path: Path) -> None:
    path.parent.chmod(0)


@pytest.mark.parametrize("forbid", [lock_file, lock_bell, lock_folder])
def test_what_may_not_be_written_is_left_alone_and_the_error_says_why(
    path: Path, capsys: pytest.CaptureFixture[str], forbid: Callable[[Path], None]
) -> None:
    forbid(path)
    before = path.read_bytes()
    with without_privileges():
        for command in WRITES:
            assert run(command) == 5
            told = capsys.readouterr()
            assert told.out == ""
            assert "cannot be written by this user: check its permissions and its folder's" in told.err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("hide", "says"), [(hide_file, "cannot be read by this user"), (hide_folder, "Permission denied")]
)
def test_what_may_not_be_read_is_no_fault_of_queuectls_own(
    path: Path, capsys: pytest.CaptureFixture[str], hide: Callable[[Path], None], says: str
) -> None:
    hide(path)
    with without_privileges():
        for command in (["list"], ["status"], ["db", "init"], ENGINE):
            assert run(command) == 5
            assert says in capsys.readouterr().err


async def test_an_engine_that_finds_its_store_read_only_goes_on_when_it_is_not(path: Path) -> None:
    log = EventLog()
    lock_file(path)
    async with AsyncExitStack() as opened:
        with without_privileges():
            store = await opened.enter_async_context(patient_store(path, log))
        running = await opened.enter_async_context(running_engine(store, log=log))
        assert "cannot be written by this user" in (await running.event(StoreWaiting)).reason
        path.chmod(0o666)
        await running.event(StoreRecovered)
        assert (await running.event(JobFinished, "before")).state is JobState.COMPLETED
