"""Why a job does not run: each reason is found, and only while it is true."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl import reasons
from queuectl.errors import JobNotFound
from queuectl.explain import explain
from queuectl.job import Condition, Dependency, JobState, NewJob
from queuectl.outcome import Exited
from queuectl.reasons import NoEngine, QueuePaused, Ready, Scheduled
from queuectl.retry import RetryPolicy
from queuectl.situation import MOST_COUNTED, MOST_NAMED, Prerequisite
from queuectl.transition import Action
from tests.factories import SECOND, START, add, end, new_engine, record_of, run_next, take

if TYPE_CHECKING:
    from collections.abc import Collection

    from queuectl.reasons import Reason
    from queuectl.store.base import Store
    from tests.factories import Clock

NO_ENGINE = NoEngine(silent=None, heard_at=None)
HOUR = timedelta(hours=1)


async def why(store: Store, job_id: str, gone: Collection[str] = ()) -> list[Reason]:
    return explain(await store.situation(job_id), gone)


async def test_a_job_that_is_not_there_has_no_situation(store: Store) -> None:
    with pytest.raises(JobNotFound):
        await store.situation("nothing")


# ── Engines ──────────────────────────────────────────────────────────────────


async def test_nobody_is_there(store: Store) -> None:
    await add(store, "job1")
    assert await why(store, "job1") == [NO_ENGINE]
    await store.register_engine(new_engine("engine-1"))
    assert await why(store, "job1") == [Ready()]
    assert await why(store, "job1", gone={"engine-1"}) == [NO_ENGINE]


async def test_an_engine_that_is_silent_for_its_lease_is_not_counted_on(
    store: Store, engine: str, clock: Clock
) -> None:
    await add(store, "job1")
    record = await record_of(store, engine)
    clock.advance(record.lease)
    assert await why(store, "job1") == [Ready()]
    clock.advance(SECOND)
    assert await why(store, "job1") == [NoEngine(engine, record.beat_at)]
    await store.beat(engine)
    assert await why(store, "job1") == [Ready()]


async def test_nobody_serves_its_queue(store: Store) -> None:
    await store.register_engine(new_engine("engine-1", queues=("mail", "api")))
    await add(store, "job1")
    await add(store, "job2", queue="mail")
    assert await why(store, "job1") == [reasons.QueueNotServed("default", ("api", "mail"))]
    assert await why(store, "job2") == [Ready()]


async def test_who_serves_its_queue_is_draining(store: Store, engine: str) -> None:
    await add(store, "job1")
    await store.request_stop([engine])
    assert await why(store, "job1") == [reasons.EnginesDraining("default", (engine,))]
    await store.register_engine(new_engine("engine-2"))
    assert await why(store, "job1") == [Ready()]


async def test_all_workers_are_busy(store: Store, engine: str) -> None:
    await add(store, "a", "b", "c", "d", "job1")
    for _ in range(3):
        await take(store, engine)
    assert await why(store, "d") == [Ready()]
    await take(store, engine)
    assert await why(store, "job1") == [reasons.WorkersBusy(4)]


# ── Time, and turns ──────────────────────────────────────────────────────────


async def test_its_time_has_not_come(store: Store, engine: str) -> None:
    later = store.now() + HOUR
    await store.enqueue([NewJob("true", id="job1", run_at=later)])
    assert await why(store, "job1") == [Scheduled(later)]
    await store.deregister_engine(engine)
    assert await why(store, "job1") == [Scheduled(later), NO_ENGINE]


async def test_it_waits_for_a_retry(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(3), policy=RetryPolicy(base=300))
    job = await store.get("job1")
    assert job.state is JobState.FAILED
    assert await why(store, "job1") == [reasons.Retrying(job.run_at, 1, "exit code 3")]


async def test_others_go_before_it(store: Store, engine: str) -> None:
    await add(store, "early1", "early2")
    await store.enqueue(
        [
            NewJob("true", id="urgent", priority=5),
            NewJob("true", id="elsewhere", priority=5, queue="mail"),
            NewJob("true", id="equal", queue="mail"),
            NewJob("true", id="job1"),
        ]
    )
    await add(store, "late")
    assert await why(store, "job1") == [reasons.JobsAhead(higher=2, earlier=2)]
    assert await why(store, "urgent") == [Ready()]
    # This one takes nothing of the other queue, and so need not wait for it.
    await store.register_engine(new_engine("engine-2", queues=("default",)))
    assert await why(store, "job1") == [reasons.JobsAhead(higher=1, earlier=2)]
    assert await why(store, "job1", gone={engine}) == [reasons.JobsAhead(higher=1, earlier=2)]


@pytest.mark.usefixtures("engine")
async def test_there_is_a_bound_to_what_is_counted(store: Store) -> None:
    before = [NewJob("true", priority=1, queue=f"q{n % 3}") for n in range(MOST_COUNTED + 1)]
    await store.enqueue([*before, NewJob("true", id="job1")])
    assert await why(store, "job1") == [reasons.JobsAhead(higher=MOST_COUNTED, earlier=0)]


# ── What users set ───────────────────────────────────────────────────────────


async def test_it_is_held(store: Store, engine: str) -> None:
    await add(store, "job1")
    await store.apply(Action.HOLD, ["job1"])
    assert await why(store, "job1") == [reasons.Held()]
    await store.deregister_engine(engine)
    assert await why(store, "job1") == [reasons.Held(), NO_ENGINE]
    await store.apply(Action.RELEASE, ["job1"])
    assert await why(store, "job1") == [NO_ENGINE]


async def test_its_queue_is_paused(store: Store, engine: str) -> None:
    await add(store, "job1", "job2")
    await store.set_queue("default", {"paused": True, "concurrency": 1})
    assert await why(store, "job1") == [QueuePaused("default")]
    await store.deregister_engine(engine)
    assert await why(store, "job2") == [QueuePaused("default"), NO_ENGINE]


async def test_its_queue_is_full(store: Store, engine: str) -> None:
    await store.set_queue("default", {"concurrency": 1})
    await add(store, "job1", "job2")
    running = await take(store, engine)
    assert await why(store, "job2") == [reasons.QueueFull("default", 1, 1)]
    await end(store, running)
    assert await why(store, "job2") == [Ready()]


async def test_its_rate_is_used_up(store: Store, engine: str, clock: Clock) -> None:
    await store.set_queue("default", {"rate": 0.5})
    await add(store, "job1", "job2")
    await run_next(store, engine)
    assert await why(store, "job2") == [reasons.RateUsedUp("default", 0.5, START + 2 * SECOND)]
    clock.advance(2 * SECOND)
    assert await why(store, "job2") == [Ready()]


async def test_queues_that_start_nothing_now_are_not_ahead(store: Store, engine: str) -> None:
    for queue in ("paused", "full", "open"):
        await store.enqueue([NewJob("true", priority=9, queue=queue) for _ in range(2)])
    await store.set_queue("paused", {"paused": True})
    await store.set_queue("full", {"concurrency": 1})
    await take(store, engine, ["full"])
    await add(store, "job1")
    assert await why(store, "job1") == [reasons.JobsAhead(higher=2, earlier=0)]


async def test_its_key_is_full(store: Store, engine: str) -> None:
    await store.enqueue([NewJob("true", id=of, concurrency_key="db", concurrency_limit=2) for of in "abcd"])
    await take(store, engine)
    assert await why(store, "c") == [reasons.JobsAhead(higher=0, earlier=1)]
    running = await take(store, engine)
    assert await why(store, "c") == [reasons.KeyFull("db", 2, 2, ("a", "b"))]
    await store.claim(engine, 3, None)  # It finds them, and parks them.
    assert await why(store, "d") == [reasons.KeyFull("db", 2, 2, ("a", "b"))]
    await end(store, running)
    assert await why(store, "c") == [Ready()]


async def test_it_waits_for_other_jobs(store: Store, engine: str) -> None:
    await add(store, "a", "b")
    await store.enqueue([NewJob("true", id="job1", after=(Dependency("a"), Dependency("b", Condition.ANY)))])
    a, b = Prerequisite("a", Condition.OK, JobState.PENDING), Prerequisite("b", Condition.ANY, JobState.PENDING)
    assert await why(store, "job1") == [reasons.AwaitsJobs((a, b), more=0)]
    running = await take(store, engine)
    assert await why(store, "job1") == [reasons.AwaitsJobs((a._replace(state=JobState.PROCESSING), b), more=0)]
    await end(store, running)
    assert await why(store, "job1") == [reasons.AwaitsJobs((b,), more=0)]
    await run_next(store, engine)
    assert await why(store, "job1") == [Ready()]


async def test_a_dead_job_keeps_those_waiting_that_come_after_it(store: Store, engine: str) -> None:
    await store.enqueue([NewJob("true", id="a"), NewJob("true", id="b", priority=1)])
    await store.enqueue([NewJob("true", id="job1", after=(Dependency("a"), Dependency("b")))])
    assert await run_next(store, engine, Exited(1)) == "b"
    a, b = Prerequisite("a", Condition.OK, JobState.PENDING), Prerequisite("b", Condition.OK, JobState.DEAD)
    assert await why(store, "job1") == [reasons.AwaitsDeadJobs((b,)), reasons.AwaitsJobs((a,), more=0)]
    await store.apply(Action.HOLD, ["job1"])
    assert (await why(store, "job1"))[0] == reasons.Held()
    await store.purge([JobState.DEAD], None)
    assert await why(store, "job1") == [reasons.Cancelled(START, "job b, which had to complete first, was deleted")]


@pytest.mark.usefixtures("engine")
async def test_of_many_jobs_the_first_are_named(store: Store) -> None:
    ids = await add(store, *(f"a{number:02}" for number in range(MOST_NAMED + 5)))
    await store.enqueue([NewJob("true", id="job1", after=tuple(map(Dependency, ids)))])
    [reason] = await why(store, "job1")
    assert isinstance(reason, reasons.AwaitsJobs)
    assert ([other.id for other in reason.jobs], reason.more) == (ids[:MOST_NAMED], 5)


# ── It runs, or is final ─────────────────────────────────────────────────────


async def test_it_runs(store: Store, engine: str) -> None:
    await add(store, "job1")
    await take(store, engine)
    running = reasons.Running(START, run=1, attempt=1, engine=engine, host="nowhere", pid=None)
    assert await why(store, "job1") == [running]
    # That its engine is to end is no matter: what runs, goes on.
    await store.request_stop([engine])
    assert await why(store, "job1") == [running]


async def test_its_engine_is_gone(store: Store, engine: str) -> None:
    await add(store, "job1")
    await take(store, engine)
    assert await why(store, "job1", gone={engine}) == [reasons.EngineLost(engine, None, is_anyone_there=False)]
    await store.register_engine(new_engine("engine-2"))
    assert await why(store, "job1", gone={engine}) == [reasons.EngineLost(engine, None, is_anyone_there=True)]
    await store.fence(await record_of(store, engine))
    assert await why(store, "job1") == [reasons.EngineLost(engine, None, is_anyone_there=True)]


async def test_it_is_to_be_cancelled_and_has_not_ended(store: Store, engine: str) -> None:
    await add(store, "job1")
    await take(store, engine)
    await store.apply(Action.CANCEL, ["job1"])
    _, reason = await why(store, "job1")
    assert reason == reasons.Cancelling()


async def test_it_is_final(store: Store, engine: str) -> None:
    await add(store, "a")
    await run_next(store, engine)
    await add(store, "b")
    await run_next(store, engine, Exited(3))
    assert await why(store, "a") == [reasons.Completed(START)]
    assert await why(store, "b") == [reasons.Dead(START, 1, "exit code 3")]


async def test_it_was_cancelled(store: Store) -> None:
    await add(store, "job1")
    await store.apply(Action.CANCEL, ["job1"])
    job = await store.get("job1")
    assert await why(store, "job1") == [reasons.Cancelled(job.finished_at, job.error)]
