"""Retry by hand: which jobs may be retried, all or none, and what starts anew."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import JobNotFound, WrongState
from queuectl.job import JobState, NewJob
from queuectl.outcome import Cancelled, EngineDied, Exited, Signalled
from queuectl.output import RunOutput
from queuectl.retry import RetryPolicy
from queuectl.store.base import JobFilter
from queuectl.transition import Action
from tests.factories import SECOND, START, TWO_ATTEMPTS, add, all_jobs, claim_next, printed, run_next, take

if TYPE_CHECKING:
    from queuectl.outcome import Outcome
    from queuectl.store.base import Store
    from tests.factories import Clock

RETRYABLE = ["completed", "dead", "cancelled", "failed"]
OTHERS = ["processing", "pending", "future"]


async def one_in_each_state(store: Store, engine: str) -> None:
    """Bring a job into each state that can be reached yet; its id is the state's name."""
    ends: dict[str, Outcome] = {"completed": Exited(0), "dead": Signalled(9), "cancelled": Cancelled()}
    await add(store, *ends, "failed", *OTHERS[:2])
    await store.enqueue([NewJob("true", id="future", run_at=START + timedelta(days=1))])
    for outcome in ends.values():
        await run_next(store, engine, outcome)
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    await take(store, engine)


async def test_a_dead_job_starts_anew(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(7), output=printed(b"first"))
    clock.advance(timedelta(hours=1))
    assert await store.apply(Action.RETRY, ["job1"]) == ["job1"]
    job = await store.get("job1")
    assert job.state is JobState.PENDING
    assert (job.attempts, job.crashes, job.error, job.exit_code, job.finished_at) == (0, 0, None, None, None)
    assert job.run_at == job.updated_at == clock()
    assert job.created_at == START


async def test_earlier_runs_stay_and_their_numbers_go_on(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(7), output=printed(b"first"))
    await store.apply(Action.RETRY, ["job1"])
    (run,) = await store.list_runs("job1")
    assert (run.outcome, run.exit_code) == ("exited", 7)
    assert await store.read_output("job1", 1) == RunOutput(b"first")
    assert (await take(store, engine)).runs == 2


async def test_crashes_start_anew(store: Store, engine: str) -> None:
    await add(store, "job1")
    crash = EngineDied("engine gone", crashed=True)
    await run_next(store, engine, crash, policy=RetryPolicy(max_crashes=1))
    assert (await store.get("job1")).state is JobState.DEAD
    assert (await store.get("job1")).crashes == 1
    await store.apply(Action.RETRY, ["job1"])
    assert (await store.get("job1")).crashes == 0


async def test_a_failed_job_need_not_wait_for_its_delay(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    assert await claim_next(store, engine) is None
    await store.apply(Action.RETRY, ["job1"])
    assert (await take(store, engine)).attempts == 0


@pytest.mark.parametrize("state", RETRYABLE)
async def test_states_that_allow_it(store: Store, engine: str, state: str) -> None:
    await one_in_each_state(store, engine)
    assert (await store.get(state)).state == state
    assert await store.apply(Action.RETRY, [state]) == [state]
    assert (await store.get(state)).state is JobState.PENDING


@pytest.mark.parametrize("job_id", OTHERS)
async def test_states_that_refuse_it(store: Store, engine: str, job_id: str) -> None:
    await one_in_each_state(store, engine)
    before = await all_jobs(store)
    with pytest.raises(WrongState, match=job_id):
        await store.apply(Action.RETRY, ["dead", job_id])
    assert await all_jobs(store) == before


async def test_an_unknown_id_refuses_the_whole(store: Store, engine: str) -> None:
    await one_in_each_state(store, engine)
    before = await all_jobs(store)
    with pytest.raises(JobNotFound, match="nobody"):
        await store.apply(Action.RETRY, ["dead", "nobody", "failed"])
    assert await all_jobs(store) == before


async def test_the_answer_is_in_order_of_age_and_names_each_once(store: Store, engine: str) -> None:
    await one_in_each_state(store, engine)
    answer = await store.apply(Action.RETRY, ["failed", "completed", "dead", "completed"])
    assert answer == ["completed", "dead", "failed"]


async def test_no_ids_are_no_jobs(store: Store, engine: str) -> None:
    await one_in_each_state(store, engine)
    before = await all_jobs(store)
    assert await store.apply(Action.RETRY, []) == []
    assert await all_jobs(store) == before


async def test_a_filter_passes_over_what_does_not_allow_it(store: Store, engine: str) -> None:
    await one_in_each_state(store, engine)
    untouched = [await store.get(job_id) for job_id in OTHERS]
    assert await store.apply(Action.RETRY, JobFilter()) == RETRYABLE
    assert [await store.get(job_id) for job_id in OTHERS] == untouched
    assert {(await store.get(job_id)).state for job_id in RETRYABLE} == {JobState.PENDING}


async def test_a_filter_takes_what_fits_it(store: Store, engine: str) -> None:
    await store.enqueue(
        [
            NewJob("true", id="fits", queue="q", tags=("t", "u")),
            NewJob("true", id="no-tag", queue="q"),
            NewJob("true", id="no-queue", tags=("t",)),
        ]
    )
    for _ in range(3):
        await run_next(store, engine, Exited(1))
    where = JobFilter(states=(JobState.DEAD,), queues=("q",), tags=("t",))
    assert await store.apply(Action.RETRY, where) == ["fits"]
    assert (await store.get("no-tag")).state is JobState.DEAD
    assert await store.apply(Action.RETRY, where) == []


async def test_a_filter_by_a_state_that_does_not_allow_it_finds_none(store: Store, engine: str) -> None:
    await one_in_each_state(store, engine)
    assert await store.apply(Action.RETRY, JobFilter(states=(JobState.PROCESSING, JobState.PENDING))) == []


async def test_a_dry_run_answers_the_same_and_changes_nothing(store: Store, engine: str, clock: Clock) -> None:
    await one_in_each_state(store, engine)
    clock.advance(SECOND)
    before = await all_jobs(store)
    assert await store.apply(Action.RETRY, JobFilter(), dry_run=True) == RETRYABLE
    assert await store.apply(Action.RETRY, ["dead", "completed"], dry_run=True) == ["completed", "dead"]
    with pytest.raises(WrongState):
        await store.apply(Action.RETRY, ["pending"], dry_run=True)
    with pytest.raises(JobNotFound):
        await store.apply(Action.RETRY, ["nobody"], dry_run=True)
    assert await all_jobs(store) == before


async def test_many_at_once(store: Store, engine: str) -> None:
    ids = await add(store, *(f"job{number}" for number in range(1200)))
    await asyncio.gather(*(run_next(store, engine, Exited(1)) for _ in ids))
    assert await store.apply(Action.RETRY, ids[:1100]) == ids[:1100]
    assert await store.apply(Action.RETRY, JobFilter(states=(JobState.DEAD,))) == ids[1100:]
    assert {job.state for job in await all_jobs(store)} == {JobState.PENDING}


async def test_of_two_retries_at_once_one_is_refused(store: Store, other: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(1))
    answers = await asyncio.gather(
        store.apply(Action.RETRY, ["job1"]), other.apply(Action.RETRY, ["job1"]), return_exceptions=True
    )
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [WrongState]
    assert ["job1"] in answers
