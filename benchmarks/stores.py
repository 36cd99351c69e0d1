"""Stores to measure: made in a temporary folder, filled through the store's own methods, copied."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from queuectl import JobState, NewJob, open_store
from queuectl.outcome import Exited
from queuectl.output import NO_OUTPUT
from queuectl.registration import NewEngine
from queuectl.store.base import Execution
from queuectl.store.ids import new_id
from queuectl.store.liveness import this_process
from queuectl.transition import Complete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queuectl import Store

__all__ = ["complete", "copy", "count", "fill", "folder", "remove", "work_off"]

_AT_ONCE = 20_000
"""Jobs in one call, which bounds the memory of this process."""

_EXECUTION = Execution(outcome=Exited(0), duration=timedelta(milliseconds=1), output=NO_OUTPUT)
_COMPLETE = Complete(1, 0)


@contextmanager
def folder(benchmark: str) -> Iterator[Path]:
    """Give an empty folder, which is gone at the end."""
    with tempfile.TemporaryDirectory(prefix=f"queuectl-{benchmark}-") as name:
        yield Path(name)


def remove(store: Path) -> None:
    """Delete a store with the files beside it, so that the next one is fresh."""
    for file in store.parent.glob(f"{store.name}*"):
        file.unlink()


def copy(source: Path, target: Path) -> None:
    """Put a copy of a store that nobody uses in the place of another, whole and on the disk."""
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    remove(target)
    shutil.copyfile(source, target)
    target.chmod(0o600)
    # Else the first commit would pay for the whole copy.
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def fill(store: Path | str, job: NewJob, jobs: int) -> None:
    """Enqueue the same job so many times; the store is made where there is none."""

    async def enqueue() -> None:
        async with open_store(store) as opened:
            for done in range(0, jobs, _AT_ONCE):
                await opened.enqueue([job] * min(_AT_ONCE, jobs - done))

    asyncio.run(enqueue())


def complete(store: Path, jobs: int) -> None:
    """Add so many jobs that are completed, each with its run. Nothing else may be due in the store."""
    fill(store, NewJob("true"), jobs)

    async def finish() -> None:
        async with open_store(store) as opened:
            await work_off(opened, workers=256)

    asyncio.run(finish())


def count(store: Path | str, state: JobState) -> int:
    """Count the jobs in a state."""

    async def read() -> int:
        async with open_store(store, read_only=True) as opened:
            return sum(of.jobs.get(state, 0) for of in await opened.counts())

    return asyncio.run(read())


async def work_off(store: Store, workers: int) -> int:
    """Claim and complete all that is due as an engine's workers do, but without a process; say how much that was."""
    engine = NewEngine(new_id(), this_process(), workers, timedelta(seconds=30))
    await store.register_engine(engine)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_work(store, engine.id, slot)) for slot in range(workers)]
    await store.deregister_engine(engine.id)
    return sum(task.result() for task in tasks)


async def _work(store: Store, engine_id: str, slot: int) -> int:
    done = 0
    job = await store.claim(engine_id, slot, None)
    while job is not None:
        job = await store.exchange(job.claim, _EXECUTION, _COMPLETE, slot, None)
        done += 1
    return done
