"""Engines on a store that many machines share, where one of them alone can be cut off from it."""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from queuectl.engine.command import RunningCommand, start
from queuectl.events import EngineCutOff, JobFinished, JobRescued, StoreRecovered, StoreWaiting
from queuectl.job import JobState, NewJob
from queuectl.settings import Settings
from queuectl.store.selection import JobFilter
from tests.engine.engines import LONG, engine_process, lines_in, patient_store, run_until_idle, running_engine, strays
from tests.factories import SECOND, add, new_engine, take
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from queuectl.engine.command_spec import CommandSpec
    from queuectl.outcome import Interrupted, SpawnFailed
    from queuectl.store.base import Store
    from tests.engine.engines import EventLog, Gate

END_CONNECTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'queuectl' AND datname = current_database()
"""
WAITS = "echo $QUEUECTL_RUN >> started; read line < gate; echo done"


@pytest.fixture
def url(new_postgres_url: Callable[[], str]) -> str:
    """Where `store` is."""
    return new_postgres_url()


@pytest.fixture
async def store(url: str, log: EventLog, folder: Path) -> AsyncIterator[Store]:  # noqa: ARG001 - where commands run
    """A store that many machines can share, opened as an engine opens it."""
    async with patient_store(url, log) as opened:
        yield opened


@pytest.fixture
async def server(postgres: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection past the store."""
    async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as connection:
        yield connection


@asynccontextmanager
async def locked(server: psycopg.AsyncConnection, url: str, table: str) -> AsyncIterator[None]:
    """Keep all others from writing to a table of a store."""
    schema = url.rpartition("schema=")[2]
    async with server.transaction():
        await server.execute(SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(Identifier(schema, table)))
        yield


async def has_completed(store: Store, job_id: str) -> bool:
    return (await store.get(job_id)).state is JobState.COMPLETED


async def test_what_is_queued_is_drained(store: Store) -> None:
    assert not store.is_on_one_machine
    await store.enqueue([NewJob("echo out", id=f"job{number}") for number in range(50)])
    await store.enqueue([NewJob("exit 3", id="bad", max_retries=1)])

    report, _ = await run_until_idle(store, workers=4)

    assert (report.buried, report.given_back) == (1, 0)
    (counts,) = await store.counts()
    assert (counts.jobs[JobState.COMPLETED], counts.jobs[JobState.DEAD]) == (50, 1)
    assert (await store.read_output("job7", 1)).stdout == b"out\n"
    assert await store.engines() == []


async def test_an_engine_that_is_cut_off_kills_its_commands_before_others_may_run_them(
    store: Store, url: str, gate: Gate, server: psycopg.AsyncConnection, log: EventLog
) -> None:
    folder = Path.cwd()
    await store.enqueue([NewJob(WAITS, id="a")])

    async with running_engine(store, workers=1, settings=Settings(lease=SECOND), log=log) as running:
        await until(lambda: lines_in(folder / "started") == ["1"])
        first = running.id
        # Beats can be sent, and are not stored.
        async with locked(server, url, "engines"):
            assert (await running.event(EngineCutOff)).engine_id == first
            await until(lambda: not strays(folder))
        # A busy machine may well cut it off once more.
        gate.open(9)
        await until(partial(has_completed, store, "a"))
        assert running.id != first

    job = await store.get("a")
    assert (job.attempts, job.crashes) == (1, 0)
    assert job.runs > 1


async def test_what_it_is_given_under_the_id_that_it_gives_up_is_not_started(
    store: Store, url: str, server: psycopg.AsyncConnection, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the command that it killed is stored before it is taken off, and brings it another job."""
    started: list[str] = []

    async def noted(spec: CommandSpec) -> RunningCommand | SpawnFailed | Interrupted:
        started.append(spec.env["QUEUECTL_ENGINE_ID"])
        return await start(spec)

    monkeypatch.setattr("queuectl.engine.worker.start", noted)
    await store.enqueue([NewJob("test $QUEUECTL_RUN -gt 1 || sleep 3600", id=f"job{number}") for number in range(5)])

    async with running_engine(store, workers=1, settings=Settings(lease=SECOND), log=log) as running:
        await until(lambda: len(started) == 1)
        async with locked(server, url, "engines"):
            await running.event(EngineCutOff)
        await until(lambda: len(started) >= 2)

    assert started[0] not in started[1:]


async def test_results_are_kept_while_the_server_is_gone(
    store: Store, url: str, gate: Gate, server: psycopg.AsyncConnection, log: EventLog
) -> None:
    await store.enqueue([NewJob(WAITS, id=job_id) for job_id in "ab"])

    async with running_engine(store, settings=Settings(lease=LONG), log=log) as running:
        await until(lambda: len(lines_in(Path("started"))) == 2)
        async with locked(server, url, "jobs"):
            gate.open(2)
            assert "locked" in (await running.event(StoreWaiting)).reason
        await running.event(StoreRecovered)
        await running.event(JobFinished, count=2)

    assert [(job.state, job.runs) for job in [await store.get("a"), await store.get("b")]] == [
        (JobState.COMPLETED, 1)
    ] * 2


async def test_connections_that_are_ended_again_and_again_cost_no_job(
    store: Store, folder: Path, server: psycopg.AsyncConnection
) -> None:
    await store.enqueue([NewJob("echo $QUEUECTL_JOB_ID >> ran", id=f"job{number}") for number in range(60)])

    async with running_engine(store, workers=4, settings=Settings(lease=LONG)) as running:
        for number in range(1, 60, 10):
            await running.event(JobFinished, count=number)
            await server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'queuectl'"
            )
        await running.event(JobFinished, count=60)

    assert sorted(lines_in(folder / "ran")) == sorted(f"job{number}" for number in range(60))
    assert {(job.state, job.runs) async for job in store.list_jobs(JobFilter())} == {(JobState.COMPLETED, 1)}


async def test_the_job_of_an_engine_that_was_killed_runs_again(
    store: Store, url: str, folder: Path, gate: Gate
) -> None:
    await store.enqueue([NewJob(WAITS, id="a")])
    with engine_process(url, "--workers", "1") as dying:
        await until(lambda: lines_in(folder / "started") == ["1"])
        dying.send(signal.SIGKILL)
        await dying.exit_code()
    gate.open(2)

    async with running_engine(store, workers=1) as running:
        assert (await running.event(JobRescued)).reason == "its engine died"
        await running.event(JobFinished, "a")

    job = await store.get("a")
    assert (job.state, job.attempts, job.runs, job.crashes) == (JobState.COMPLETED, 1, 2, 0)


async def test_an_engine_elsewhere_that_fell_silent_loses_its_jobs(store: Store) -> None:
    await store.register_engine(new_engine("elsewhere", lease=SECOND))
    await add(store, "job1")
    await take(store, "elsewhere")

    async with running_engine(store, workers=1, settings=Settings(lease=SECOND)) as running:
        assert (await running.event(JobRescued)).reason == "its engine fell silent"
        await running.event(JobFinished, "job1")

    assert (await store.get("job1")).crashes == 0
    assert await store.engines() == []
