"""The runs of a job: one record for each execution, from its start."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import JobNotFound
from queuectl.job import JobState, Run
from queuectl.outcome import Cancelled, Exited, Interrupted, Signalled, SpawnFailed, TimedOut
from queuectl.transition import Action
from tests.factories import ONE_ATTEMPT, SECOND, START, TWO_ATTEMPTS, add, end, run_next, take

if TYPE_CHECKING:
    from queuectl.outcome import Outcome
    from queuectl.store.base import Store
    from tests.factories import Clock


async def test_a_job_that_never_ran_has_no_runs(store: Store) -> None:
    await add(store, "job1")
    assert await store.list_runs("job1") == []


async def test_the_runs_of_an_unknown_job_are_not_found(store: Store) -> None:
    with pytest.raises(JobNotFound, match="job1"):
        await store.list_runs("job1")


async def test_a_run_under_way_has_no_outcome_yet(store: Store, engine: str) -> None:
    await add(store, "job1")
    await store.claim(engine, 3, None)
    assert await store.list_runs("job1") == [
        Run(
            job_id="job1",
            run=1,
            attempt=1,
            engine_id=engine,
            worker=3,
            outcome=None,
            exit_code=None,
            signal=None,
            error=None,
            started_at=START,
            finished_at=None,
            duration=None,
        )
    ]


async def test_a_run_that_succeeded_is_recorded(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    clock.advance(2 * SECOND)
    await end(store, job, duration=timedelta(seconds=1, milliseconds=999))
    (run,) = await store.list_runs("job1")
    assert (run.outcome, run.exit_code, run.signal, run.error) == ("exited", 0, None, None)
    assert (run.started_at, run.finished_at) == (START, START + 2 * SECOND)
    assert run.duration == timedelta(seconds=1, milliseconds=999)


@pytest.mark.parametrize(
    ("outcome", "exit_code", "signal"),
    [
        (Exited(3), 3, None),
        (Signalled(9), None, 9),
        (TimedOut(SECOND), None, None),
        (SpawnFailed("no such program", 127), 127, None),
        (Interrupted("drained"), None, None),
        (Cancelled(), None, None),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
async def test_a_run_that_did_not_succeed_says_why(
    store: Store, engine: str, outcome: Outcome, exit_code: int | None, signal: int | None
) -> None:
    await add(store, "job1")
    await run_next(store, engine, outcome)
    (run,) = await store.list_runs("job1")
    assert (run.outcome, run.exit_code, run.signal) == (outcome.name, exit_code, signal)
    assert run.error == (await store.get("job1")).error
    assert run.error


async def test_a_run_whose_end_nobody_saw_has_no_duration(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, Interrupted("engine gone"), duration=None)
    (run,) = await store.list_runs("job1")
    assert (run.duration, run.finished_at) == (None, START)


async def test_runs_come_from_the_first_and_the_one_under_way_last(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    for outcome in (Exited(1), Signalled(15)):
        await run_next(store, engine, outcome, policy=TWO_ATTEMPTS if outcome == Exited(1) else ONE_ATTEMPT)
        clock.advance(timedelta(hours=1))
    await store.apply(Action.RETRY, ["job1"])
    await take(store, engine)
    runs = await store.list_runs("job1")
    assert [(run.run, run.attempt, run.outcome) for run in runs] == [
        (1, 1, "exited"),
        (2, 2, "signalled"),
        (3, 1, None),
    ]


async def test_an_attempt_repeats_after_a_give_back_and_a_run_never(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, Interrupted("drained"))
    await run_next(store, engine)
    runs = await store.list_runs("job1")
    assert [(run.run, run.attempt) for run in runs] == [(1, 1), (2, 1)]
    assert ((await store.get("job1")).runs, (await store.get("job1")).attempts) == (2, 1)


async def test_the_runs_of_one_job_are_its_own(store: Store, engine: str, rival: str) -> None:
    await add(store, "job1", "job2")
    await take(store, engine)
    await take(store, rival)
    assert [run.engine_id for run in await store.list_runs("job1")] == [engine]
    assert [run.engine_id for run in await store.list_runs("job2")] == [rival]


async def test_the_exit_code_of_a_job_is_that_of_the_last_run_that_ended_by_itself(
    store: Store, engine: str, clock: Clock
) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(3), policy=TWO_ATTEMPTS)
    assert (await store.get("job1")).exit_code == 3
    clock.advance(timedelta(hours=1))
    await run_next(store, engine, Interrupted("drained"))
    assert (await store.get("job1")).exit_code == 3
    await run_next(store, engine, Exited(0))
    assert (await store.get("job1")).exit_code == 0
    assert (await store.get("job1")).state is JobState.COMPLETED


async def test_a_job_shows_its_last_run(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    clock.advance(SECOND)
    job = await store.claim(engine, 2, None)
    assert job is not None
    assert (job.engine_id, job.worker, job.started_at) == (engine, 2, START + SECOND)
    clock.advance(SECOND)
    await end(store, job)
    job = await store.get("job1")
    assert (job.engine_id, job.worker, job.started_at) == (engine, 2, START + SECOND)
    assert (job.finished_at, job.updated_at) == (START + 2 * SECOND, START + 2 * SECOND)
