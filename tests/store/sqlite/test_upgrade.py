"""Stores of every earlier version, as those have left them, and programs of different versions on one store."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from queuectl.cli.command_line import run
from queuectl.errors import StoreNewer
from queuectl.job import JobState, NewJob
from queuectl.job_changes import JobChanges
from queuectl.outcome import EngineDied, Exited
from queuectl.store import open_store
from queuectl.store.base import JobFilter
from queuectl.store.liveness import this_process
from queuectl.store.sqlite import schema
from queuectl.transition import Action, Complete, decide
from tests.factories import ONE_ATTEMPT, Clock, all_jobs, execution, new_engine, printed, record_of, take
from tests.store.sqlite.furnished import STORES, contents, furnish, restore
from tests.store.sqlite.versions import next_program

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from queuectl.job import Job
    from queuectl.store.base import Store

CLAIMABLE = frozenset(JobState) - {JobState.BLOCKED, JobState.CANCELLED, JobState.COMPLETED}
"""States of jobs that can be run again, at least when they are retried by hand or rescued."""
DEATH = EngineDied("its engine died", crashed=False)
SUCCESS = Complete(1, 0)
VERSIONS = sorted(file.stem for file in STORES.glob("*.sql"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queuectl.db"


def test_there_is_a_store_of_each_version() -> None:
    versions = [f"{number:04}" for number in range(1, schema.SCHEMA_VERSION + 1)]
    assert versions == VERSIONS, "run python -m tests.store.sqlite.furnished once for the new one, and commit its files"


@pytest.mark.parametrize("version", VERSIONS)
async def test_everything_in_a_store_is_kept(path: Path, version: str) -> None:
    restore(STORES / f"{version}.sql", path)

    async with open_store(path) as store:
        found = await contents(store)

    expected = json.loads((STORES / f"{version}.json").read_text("utf-8"))
    # Later versions may know more of everything, but not of what there is.
    assert {name: part.keys() for name, part in found.items()} == {name: part.keys() for name, part in expected.items()}
    assert _known(found, expected) == expected
    assert schema_version(path) == schema.SCHEMA_VERSION


def _known(found: Any, expected: Any) -> Any:
    """Leave out of what was found what is not expected at all."""
    return {key: _known(found[key], expected[key]) for key in expected} if isinstance(expected, dict) else found


def schema_version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return schema.version_of(connection)


@pytest.mark.parametrize("version", VERSIONS)
async def test_work_goes_on_in_a_store(path: Path, version: str) -> None:
    restore(STORES / f"{version}.sql", path)
    clock = Clock()
    clock.advance(timedelta(days=2))

    async with open_store(path, clock=clock) as store:
        before = await all_jobs(store)
        await store.fence(await record_of(store, "engine-1"))
        await store.register_engine(new_engine("successor"))
        for orphan in await store.orphans():
            transition = decide(orphan, DEATH, ONE_ATTEMPT, clock())
            await store.rescue("successor", orphan, execution(DEATH), transition)
        await store.apply(Action.RETRY, JobFilter(states=(JobState.DEAD,)))
        claimed = [await end_next(store) for job in before if job.state in CLAIMABLE]

        assert claimed[0].id == "every-key"
        tokens = [job.claim_token for job in claimed]
        assert tokens == sorted(set(tokens))
        assert tokens[0] > max(job.claim_token for job in before)
        assert {job.id for job in await all_jobs(store) if job.state is not JobState.COMPLETED} == {
            "blocked",
            "cancelled",
        }


async def end_next(store: Store) -> Job:
    job = await take(store, "successor")
    await store.finish(job.claim, execution(Exited(0)), decide(job, Exited(0), ONE_ATTEMPT, store.now()))
    return job


WRITES: list[Callable[[Store, Job], Awaitable[object]]] = [
    lambda store, _: store.enqueue([NewJob("true")]),
    lambda store, _: store.claim("engine-1", 1, None),
    lambda store, job: store.report(job.claim, 1, "start", printed(b"late")),
    lambda store, job: store.finish(job.claim, execution(), SUCCESS),
    lambda store, job: store.exchange(job.claim, execution(), SUCCESS, 1, None),
    lambda store, job: store.rescue("engine-1", job, execution(), SUCCESS),
    lambda store, _: store.beat("engine-1"),
    lambda store, _: store.deregister_engine("engine-1"),
    lambda store, _: store.apply(Action.RETRY, ["dead-exited"]),
    lambda store, _: store.edit(["pending"], JobChanges({"priority": 1})),
    lambda store, _: store.set_queue("mail", {"paused": True}),
    lambda store, _: store.purge([JobState.COMPLETED], None),
    lambda store, _: store.set_setting("max_retries", "9"),
]


async def test_a_program_that_still_runs_when_a_newer_one_has_migrated_its_store_writes_nothing_more(
    path: Path,
) -> None:
    await furnish(path)
    async with open_store(path) as old:
        held = await old.get("processing")
        with next_program():
            async with open_store(path) as new:
                before = await contents(new)
        for write in WRITES:
            with pytest.raises(StoreNewer, match="written by a newer queuectl"):
                await write(old, held)
        with next_program():
            async with open_store(path) as new:
                assert await contents(new) == before


def test_a_live_engine_holds_a_migration_up_and_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUEUECTL_DB", str(path))
    asyncio.run(register(path))
    with next_program():
        for command in (["enqueue", "true"], ["db", "migrate"], ["run", "--until-idle"], ["dlq", "retry", "--all"]):
            assert run(command) == 5
            told = capsys.readouterr()
            assert told.out == ""
            assert f"engine live (pid {os.getpid()} on " in told.err
            assert "stop it first" in told.err
    assert schema_version(path) == schema.SCHEMA_VERSION


async def register(path: Path) -> None:
    async with open_store(path) as store:
        await store.register_engine(new_engine("live", process=this_process()))
