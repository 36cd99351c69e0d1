"""The disk is full, and then it is not: every way in which SQLite learns of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import pytest

from queuectl.errors import OutcomeUnknown, StoreError, StoreFull
from queuectl.events import JobClaimed, JobFinished, StoreRecovered, StoreWaiting
from queuectl.job import JobState, NewJob, OnConflict
from queuectl.store import open_store
from queuectl.store.sqlite.checkpoint import wal_size
from tests.engine.commands import MIB
from tests.engine.engines import lines_in, running_engine, strays
from tests.engine.limits import limit_size, no_file_beyond
from tests.factories import all_jobs
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from queuectl.store.sqlite.store import SqliteStore
    from tests.engine.engines import EventLog, Gate

Full: TypeAlias = "Callable[[SqliteStore, Path], AbstractAsyncContextManager[None]]"
LARGE = "x" * 100_000


@asynccontextmanager
async def no_page_left(store: SqliteStore, path: Path) -> AsyncIterator[None]:  # noqa: ARG001 - as the other way
    """Have SQLite find no room when it needs a page more: SQLITE_FULL, before the commit."""
    await limit_size(store, None)
    yield
    await limit_size(store, MIB)


@asynccontextmanager
async def no_byte_left(store: SqliteStore, path: Path) -> AsyncIterator[None]:  # noqa: ARG001 - as the other way
    """Have the system refuse every byte more in the log: SQLITE_IOERR_WRITE, within the commit."""
    with no_file_beyond(wal_size(path)):
        yield


@pytest.mark.parametrize(("full", "error"), [(no_page_left, StoreFull), (no_byte_left, OutcomeUnknown)])
async def test_a_client_that_finds_no_space_is_told_so_and_can_try_again(
    path: Path, full: Full, error: type[StoreError]
) -> None:
    batch = [NewJob("true", id=job_id, stdin=LARGE, on_conflict=OnConflict.IGNORE) for job_id in "ab"]
    async with open_store(path) as store:
        await store.enqueue([NewJob("true", id="before")])
        async with full(store, path):  # type: ignore[arg-type] # what it opens is a SQLite store
            with pytest.raises(error) as refusal:
                await store.enqueue(batch)
            assert [job.id for job in await all_jobs(store)] == ["before"]
            assert getattr(refusal.value, "ids", ("a", "b")) == ("a", "b")

        await store.enqueue(batch)
        assert [job.id for job in await all_jobs(store)] == ["before", "a", "b"]


async def test_an_engine_without_space_keeps_its_results_claims_nothing_and_goes_on(
    store: SqliteStore, path: Path, gate: Gate, log: EventLog
) -> None:
    command = "echo $QUEUECTL_JOB_ID >> started; read line < gate; echo done"
    await store.enqueue([NewJob(command, id=job_id) for job_id in "abcd"])

    async with running_engine(store, workers=2, log=log) as running:
        await until(lambda: len(lines_in(path.with_name("started"))) == 2)
        async with no_byte_left(store, path):
            gate.open(4)
            await running.event(StoreWaiting)
            await until(lambda: not strays(path.parent))
            assert (log.of(JobFinished), len(log.of(JobClaimed))) == ([], 2)
        await running.event(StoreRecovered)
        await running.event(JobFinished, count=4)

    assert sorted(lines_in(path.with_name("started"))) == list("abcd")
    for job in await all_jobs(store):
        assert (job.state, job.attempts, job.runs) == (JobState.COMPLETED, 1, 1)
        assert (await store.read_output(job.id, 1)).stdout == b"done\n"
