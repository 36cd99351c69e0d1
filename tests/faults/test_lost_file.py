"""The store's file is deleted, moved or replaced while it is in use."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from queuectl.errors import StoreUnavailable
from queuectl.events import JobClaimed, JobFinished, StoreRecovered, StoreWaiting
from queuectl.job import JobState, NewJob
from queuectl.store import open_store
from queuectl.store.sqlite import enqueue
from tests.engine.engines import lines_in, running_engine, strays
from tests.factories import add, all_jobs
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from queuectl.store.base import Store
    from tests.engine.engines import EventLog, Gate

Loss: TypeAlias = "tuple[Callable[[Path], None], str]"
"""What happens to the files at a place, and what is said about it."""
WAITS = "echo $QUEUECTL_JOB_ID >> started; read line < gate"


def files_of(path: Path) -> list[Path]:
    return [path, Path(f"{path}-wal"), Path(f"{path}-shm")]


def delete(path: Path) -> None:
    for file in files_of(path):
        file.unlink()


def replace(path: Path) -> None:
    """Put another store in its place, as one does who restores a backup."""
    backup = path.with_name("backup")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    delete(path)
    backup.rename(path)


def tidy_up(path: Path) -> None:
    """Delete what looks like a leftover to one who does not know what it is."""
    Path(f"{path}-wal").unlink()


LOSSES = pytest.mark.parametrize(
    "loss", [(delete, "was deleted"), (replace, "was replaced"), (tidy_up, "-wal was deleted")]
)


@LOSSES
async def test_an_engine_waits_for_its_file_kills_nothing_and_goes_on_when_it_is_back(
    store: Store, path: Path, gate: Gate, log: EventLog, loss: Loss
) -> None:
    lose, says = loss
    await store.enqueue([NewJob(WAITS, id="running")])
    for file in files_of(path):
        file.with_name(f"kept-{file.name}").hardlink_to(file)

    async with running_engine(store, log=log) as running:
        await until(lambda: lines_in(path.with_name("started")) == ["running"])
        lose(path)
        assert says in (await running.event(StoreWaiting)).reason
        late = asyncio.create_task(add(store, "late"))
        gate.open()
        await until(lambda: not strays(path.parent))
        assert log.of(JobFinished) == []
        assert not late.done()

        for file in files_of(path):
            file.with_name(f"kept-{file.name}").replace(file)
        await running.event(StoreRecovered)
        assert (await running.event(JobFinished, "running")).state is JobState.COMPLETED
        assert await late == ["late"]
        await running.event(JobFinished, "late")

    assert [event.job.id for event in log.of(JobClaimed)] == ["running", "late"]
    assert (await store.get("running")).runs == 1


@LOSSES
async def test_nothing_is_acknowledged_that_would_be_stored_in_a_lost_file(path: Path, loss: Loss) -> None:
    lose, says = loss
    async with open_store(path) as client, open_store(path, read_only=True) as reader:
        await add(client, "before")
        lose(path)
        with pytest.raises(StoreUnavailable, match=says):
            await add(client, "after")
        for lost in (client, reader):
            with pytest.raises(StoreUnavailable, match=says):
                await lost.get("before")


@pytest.mark.parametrize(("lose", "kept"), [(delete, []), (replace, ["before"])])
async def test_who_still_has_a_lost_file_open_does_nothing_to_the_one_in_its_place(
    path: Path, lose: Callable[[Path], None], kept: list[str]
) -> None:
    async with open_store(path) as client:
        await add(client, "before")
        lose(path)
        async with open_store(path) as fresh:
            await add(fresh, "after")
            with pytest.raises(StoreUnavailable, match="was replaced"):
                await add(client, "late")

    assert await ids_in(path) == [*kept, "after"]


async def test_a_file_that_is_lost_while_a_batch_is_written_acknowledges_none_of_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = enqueue.enqueue

    def lose_meanwhile(*args: Any, **options: Any) -> Any:
        path.rename(path.with_name("elsewhere"))
        return insert(*args, **options)

    async with open_store(path) as client:
        monkeypatch.setattr("queuectl.store.sqlite.enqueue.enqueue", lose_meanwhile)
        with pytest.raises(StoreUnavailable, match="was deleted or moved"):
            await add(client, "a")
        path.with_name("elsewhere").rename(path)

    assert await ids_in(path) == []


async def test_a_client_that_goes_to_another_directory_keeps_its_store(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store("here.db") as client:
        monkeypatch.chdir("/")
        assert await add(client, "a") == ["a"]

    assert await ids_in(folder / "here.db") == ["a"]


async def ids_in(path: Path) -> list[str]:
    async with open_store(path, read_only=True) as store:
        return [job.id for job in await all_jobs(store)]
