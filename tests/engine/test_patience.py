"""How an engine bears it when the store cannot be written, or the machine has nothing left."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from queuectl.engine import Engine
from queuectl.errors import StoreNewer
from queuectl.events import JobFinished, NoProcessLeft, StoreRecovered, StoreWaiting
from queuectl.job import JobState, NewJob
from queuectl.settings import Settings
from tests.engine.commands import MIB
from tests.engine.engines import RunningEngine, lines_in, running_engine, strays
from tests.engine.limits import limit_size, no_descriptors_left
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.store.sqlite.store import SqliteStore
    from tests.engine.engines import EventLog, Gate

WAITS = "echo $QUEUECTL_JOB_ID >> started; read line < gate; echo done"


async def test_a_store_that_another_process_has_locked_is_waited_for(
    store: SqliteStore, path: Path, folder: Path, gate: Gate, log: EventLog
) -> None:
    await store.enqueue([NewJob(WAITS, id=job_id) for job_id in "abcd"])

    async with running_engine(store, workers=4, log=log) as running:
        await until(lambda: len(lines_in(folder / "started")) == 4)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
            gate.open(4)
            assert "locked" in (await running.event(StoreWaiting)).reason
            assert running.log.of(JobFinished) == []
            stranger.execute("ROLLBACK")
        await running.event(StoreRecovered)
        await running.event(JobFinished, count=4)

    assert sorted(lines_in(folder / "started")) == list("abcd")
    for job_id in "abcd":
        job = await store.get(job_id)
        assert (job.state, job.attempts, job.runs) == (JobState.COMPLETED, 1, 1)
        assert (await store.read_output(job_id, 1)).stdout == b"done\n"


async def test_results_are_kept_while_the_store_is_full(
    store: SqliteStore, folder: Path, gate: Gate, log: EventLog
) -> None:
    command = "echo $QUEUECTL_JOB_ID >> started; read line < gate; head -c 500000 /dev/zero"
    await store.enqueue([NewJob(command, id=job_id) for job_id in "ab"])

    async with running_engine(store, log=log) as running:
        await until(lambda: len(lines_in(folder / "started")) == 2)
        await limit_size(store, None)
        gate.open(2)
        assert "no space is left" in (await running.event(StoreWaiting)).reason
        assert running.log.of(JobFinished) == []
        await limit_size(store, MIB)
        await running.event(StoreRecovered)
        await running.event(JobFinished, count=2)

    assert sorted(lines_in(folder / "started")) == ["a", "b"]
    for job_id in "ab":
        assert ((await store.get(job_id)).state, (await store.get(job_id)).runs) == (JobState.COMPLETED, 1)
        assert (await store.read_output(job_id, 1)).stdout == bytes(500_000)


@pytest.mark.usefixtures("gate")
async def test_trouble_that_does_not_pass_ends_the_engine_and_its_commands(
    store: SqliteStore, path: Path, folder: Path, log: EventLog
) -> None:
    await store.enqueue([NewJob(WAITS, id="a")])
    running = RunningEngine(Engine(store, settings=Settings(), workers=2, listeners=[log]), log)
    await running.holds(1)

    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        [version] = stranger.execute("PRAGMA user_version").fetchone()
        stranger.execute(f"PRAGMA user_version = {version + 1}")
    with pytest.raises(StoreNewer):
        await running.report()

    assert strays(folder) == []


async def test_a_job_that_finds_no_descriptor_left_is_given_back_until_there_are_some(store: SqliteStore) -> None:
    async with running_engine(store, workers=1) as running:
        await store.enqueue([NewJob("true")])
        await running.event(JobFinished)
        await running.all_wait()
        with no_descriptors_left():
            await store.enqueue([NewJob("true", id="a", max_retries=1)])
            short = await running.event(NoProcessLeft)
            longer = await running.event(NoProcessLeft, count=2)
        while (finished := await running.event(JobFinished, "a")).state is not JobState.COMPLETED:
            running.log.events.remove(finished)

    assert "Too many open files" in short.reason
    assert longer.pause > short.pause
    job = await store.get("a")
    assert (job.state, job.attempts, job.crashes) == (JobState.COMPLETED, 1, 0)
    outcomes = [run.outcome for run in await store.list_runs("a")]
    assert outcomes == ["interrupted"] * (len(outcomes) - 1) + ["exited"]
    assert len(outcomes) >= 3
