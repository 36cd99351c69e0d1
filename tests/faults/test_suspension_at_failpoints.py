"""An engine is held up at a failpoint for longer than its lease, and goes on when others have its jobs."""

from __future__ import annotations

import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from queuectl.events import JobFinished, JobRescued
from queuectl.failpoints import Failpoint
from queuectl.settings import Settings
from queuectl.store import open_store
from tests.engine.engines import running_engine
from tests.factories import SECOND
from tests.faults.checker import check
from tests.faults.ledgers import ledgered
from tests.faults.stage import HANGS_ONCE, Stage, new_job
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.engine.engines import EngineProcess, Gate, RunningEngine


@pytest.fixture
async def stage(path: Path) -> Stage:
    """A store with a short lease.

    A process that is suspended in the middle of a write keeps all others from writing until it goes on. So an engine
    that is to be suspended elsewhere has little else to write then: it does not prune, and has one worker.
    """
    stage = Stage(path, path.parent)
    await stage.make()
    async with open_store(path) as store:
        await store.set_setting("lease", "1s")
        await store.set_setting("retention", "none")
    return stage


@asynccontextmanager
async def successor(stage: Stage) -> AsyncIterator[RunningEngine]:
    """Run an engine that takes the other for dead after a second."""
    async with (
        open_store(stage.url, patient=True) as store,
        running_engine(store, settings=Settings(lease=SECOND)) as running,
    ):
        yield running


async def is_suspended(engine: EngineProcess) -> None:
    await until(lambda: psutil.Process(engine.pid).status() == psutil.STATUS_STOPPED)


WAITS = ledgered("read line < gate")
WAITS_WHEN_RUN_AGAIN = ledgered("test $QUEUECTL_RUN = 1 || read line < gate")


@pytest.mark.parametrize(
    ("failpoint", "hit", "command"),
    [
        (Failpoint.COMMITTED, 2, WAITS),  # The first is that of its registration.
        (Failpoint.JOB_CLAIMED, 1, WAITS),
        (Failpoint.COMMAND_SPAWNED, 1, WAITS),
        (Failpoint.COMMAND_EXITED, 1, WAITS_WHEN_RUN_AGAIN),
    ],
)
async def test_what_it_held_does_not_run_beside_its_successor(
    stage: Stage, gate: Gate, failpoint: Failpoint, hit: int, command: str
) -> None:
    await stage.enqueue(new_job("a", command))

    with stage.engine("--workers", "1", armed=f"{failpoint}=stop@{hit}") as sleeper:
        await is_suspended(sleeper)
        async with successor(stage) as running:
            await running.event(JobRescued)
            await running.holds(1)
            sleeper.send(signal.SIGCONT)
            await sleeper.event("job lost to another engine; its end is not recorded here", job="a")
            gate.open()
            await running.event(JobFinished)
        sleeper.send(signal.SIGTERM)
        assert await sleeper.exit_code() == 0

    assert check(stage.evidence()) == []


@pytest.mark.parametrize("failpoint", [Failpoint.ENGINE_FENCED, Failpoint.LEFTOVERS_KILLED])
async def test_a_rescuer_that_is_held_up_does_not_disturb_the_one_who_steps_in(
    stage: Stage, failpoint: Failpoint
) -> None:
    await stage.enqueue(new_job("a", HANGS_ONCE))
    await stage.engine_dies(f"{Failpoint.COMMAND_SPAWNED}=kill")

    with stage.engine(armed=f"{failpoint}=stop") as sleeper:
        await is_suspended(sleeper)
        async with successor(stage) as running:
            await running.event(JobFinished)
        sleeper.send(signal.SIGCONT)
        await sleeper.event("engine started")
        sleeper.send(signal.SIGTERM)
        assert await sleeper.exit_code() == 0

    assert check(stage.evidence()) == []
