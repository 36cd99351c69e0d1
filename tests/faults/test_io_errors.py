"""The disk fails, once or for a while: what queuectl says then is true, and what it has acknowledged stays."""

from __future__ import annotations

import errno
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from queuectl.job import JobState
from queuectl.new_job import NewJob
from queuectl.store import open_store
from tests.engine.commands import linux_only
from tests.factories import all_jobs
from tests.faults.scale import SCALE
from tests.faults.watched import Watched, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from queuectl.job import Job
    from tests.faults.watched import Change

pytestmark = linux_only

IS_FULL = SCALE > 1
"""Whether every single change fails once; else every so-manyth."""
STORE = "queue.db"
TRIES = 1_000
"""More than there are changes in any of these scenarios."""
ENGINE = ("--db", STORE, "-v", "run", "--until-idle", "--workers", "2")
JOBS = ["one", "two", "three"]


class Trouble:
    """Lets some of the changes of a store's files fail, counted from 0."""

    def __init__(self, fails: range) -> None:
        self._fails = fails
        self._changes = 0
        self.has_come = False

    def __call__(self, change: Change) -> int:
        if not change.path.name.startswith(STORE):
            return 0
        fails = self._changes in self._fails
        self._changes += 1
        self.has_come |= fails
        return errno.EIO if fails else 0


@pytest.fixture
def queuectl(tmp_path: Path) -> Iterator[Watched]:
    with watched(tmp_path, checkpoint_every=4) as queuectl:
        yield queuectl


async def stored(folder: Path) -> dict[str, Job]:
    """Read all jobs, when the disk is well again."""
    async with open_store(folder / STORE) as store:
        jobs = {job.id: job for job in await all_jobs(store)}
    with closing(sqlite3.connect(folder / STORE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return jobs


async def make(folder: Path, *jobs: NewJob) -> None:
    for file in folder.glob(f"{STORE}*"):
        file.unlink()
    if jobs:
        async with open_store(folder / STORE) as store:
            await store.enqueue(jobs)


@pytest.mark.parametrize("length", [1, TRIES], ids=["one error", "errors from then on"])
@pytest.mark.parametrize("earlier", [[], [NewJob("true", id="earlier")]], ids=["new store", "store"])
async def test_the_answer_to_a_client_is_true(
    queuectl: Watched, tmp_path: Path, earlier: list[NewJob], length: int
) -> None:
    enqueue = ("--db", STORE, "--json", "enqueue", "--id", "job", "--on-conflict", "ignore", "true")
    for first in range(0, TRIES, 1 if IS_FULL else 12):
        await make(tmp_path, *earlier)
        queuectl.judge = trouble = Trouble(range(first, first + length))
        [(code, told)] = queuectl.run(enqueue)
        if not trouble.has_come:
            return
        queuectl.judge = lambda _: 0
        jobs = await stored(tmp_path)
        assert jobs.keys() >= {job.id for job in earlier}
        if code == 0:
            assert json.loads(told)["id"] == "job"
            assert "job" in jobs
        else:
            error = json.loads(told)["error"]
            assert code == 5, error
            assert ("job" in jobs) <= (error["code"] == "outcome_unknown")
            assert error.get("ids", ["job"]) == ["job"]
        assert queuectl.run(enqueue)[0][0] == 0
        assert "job" in await stored(tmp_path)
    pytest.fail("there is no end to the changes")


@pytest.mark.parametrize("length", [1, 4], ids=["one error", "four errors"])
async def test_an_engine_waits_and_goes_on(queuectl: Watched, tmp_path: Path, length: int) -> None:
    ledger = tmp_path / "ledger"
    command = f"echo $QUEUECTL_JOB_ID >> {ledger}"
    for first in range(0, TRIES, 1 if IS_FULL else 70):
        await make(tmp_path, *(NewJob(command, id=job) for job in JOBS))
        ledger.write_text("")
        queuectl.judge = trouble = Trouble(range(first, first + length))
        [(code, told)] = queuectl.run(ENGINE)
        if not trouble.has_come:
            return
        queuectl.judge = lambda _: 0
        if "engine started" not in told:
            assert (code, ledger.read_text()) == (5, ""), told
            [(code, told)] = queuectl.run(ENGINE)
        assert code == 0, told
        jobs = await stored(tmp_path)
        assert [(jobs[job].state, jobs[job].runs, jobs[job].attempts) for job in JOBS] == [
            (JobState.COMPLETED, 1, 1)
        ] * 3
        # What an engine could not record it has not run, and what it has run it has recorded.
        assert sorted(ledger.read_text().split()) == sorted(JOBS)
    pytest.fail("there is no end to the changes")
