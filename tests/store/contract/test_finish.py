"""Reports and ends of runs: accepted once, from the one who holds the job, and from nobody else."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import EngineFenced, LeaseLost
from queuectl.job import FINAL_STATES, JobState, NewJob
from queuectl.outcome import Cancelled, Exited, Interrupted
from queuectl.output import NO_OUTPUT, RunOutput
from queuectl.transition import Bury, Cancel, Complete, Release, Retry
from tests.factories import SECOND, START, add, claim_next, end, execution, printed, record_of, run_next, take

if TYPE_CHECKING:
    from queuectl.job import Claim, Job, Run
    from queuectl.outcome import Outcome
    from queuectl.store.base import Store
    from queuectl.transition import Transition
    from tests.factories import Clock

DONE = Complete(1, 0)


async def everything_about(store: Store, job_id: str) -> tuple[Job, list[Run], list[RunOutput]]:
    """Read all that the store keeps about a job."""
    job = await store.get(job_id)
    return job, await store.list_runs(job_id), [await store.read_output(job_id, run + 1) for run in range(job.runs)]


def forged(claim: Claim) -> list[Claim]:
    """Give claims that differ from a true one in one thing each."""
    return [
        replace(claim, token=claim.token + 1),
        replace(claim, token=claim.token - 1),
        replace(claim, engine_id="engine-2"),
        replace(claim, job_id="waiting"),
        replace(claim, job_id="nobody"),
    ]


@pytest.mark.parametrize(
    ("outcome", "transition"),
    [
        (Exited(0), Complete(1, 0)),
        (Exited(1), Retry(1, 0, START + 5 * SECOND, "exit code 1")),
        (Exited(2), Bury(1, 0, "exit code 2")),
        (Cancelled(), Cancel(0, 2, "cancelled")),
        (Interrupted("drained"), Release(0, 3, "drained")),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_finish_moves_the_job_as_its_transition_says(
    store: Store, engine: str, clock: Clock, outcome: Outcome, transition: Transition
) -> None:
    await store.enqueue([NewJob("true", id="job1", run_at=START - SECOND)])
    job = await take(store, engine)
    clock.advance(SECOND)
    await store.finish(job.claim, execution(outcome), transition)
    job = await store.get("job1")
    assert job.state is transition.state
    assert (job.attempts, job.crashes, job.runs) == (transition.attempts, transition.crashes, 1)
    assert job.error == getattr(transition, "error", None)
    assert job.run_at == getattr(transition, "run_at", START - SECOND)
    assert job.finished_at == (clock() if job.state in FINAL_STATES else None)
    assert job.updated_at == clock()
    assert job.pid is None


async def test_a_failure_is_forgotten_when_the_next_attempt_succeeds(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.finish(job.claim, execution(Exited(1)), Retry(1, 0, START, "exit code 1"))
    clock.advance(SECOND)
    await run_next(store, engine)
    job = await store.get("job1")
    assert (job.state, job.error, job.exit_code, job.attempts) == (JobState.COMPLETED, None, 0, 2)


async def test_a_released_job_is_due_as_it_was(store: Store, engine: str) -> None:
    await add(store, "first", "second")
    await end(store, await take(store, engine), Interrupted("drained"))
    assert (await take(store, engine)).id == "first"


async def test_a_finish_said_twice_is_harmless(store: Store, other: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    said = (job.claim, execution(output=printed(b"text")), DONE)
    await store.finish(*said)
    before = await everything_about(store, "job1")
    clock.advance(SECOND)
    await store.finish(*said)
    await other.finish(*said)
    assert await everything_about(store, "job1") == before


async def test_a_give_back_said_twice_is_harmless(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    said = (job.claim, execution(Interrupted("drained")), Release(0, 0, "drained"))
    await store.finish(*said)
    before = await everything_about(store, "job1")
    await store.finish(*said)
    assert await everything_about(store, "job1") == before


async def test_a_finish_said_again_does_nothing_to_the_next_run(store: Store, engine: str) -> None:
    await add(store, "job1")
    first = await take(store, engine)
    await end(store, first, Interrupted("drained"), output=printed(b"first"))
    second = await take(store, engine)
    before = await everything_about(store, "job1")
    for transition in (Release(0, 0, "drained"), DONE):
        with suppress(LeaseLost):
            await store.finish(first.claim, execution(output=printed(b"again")), transition)
    assert await everything_about(store, "job1") == before
    await end(store, second)


async def test_a_finish_under_a_claim_that_is_not_held_changes_nothing(store: Store, engine: str, rival: str) -> None:
    await add(store, "job1", "waiting")
    job = await take(store, engine)
    before = [await everything_about(store, job_id) for job_id in ("job1", "waiting")]
    for claim in forged(job.claim):
        with pytest.raises(LeaseLost) as caught:
            await store.finish(claim, execution(output=printed(b"forged")), DONE)
        assert not isinstance(caught.value, EngineFenced)
    assert [await everything_about(store, job_id) for job_id in ("job1", "waiting")] == before
    assert (await record_of(store, rival)).processing == 0
    await end(store, job)


async def test_a_finish_of_a_deleted_job_changes_nothing(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await end(store, job)
    await store.purge([JobState.COMPLETED], None)
    with suppress(LeaseLost):
        await store.finish(job.claim, execution(output=printed(b"late")), DONE)
    await add(store, "job1")
    assert await everything_about(store, "job1") == (await store.get("job1"), [], [])
    assert await store.read_output("job1", 1) == RunOutput()


async def test_a_fenced_engine_cannot_finish(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.fence(await record_of(store, engine))
    before = await everything_about(store, "job1")
    with pytest.raises(EngineFenced):
        await end(store, job, output=printed(b"late"))
    assert await everything_about(store, "job1") == before


async def test_a_deregistered_engine_cannot_finish(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.deregister_engine(engine)
    before = await everything_about(store, "job1")
    with pytest.raises(EngineFenced):
        await end(store, job, output=printed(b"late"))
    assert await everything_about(store, "job1") == before


async def test_a_report_names_the_process(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.report(job.claim, 4712, "12345", NO_OUTPUT)
    job = await store.get("job1")
    assert (job.pid, job.pid_start) == (4712, "12345")
    assert job.state is JobState.PROCESSING


async def test_the_process_of_one_run_is_not_that_of_the_next(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.report(job.claim, 4712, "12345", NO_OUTPUT)
    await end(store, job, Interrupted("drained"))
    assert ((await store.get("job1")).pid, (await store.get("job1")).pid_start) == (None, None)
    job = await take(store, engine)
    assert (job.pid, job.pid_start) == (None, None)


async def test_a_report_under_a_claim_that_is_not_held_changes_nothing(store: Store, engine: str, rival: str) -> None:
    await add(store, "job1", "waiting")
    job = await take(store, engine)
    before = [await everything_about(store, job_id) for job_id in ("job1", "waiting")]
    for claim in forged(job.claim):
        with pytest.raises(LeaseLost):
            await store.report(claim, 4712, "12345", printed(b"forged"))
    assert [await everything_about(store, job_id) for job_id in ("job1", "waiting")] == before
    assert (await record_of(store, rival)).processing == 0


async def test_a_report_after_the_end_changes_nothing(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await end(store, job)
    before = await everything_about(store, "job1")
    with pytest.raises(LeaseLost):
        await store.report(job.claim, 4712, "12345", printed(b"late"))
    assert await everything_about(store, "job1") == before


async def test_a_fenced_engine_cannot_report(store: Store, engine: str) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    await store.fence(await record_of(store, engine))
    before = await everything_about(store, "job1")
    with pytest.raises(LeaseLost):
        await store.report(job.claim, 4712, "12345", printed(b"late"))
    assert await everything_about(store, "job1") == before


async def test_a_retry_is_due_when_its_transition_says(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    job = await take(store, engine)
    due = START + timedelta(minutes=3)
    await store.finish(job.claim, execution(Exited(1)), Retry(1, 0, due, "exit code 1"))
    clock.advance(timedelta(minutes=3) - timedelta(milliseconds=1))
    assert await claim_next(store, engine) is None
    clock.advance(timedelta(milliseconds=1))
    assert (await take(store, engine)).id == "job1"
