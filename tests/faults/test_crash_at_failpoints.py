"""A process dies at each failpoint in turn; whatever was promised holds all the same."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from queuectl.events import EngineStarted, JobRescued, JobsPruned
from queuectl.failpoints import VARIABLE, Failpoint
from queuectl.job import JobState
from queuectl.store import open_store
from tests.cli.shell import Terminal
from tests.engine.engines import lines_in, running_engine
from tests.faults.checker import check
from tests.faults.ledgers import COMMANDS, ledgered
from tests.faults.stage import HANGS_ONCE, Stage, new_job
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path


@pytest.fixture
def stage(path: Path) -> Stage:
    """A store that is not there yet."""
    return Stage(path, path.parent)


@pytest.fixture
def postgres_stage(postgres_url: str, folder: Path) -> Stage:
    """The same in PostgreSQL."""
    return Stage(postgres_url, folder)


def running(stage: Stage) -> int:
    """Count the commands that have started."""
    return sum(line.endswith(" start") for line in lines_in(stage.folder / COMMANDS))


async def while_it_makes_the_store(stage: Stage, armed: str) -> None:
    stage.client_dies(armed, "a")
    await stage.make()
    stage.client_repeats("a")


async def while_it_enqueues(stage: Stage, armed: str) -> None:
    await stage.make()
    stage.client_dies(armed, "a")
    stage.client_repeats("a")


async def while_it_works(stage: Stage, armed: str) -> None:
    await stage.make()
    await stage.enqueue(new_job("good"), new_job("other"), new_job("bad", ledgered(exit_code=3), max_retries=2))
    await stage.engine_dies(armed)


async def while_it_rescues(stage: Stage, armed: str) -> None:
    await stage.make()
    await stage.enqueue(new_job("a", HANGS_ONCE), new_job("b", HANGS_ONCE))
    await stage.engine_dies(f"{Failpoint.COMMAND_SPAWNED}=kill@2")
    await stage.engine_dies(armed)


async def while_it_drains(stage: Stage, armed: str) -> None:
    await stage.make()
    await stage.enqueue(new_job("a", HANGS_ONCE))
    with stage.engine("--drain-timeout", "0", armed=armed) as engine:
        await until(lambda: running(stage) == 1)
        engine.send(signal.SIGTERM)
        await stage.dies(engine, armed)


async def while_it_prunes(stage: Stage, armed: str) -> None:
    await stage.make()
    await stage.enqueue(new_job("old"))
    await stage.settle()
    async with open_store(stage.url) as store:
        await store.set_setting("retention", "1ms")
    with stage.engine(armed=armed) as engine:
        await stage.dies(engine, armed)
    assert [stored.id for stored in stage.evidence().jobs] == ["old"]
    async with open_store(stage.url, patient=True) as store, running_engine(store) as other:
        assert await other.event(JobsPruned) == JobsPruned(1)


async def while_it_moves_the_log(stage: Stage, armed: str) -> None:
    await stage.make()
    # Two workers that end at the same time share a commit, and it takes 64 of them.
    await stage.enqueue(*(new_job(f"job{n}") for n in range(150)))
    await stage.engine_dies(armed)


SCENARIOS: Mapping[Failpoint, tuple[Callable[[Stage, str], Awaitable[None]], list[int]]] = {
    Failpoint.FILE_CREATED: (while_it_makes_the_store, [1]),
    Failpoint.MIGRATING: (while_it_makes_the_store, [1, 30]),
    Failpoint.MIGRATED: (while_it_makes_the_store, [1, 2]),
    Failpoint.ENQUEUING: (while_it_enqueues, [1]),
    Failpoint.COMMITTED: (while_it_works, [1, 2, 3, 4]),
    Failpoint.ENGINE_REGISTERED: (while_it_works, [1]),
    Failpoint.CLAIMING: (while_it_works, [1, 2]),
    Failpoint.JOB_CLAIMED: (while_it_works, [1, 3]),
    Failpoint.COMMAND_SPAWNED: (while_it_works, [1, 2]),
    Failpoint.COMMAND_EXITED: (while_it_works, [1, 4]),
    Failpoint.FINISHING: (while_it_works, [1, 2]),
    Failpoint.ENGINE_FENCED: (while_it_rescues, [1]),
    Failpoint.LEFTOVERS_KILLED: (while_it_rescues, [1]),
    Failpoint.RESCUING: (while_it_rescues, [1, 2]),
    Failpoint.DRAIN_BEGUN: (while_it_drains, [1]),
    Failpoint.DRAIN_FORCED: (while_it_drains, [1]),
    Failpoint.DEREGISTERING: (while_it_works, [1]),
    Failpoint.PRUNING: (while_it_prunes, [1]),
    Failpoint.CHECKPOINT_BEGUN: (while_it_moves_the_log, [1]),
    Failpoint.CHECKPOINT_DONE: (while_it_moves_the_log, [1]),
}
"""For each failpoint what leads to it, and at which hits a process dies there."""
IN_POSTGRES = {
    Failpoint.MIGRATING: 1,
    Failpoint.MIGRATED: 1,
    Failpoint.ENQUEUING: 1,
    Failpoint.COMMITTED: 4,
    Failpoint.CLAIMING: 2,
    Failpoint.FINISHING: 2,
    Failpoint.RESCUING: 2,
    Failpoint.PRUNING: 1,
}
"""Those of the store, and at which hit: what an engine comes by outside of it is the same for every store."""


def test_one_that_does_not_exist_is_refused_before_anything_is_made(path: Path) -> None:
    with Terminal() as terminal:
        engine = terminal.start("--db", str(path), "run", environ={VARIABLE: "nix=kill"})
        _, err = engine.communicate(timeout=PATIENCE)
    assert engine.returncode == 2
    assert err.decode().startswith(f"error: {VARIABLE} names the failpoint 'nix', which does not exist")
    assert not path.exists()


def test_no_failpoint_is_forgotten() -> None:
    assert SCENARIOS.keys() == {*Failpoint}


@pytest.mark.parametrize(
    ("failpoint", "hit"), [(failpoint, hit) for failpoint, (_, hits) in SCENARIOS.items() for hit in hits]
)
async def test_a_death_there_loses_nothing(stage: Stage, failpoint: Failpoint, hit: int) -> None:
    await die_and_recover(stage, failpoint, hit)


@pytest.mark.parametrize(("failpoint", "hit"), IN_POSTGRES.items())
async def test_a_death_there_loses_nothing_in_postgres(postgres_stage: Stage, failpoint: Failpoint, hit: int) -> None:
    await die_and_recover(postgres_stage, failpoint, hit)


async def die_and_recover(stage: Stage, failpoint: Failpoint, hit: int) -> None:
    scenario, _ = SCENARIOS[failpoint]
    await scenario(stage, f"{failpoint}=kill@{hit}")

    log = await stage.settle()

    evidence = stage.evidence()
    assert check(evidence) == []
    # What dead engines held is due again before the next one takes anything new.
    kinds = [type(event) for event in log.events]
    assert JobRescued not in kinds[kinds.index(EngineStarted) :]


@pytest.mark.parametrize("failpoint", [Failpoint.LEFTOVERS_KILLED, Failpoint.RESCUING, Failpoint.ENGINE_FENCED])
async def test_a_crash_is_charged_once_though_the_rescuer_dies_too(stage: Stage, failpoint: Failpoint) -> None:
    await stage.make()
    await stage.enqueue(new_job("a", HANGS_ONCE))
    await stage.engine_dies(f"{Failpoint.COMMAND_SPAWNED}=kill")
    await stage.engine_dies(f"{failpoint}=kill")

    await stage.settle()

    evidence = stage.evidence()
    assert check(evidence) == []
    assert [change.crashes for change in evidence.changes if change.before == "processing"] == [1, 0]


async def test_a_client_that_dies_before_the_commit_has_stored_nothing(stage: Stage) -> None:
    await stage.make()

    stage.client_dies(f"{Failpoint.ENQUEUING}=kill", "a")

    assert stage.evidence().jobs == []
    stage.client_repeats("a")
    await stage.settle()
    assert check(stage.evidence()) == []


async def test_a_client_that_dies_after_the_commit_has_stored_its_job_and_may_ask_again(stage: Stage) -> None:
    await stage.make()

    stage.client_dies(f"{Failpoint.COMMITTED}=kill", "a")

    assert [(stored.id, stored.state) for stored in stage.evidence().jobs] == [("a", JobState.PENDING)]
    stage.client_repeats("a")
    await stage.settle()
    assert check(stage.evidence()) == []
