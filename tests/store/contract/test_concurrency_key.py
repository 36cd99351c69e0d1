"""Concurrency keys: fewer than so many of a key at once, whoever claims, whatever becomes of those that run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from queuectl.job import JobState, NewJob
from queuectl.job_changes import JobChanges
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted
from queuectl.retry import RetryPolicy
from queuectl.transition import Action, decide
from tests.factories import (
    SECOND,
    START,
    TWO_ATTEMPTS,
    add,
    all_jobs,
    claim_next,
    end,
    execution,
    new_engine,
    record_of,
    run_next,
    take,
)

if TYPE_CHECKING:
    from queuectl.job import Job
    from queuectl.outcome import Outcome
    from queuectl.store.base import Store
    from tests.factories import Clock


def keyed(job_id: str, key: str = "k", limit: int = 1, **values: object) -> NewJob:
    return NewJob("true", id=job_id, concurrency_key=key, concurrency_limit=limit, **values)  # type: ignore[arg-type]


async def claimed(store: Store, engine: str) -> list[str]:
    """Claim until nothing may start any more."""
    ids = []
    while job := await claim_next(store, engine):
        ids.append(job.id)
    return ids


async def test_one_at_a_time_in_order(store: Store, engine: str) -> None:
    await store.enqueue([keyed(job_id) for job_id in "abc"])
    for job_id in "abc":
        assert await claimed(store, engine) == [job_id]
        await end(store, await store.get(job_id))
    assert await claimed(store, engine) == []


async def test_as_many_as_the_limit(store: Store, engine: str) -> None:
    await store.enqueue([keyed(f"job{number}", limit=3) for number in range(7)])
    assert await claimed(store, engine) == ["job0", "job1", "job2"]
    await end(store, await store.get("job1"))
    await end(store, await store.get("job2"))
    assert await claimed(store, engine) == ["job3", "job4"]


async def test_each_job_keeps_to_its_own_limit(store: Store, engine: str) -> None:
    await store.enqueue([keyed("two", limit=2), keyed("one", limit=1), keyed("three", limit=3)])
    assert await claimed(store, engine) == ["two", "three"]
    await end(store, await store.get("two"))
    assert await claimed(store, engine) == []
    await end(store, await store.get("three"))
    assert await claimed(store, engine) == ["one"]


async def test_other_keys_and_jobs_without_one_pass_by(store: Store, engine: str) -> None:
    await store.enqueue([keyed("a"), keyed("b"), keyed("c", key="other"), NewJob("true", id="d")])
    assert await claimed(store, engine) == ["a", "c", "d"]


async def test_all_workers_that_ask_at_once_keep_to_it(store: Store, other: Store, engine: str, rival: str) -> None:
    await store.enqueue([keyed(f"job{number}", limit=2) for number in range(9)])
    await add(store, "plain")
    jobs = await asyncio.gather(
        *(store.claim(engine, worker, None) for worker in range(8)),
        *(other.claim(rival, worker, None) for worker in range(8)),
    )
    assert sorted(job.id for job in jobs if job) == ["job0", "job1", "plain"]


@pytest.mark.parametrize(
    "outcome",
    [Exited(0), Exited(1), Cancelled(), Interrupted("drained")],
    ids=["completed", "failed", "cancelled", "given back"],
)
async def test_every_end_of_a_run_makes_room(store: Store, engine: str, outcome: Outcome) -> None:
    await store.enqueue([keyed("a"), keyed("urgent", priority=9), keyed("b")])
    assert await claimed(store, engine) == ["urgent"]
    await end(store, await store.get("urgent"), outcome, policy=TWO_ATTEMPTS)
    expected = "urgent" if isinstance(outcome, Interrupted) else "a"
    assert await claimed(store, engine) == [expected]


async def test_an_engine_that_stops_makes_room(store: Store, engine: str, rival: str) -> None:
    await store.enqueue([keyed("a"), keyed("b")])
    assert await claimed(store, engine) == ["a"]
    assert await claimed(store, rival) == []
    await store.deregister_engine(engine)
    assert await claimed(store, rival) == ["a"]


async def test_the_job_of_a_dead_engine_counts_until_it_is_rescued(store: Store, engine: str, rival: str) -> None:
    await store.enqueue([keyed("a"), keyed("b")])
    job = await take(store, engine)
    await store.fence(await record_of(store, engine))
    assert await claimed(store, rival) == []
    outcome = EngineDied("gone", crashed=True)
    transition = decide(job, outcome, RetryPolicy(max_crashes=1), store.now())
    await store.rescue(rival, job, execution(outcome, duration=None), transition)
    assert await claimed(store, rival) == ["b"]


async def test_the_highest_priority_goes_first_when_there_is_room(store: Store, engine: str) -> None:
    await store.enqueue([keyed("a"), keyed("b", priority=1)])
    assert await claimed(store, engine) == ["b"]
    await store.enqueue([keyed("c", priority=5), keyed("d", priority=9)])
    assert await claimed(store, engine) == []
    await end(store, await store.get("b"))
    assert await claimed(store, engine) == ["d"]


async def test_a_key_is_shared_by_all_queues(store: Store, engine: str) -> None:
    await store.enqueue([keyed("a", queue="x"), keyed("b", queue="y"), keyed("c", queue="x")])
    assert await claimed(store, engine) == ["a"]
    await end(store, await store.get("a"))
    # An engine that serves only one of them is not held up by who would be next in the other.
    job = await take(store, engine, ["y"])
    assert job.id == "b"
    assert await claimed(store, engine) == []


async def test_a_retry_keeps_to_the_key(store: Store, engine: str, clock: Clock) -> None:
    await store.enqueue([keyed("a"), keyed("b")])
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    assert await claimed(store, engine) == ["b"]
    clock.advance(10 * SECOND)
    assert await claimed(store, engine) == []
    await end(store, await store.get("b"))
    assert (await take(store, engine)).attempts == 1


async def test_a_job_that_comes_due_keeps_to_the_key(store: Store, engine: str, clock: Clock) -> None:
    await store.enqueue([keyed("now"), keyed("later", run_at=START + SECOND)])
    assert await claimed(store, engine) == ["now"]
    clock.advance(SECOND)
    assert await claimed(store, engine) == []
    await end(store, await store.get("now"))
    assert await claimed(store, engine) == ["later"]


LEAVING = {
    "cancelled": lambda store: store.apply(Action.CANCEL, ["b"]),
    "held": lambda store: store.apply(Action.HOLD, ["b"]),
    "deleted": lambda store: store.apply(Action.DELETE, ["b"]),
    "given another key": lambda store: store.edit(["b"], JobChanges({"concurrency_key": "other"})),
    "put off": lambda store: store.edit(["b"], JobChanges({"run_at": START + 9 * SECOND})),
}


@pytest.mark.parametrize("way", LEAVING)
async def test_who_is_next_and_goes_away_leaves_its_place_to_another(store: Store, engine: str, way: str) -> None:
    await store.enqueue([keyed(job_id) for job_id in "abc"])
    assert await claimed(store, engine) == ["a"]
    await end(store, await store.get("a"))
    await LEAVING[way](store)
    assert "c" in await claimed(store, engine)


async def test_who_waits_for_a_key_may_be_cancelled_held_and_released(store: Store, engine: str) -> None:
    await store.enqueue([keyed(job_id) for job_id in "abc"])
    assert await claimed(store, engine) == ["a"]
    await store.apply(Action.HOLD, ["b"])
    await store.apply(Action.CANCEL, ["c"])
    await end(store, await store.get("a"))
    assert await claimed(store, engine) == []
    await store.apply(Action.RELEASE, ["b"])
    assert await claimed(store, engine) == ["b"]


async def test_an_edit_that_makes_room_lets_it_start(store: Store, engine: str) -> None:
    await store.enqueue([keyed(job_id) for job_id in "abc"])
    assert await claimed(store, engine) == ["a"]
    await store.edit(["b"], JobChanges({"concurrency_limit": 2}))
    await store.edit(["c"], JobChanges({"concurrency_key": None}))
    assert await claimed(store, engine) == ["b", "c"]


async def test_who_waits_for_a_key_is_not_offered_again(store: Store, engine: str) -> None:
    await store.enqueue([keyed(job_id) for job_id in "abc"])
    job = await take(store, engine)
    assert (await store.look(engine, None, 9)).ready > 0
    assert await claim_next(store, engine) is None
    look = await store.look(engine, None, 9)
    assert (look.ready, look.next_due) == (0, None)
    assert not await store.is_idle(None)
    await end(store, job)
    assert (await store.look(engine, None, 9)).ready == 1


async def test_only_what_may_run_keeps_an_engine_from_being_idle(store: Store, engine: str) -> None:
    await store.enqueue([keyed("a", queue="x"), keyed("b", queue="y")])
    job = await take(store, engine)
    assert await claim_next(store, engine) is None
    assert not await store.is_idle(["y"])
    await store.set_queue("y", {"paused": True})
    assert await store.is_idle(["y"])
    await end(store, job)
    assert await store.is_idle(None)


async def test_a_job_that_is_retried_by_hand_keeps_to_the_key(store: Store, engine: str) -> None:
    await store.enqueue([keyed("a"), keyed("b")])
    await run_next(store, engine, Exited(1))
    assert await claimed(store, engine) == ["b"]
    await store.apply(Action.RETRY, ["a"])
    assert await claimed(store, engine) == []
    await end(store, await store.get("b"))
    assert await claimed(store, engine) == ["a"]


async def test_many_engines_never_run_more_than_the_limit(store: Store, other: Store) -> None:
    limits = {"k1": 1, "k2": 2}
    await store.enqueue(
        [keyed(f"{key}-{number}", key=key, limit=limit) for number in range(60) for key, limit in limits.items()]
    )
    running: dict[str, set[str]] = {key: set() for key in limits}

    async def run_one(opened: Store, engine_id: str, worker: int) -> bool:
        job: Job | None = await opened.claim(engine_id, worker, None)
        if job is None:
            return False
        key = str(job.concurrency_key)
        running[key].add(job.id)
        assert len(running[key]) <= limits[key]
        await asyncio.sleep(0)
        running[key].remove(job.id)
        await end(opened, job)
        return True

    async def run_all(opened: Store, engine_id: str, worker: int) -> None:
        while any(counts.jobs[JobState.PENDING] for counts in await opened.counts()):
            await run_one(opened, engine_id, worker)

    for number, opened in enumerate((store, other)):
        await opened.register_engine(new_engine(f"busy-{number}"))
    await asyncio.gather(
        *(run_all(opened, f"busy-{number}", w) for number, opened in enumerate((store, other)) for w in range(3))
    )
    assert [job.state for job in await all_jobs(store)] == [JobState.COMPLETED] * 120


async def test_many_that_wait_for_full_keys_hold_nothing_up(store: Store, engine: str) -> None:
    many = [keyed(f"{key}-{number}", key=key, priority=9) for number in range(150) for key in ("k", "l", "m", "n")]
    await store.enqueue([*many, NewJob("true", id="plain")])
    assert await claimed(store, engine) == ["k-0", "l-0", "m-0", "n-0", "plain"]
    await end(store, await store.get("l-0"))
    assert await claimed(store, engine) == ["l-1"]
