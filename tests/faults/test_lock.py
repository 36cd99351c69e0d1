"""Others keep the store to themselves for longer than they should: one who writes, one who reads."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from queuectl.cli.command_line import run
from queuectl.events import EngineFenced, EngineStarted, JobFinished, StoreRecovered, StoreWaiting, WalEmptied, WalGrown
from queuectl.job import JobState, NewJob
from queuectl.settings import Settings
from queuectl.store.sqlite import checkpoint, connection
from tests.engine.commands import MIB
from tests.engine.engines import EventLog, lines_in, patient_store, running_engine
from tests.factories import SECOND, all_jobs
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from queuectl.store.base import Store
    from tests.engine.engines import Gate

SHORT = Settings(lease=SECOND)
WAITS = "echo $QUEUECTL_JOB_ID >> started; read line < gate"


@contextmanager
def stranger(path: Path, *statements: str) -> Iterator[None]:
    """Let another program do this in the store, and keep its transaction open for as long as the block lasts."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()
        yield


async def test_a_lock_that_is_held_for_two_leases_ages_nobody(
    store: Store, path: Path, gate: Gate, log: EventLog
) -> None:
    await store.enqueue([NewJob(WAITS, id="a", queue="one"), NewJob(WAITS, id="b", queue="other")])

    async with (
        patient_store(path, log) as second,
        running_engine(store, settings=SHORT, queues=("one",), log=log),
        running_engine(second, settings=SHORT, queues=("other",)) as other,
    ):
        await until(lambda: len(lines_in(path.with_name("started"))) == 2)
        before = await store.engines()
        with stranger(path, "BEGIN IMMEDIATE"):
            await asyncio.sleep(2 * SHORT.lease.total_seconds())
            gate.open(2)
            assert len(await store.engines()) == 2
        await until(lambda: len(log.of(JobFinished) + other.log.of(JobFinished)) == 2)
        after = await store.engines()

    assert [engine.id for engine in after] == [engine.id for engine in before]
    assert log.of(EngineFenced) == other.log.of(EngineFenced) == []
    assert [(job.state, job.runs) for job in await all_jobs(store)] == [(JobState.COMPLETED, 1)] * 2
    assert len(log.of(StoreWaiting)) == len(log.of(StoreRecovered)) > 0


def test_a_client_gives_up_after_its_busy_timeout_and_has_stored_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUEUECTL_BUSY_TIMEOUT", "100ms")
    monkeypatch.setenv("QUEUECTL_DB", str(path))
    assert run(["enqueue", "--id", "before", "true"]) == 0
    capsys.readouterr()
    with stranger(path, "BEGIN IMMEDIATE"):
        assert run(["enqueue", "--id", "late", "true"]) == 5
        told = capsys.readouterr()
        assert (told.out, "is locked by another process" in told.err) == ("", True)
        assert run(["list", "-o", "ids"]) == 0
        assert capsys.readouterr().out == "before\n"
    assert run(["enqueue", "--id", "late", "true"]) == 0


async def test_a_long_reader_lets_the_log_grow_which_is_told_and_ends_with_it(
    path: Path, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "WAL_LIMIT", MIB)
    monkeypatch.setattr(checkpoint, "_LOOK_EVERY", 1)
    monkeypatch.setattr(connection, "_CUT_LOG", f"PRAGMA journal_size_limit = {MIB}")

    async with patient_store(path, log) as store, running_engine(store, settings=SHORT, log=log) as running:
        await running.event(EngineStarted)
        with stranger(path, "BEGIN", "SELECT * FROM jobs"):
            for number in range(8):
                await store.enqueue([NewJob("true", stdin="x" * (MIB // 2), id=f"job{number}")])
            await running.event(JobFinished, count=8)
            grown = await running.event(WalGrown)
            assert MIB < grown.size <= checkpoint.wal_size(path)
            assert log.of(WalEmptied) == []
        # Nothing is left to do: its heartbeat alone is enough.
        await running.event(WalEmptied)
        await until(lambda: checkpoint.wal_size(path) <= MIB)
