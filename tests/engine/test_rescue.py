"""What becomes of the jobs of an engine that is no more."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from queuectl.engine.leftovers import kill_leftovers
from queuectl.events import EngineStarted, JobClaimed, JobFinished, JobRescued
from queuectl.job import Job, JobState, NewJob
from queuectl.settings import Settings
from queuectl.store.liveness import this_process
from tests.engine.commands import lives
from tests.engine.engines import LONG, engine_process, lines_in, run_until_idle, running_engine, strays
from tests.factories import SECOND, add, new_engine, printed, record_of, take
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from queuectl.store.base import Store
    from tests.engine.engines import Gate

WAITS = "echo $QUEUECTL_JOB_ID >> started; read line < gate"
SHORT = Settings(lease=SECOND)
"""Six beats a second."""


async def crash(path: Path, folder: Path, *jobs: str) -> None:
    """Kill an engine when these jobs, which wait, have started under it."""
    before = len(lines_in(folder / "started"))
    with engine_process(path) as engine:
        await until(lambda: sorted(lines_in(folder / "started")[before:]) == sorted(jobs))
        engine.send(signal.SIGKILL)
        await engine.exit_code()


async def test_jobs_of_a_killed_engine_run_again_and_what_it_left_running_is_killed_first(
    store: Store, path: Path, folder: Path, gate: Gate
) -> None:
    await store.enqueue([NewJob(WAITS, id="a"), NewJob(WAITS, id="b")])
    await crash(path, folder, "a", "b")
    orphans = strays(folder)
    assert len(orphans) == 2

    async with running_engine(store) as running:
        for job_id in ("a", "b"):
            rescued = await running.event(JobRescued, job_id)
            assert (rescued.state, rescued.reason, rescued.killed) == (JobState.PENDING, "its engine died", 1)
        again = [await running.event(JobClaimed, job_id) for job_id in ("a", "b")]
        assert not any(lives(process.pid) for process in orphans)
        gate.open(2)
        await running.event(JobFinished, count=2)

    # The jobs are there for the first claim, not only after some beats.
    kinds = [type(event) for event in running.log.events]
    assert kinds[:3] == [JobRescued, JobRescued, EngineStarted]
    for claimed in again:
        assert (claimed.job.attempts, claimed.job.crashes, claimed.job.runs) == (0, 1, 2)
        job = await store.get(claimed.job.id)
        assert (job.state, job.attempts, job.crashes) == (JobState.COMPLETED, 1, 0)
        runs = await store.list_runs(job.id)
        assert [(run.attempt, run.outcome) for run in runs] == [(1, "engine_died"), (1, "exited")]


async def test_a_job_that_kills_its_engines_is_buried(store: Store, path: Path) -> None:
    await store.set_setting("max_crashes", "2")
    await store.enqueue([NewJob("kill -9 $PPID", id="poison"), NewJob("true", id="harmless", priority=-1)])

    for _ in range(2):
        with engine_process(path, "--workers", "1", "--until-idle") as engine:
            assert await engine.exit_code() == -signal.SIGKILL
    with engine_process(path, "--workers", "1", "--until-idle") as engine:
        assert await engine.exit_code() == 1

    job = await store.get("poison")
    assert (job.state, job.attempts, job.crashes) == (JobState.DEAD, 0, 2)
    assert job.error == "its engine died, 2 times in a row"
    assert (await store.get("harmless")).state is JobState.COMPLETED


@pytest.mark.usefixtures("gate")
async def test_a_give_back_neither_adds_a_crash_nor_forgets_one(store: Store, path: Path, folder: Path) -> None:
    await store.enqueue([NewJob(WAITS, id="a")])
    await crash(path, folder, "a")

    async with running_engine(store) as running:
        await running.holds(1)

    job = await store.get("a")
    assert (job.state, job.attempts, job.crashes) == (JobState.PENDING, 0, 1)


async def hold_a_job(store: Store, process_change: dict[str, str], lease: timedelta = LONG) -> Job:
    """Register an engine that differs from this process in that, and have it claim the job ``a``."""
    process = replace(this_process(), **process_change)  # type: ignore[arg-type] # texts, all of them
    await store.register_engine(new_engine("other", process=process, lease=lease))
    await add(store, "a")
    return await take(store, "other")


async def test_after_a_reboot_jobs_run_at_once_and_no_crash_is_charged(store: Store) -> None:
    await hold_a_job(store, {"boot_id": "an earlier one"})

    _, log = await run_until_idle(store)

    (rescued,) = log.of(JobRescued)
    assert (rescued.reason, rescued.state) == ("the machine was restarted", JobState.PENDING)
    assert log.of(JobClaimed)[0].job.crashes == 0
    assert isinstance(log.events[1], EngineStarted)


async def test_jobs_whose_rescuer_died_too_are_there_for_the_first_claim(store: Store) -> None:
    await hold_a_job(store, {"boot_id": "an earlier one"})
    rescuer = replace(this_process(), start="before this one")
    await store.register_engine(new_engine("rescuer", process=rescuer))
    assert await store.fence(await record_of(store, "other"))

    _, log = await run_until_idle(store)

    assert [type(event) for event in log.events[:2]] == [JobRescued, EngineStarted]
    # Its engine was not seen to be gone, else it would still be registered: nothing is held against the job.
    assert log.of(JobRescued)[0].reason == "its engine was taken off by another"
    assert log.of(JobClaimed)[0].job.crashes == 0


async def test_an_engine_that_cannot_be_looked_at_is_dead_after_a_lease_of_silence(store: Store) -> None:
    await hold_a_job(store, {"pid_namespace": "of a container"}, lease=SECOND)

    async with running_engine(store, settings=SHORT) as running:
        rescued = await running.event(JobRescued)
        beats = (await record_of(store, running.id)).beats
        await running.event(JobFinished)

    assert beats >= 6
    assert (rescued.reason, rescued.state) == ("its engine fell silent", JobState.PENDING)
    assert running.log.of(JobClaimed)[0].job.crashes == 0


async def test_an_engine_that_beats_is_let_be(store: Store) -> None:
    job = await hold_a_job(store, {"pid_namespace": "of a container"}, lease=SECOND)

    async with running_engine(store, settings=SHORT) as running:
        await running.event(EngineStarted)

        async def has_beaten_for_two_leases() -> bool:
            await store.beat("other")
            return (await record_of(store, running.id)).beats >= 12

        await until(has_beaten_for_two_leases)
        assert running.log.of(JobRescued) == []
        assert (await store.get("a")).claim == job.claim


async def test_jobs_stay_where_they_are_while_it_cannot_be_seen_what_their_engine_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[JobState] = []

    async def blind_at_first(jobs: Sequence[Job]) -> dict[str, int]:
        looks.append((await store.get("a")).state)
        if len(looks) == 1:
            raise OSError
        return await kill_leftovers(jobs)

    monkeypatch.setattr("queuectl.engine.services.rescuer.kill_leftovers", blind_at_first)
    await hold_a_job(store, {"boot_id": "an earlier one"})

    _, log = await run_until_idle(store, settings=SHORT)

    assert looks == [JobState.PROCESSING, JobState.PROCESSING]
    assert len(log.of(JobRescued)) == 1
    assert (await store.get("a")).state is JobState.COMPLETED


@pytest.mark.parametrize(
    ("change", "known"), [({"boot_id": "an earlier one"}, None), ({"start": "before this one"}, 4711)]
)
async def test_the_number_of_a_process_means_nothing_after_a_reboot(
    store: Store, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], known: int | None
) -> None:
    pids: list[int | None] = []

    async def spy(jobs: Sequence[Job]) -> dict[str, int]:
        pids.extend(job.pid for job in jobs)
        return {}

    monkeypatch.setattr("queuectl.engine.services.rescuer.kill_leftovers", spy)
    job = await hold_a_job(store, change)
    await store.report(job.claim, 4711, "100", printed(b""))

    await run_until_idle(store)

    assert pids == [known]
