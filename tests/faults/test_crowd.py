"""Many at once: engines, clients, and two ends of one run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from queuectl.events import JobFinished
from queuectl.job import JobState, NewJob, OnConflict
from queuectl.outcome import Exited, TimedOut
from queuectl.store import open_store
from tests.engine.engines import EventLog, lines_in, patient_store, run_until_idle, running_engine
from tests.factories import SECOND, all_jobs

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.engine import EngineReport
    from queuectl.job import Receipt
    from queuectl.store.base import Store


async def test_twenty_engines_that_start_at_once_on_a_new_store_run_each_job_once(path: Path) -> None:
    async def serve(number: int) -> EngineReport:
        async with patient_store(path, EventLog()) as store:
            await store.enqueue([NewJob(f"echo {number}.{n} >> ledger", id=f"job{number}.{n}") for n in range(3)])
            report, _ = await run_until_idle(store, workers=2)
            return report

    reports = await asyncio.gather(*map(serve, range(20)))

    assert all(report.given_back == report.buried == 0 for report in reports)
    assert sorted(lines_in(path.with_name("ledger"))) == sorted(
        f"{number}.{n}" for number in range(20) for n in range(3)
    )
    async with open_store(path, read_only=True) as store:
        assert {(job.state, job.runs) for job in await all_jobs(store)} == {(JobState.COMPLETED, 1)}
        assert await store.engines() == []


async def test_a_hundred_that_enqueue_the_same_id_over_restarts_of_the_engine_make_one_job(
    store: Store, path: Path, folder: Path
) -> None:
    job = NewJob("echo >> ledger", id="a", on_conflict=OnConflict.IGNORE)
    receipts: list[Receipt] = []

    async def enqueue(client: Store) -> None:
        receipts.extend(await client.enqueue([job]))

    async with open_store(path) as one, open_store(path) as other:
        for _ in range(4):
            async with running_engine(store) as running:
                async with asyncio.TaskGroup() as clients:
                    for number in range(25):
                        clients.create_task(enqueue((one, other)[number % 2]))
                if len(receipts) == 25:
                    await running.event(JobFinished)

    assert len(receipts) == 100
    assert sum(not receipt.existing for receipt in receipts) == 1
    assert len(lines_in(folder / "ledger")) == 1
    [kept] = await all_jobs(store)
    assert (kept.state, kept.runs) == (JobState.COMPLETED, 1)


async def test_a_run_that_ends_just_as_its_time_is_up_has_one_end(store: Store) -> None:
    jobs = [NewJob("sleep 0.1", id=f"job{n}", timeout=SECOND * (95 + n) / 1000, max_retries=1) for n in range(30)]
    await store.enqueue(jobs)

    _, log = await run_until_idle(store, workers=8)

    for event in log.of(JobFinished):
        [run] = await store.list_runs(event.job.id)
        kept = await store.get(event.job.id)
        expected = {Exited: (JobState.COMPLETED, "exited"), TimedOut: (JobState.DEAD, "timed_out")}
        assert (kept.state, run.outcome) == expected[type(event.outcome)]
        assert (kept.attempts, kept.runs) == (1, 1)
    assert len(log.of(JobFinished)) == 30
