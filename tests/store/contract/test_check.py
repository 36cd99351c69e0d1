"""Looking for damage: a store that was only used through its methods has none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from queuectl.job import JobState, NewJob
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, TimedOut
from queuectl.transition import Action, decide
from tests.factories import (
    ONE_ATTEMPT,
    SECOND,
    TWO_ATTEMPTS,
    Clock,
    add,
    all_jobs,
    execution,
    new_engine,
    printed,
    record_of,
    run_next,
    take,
)

if TYPE_CHECKING:
    from queuectl.store.base import Store


async def test_an_empty_store_is_sound(store: Store) -> None:
    assert await store.check() == []


async def test_a_store_is_sound_after_every_kind_of_change(store: Store, engine: str, rival: str, clock: Clock) -> None:
    tagged = [NewJob("true", tags=("red", "big", "red"), queue="mail", run_at=clock.time) for _ in range(3)]
    await store.enqueue([*tagged, NewJob(("echo", "ü"), id="later", run_at=clock.time + timedelta(hours=1))])
    assert await store.check() == []
    for outcome in (Interrupted("drained"), TimedOut(SECOND), Exited(1), Cancelled(), Exited(0)):
        clock.advance(timedelta(minutes=10))
        await run_next(store, engine, outcome, policy=TWO_ATTEMPTS, output=printed(b"out", b"err"))
        assert await store.check() == []
    await store.apply(Action.RETRY, [job.id for job in await all_jobs(store) if job.state is JobState.COMPLETED])
    await take(store, engine)
    assert await store.check() == []
    await store.purge([JobState.DEAD, JobState.CANCELLED], None)
    await store.deregister_engine(engine)
    await store.deregister_engine(rival)
    assert await store.check() == []


async def test_a_job_that_waits_to_be_rescued_is_no_damage(store: Store, engine: str, rival: str) -> None:
    await add(store, "job1")
    job = await take(store, rival)
    assert await store.fence(await record_of(store, rival))
    assert await store.check() == []
    death = EngineDied("its engine died", crashed=True)
    await store.rescue(engine, job, execution(death, duration=None), decide(job, death, ONE_ATTEMPT, store.now()))
    assert await store.check() == []


async def test_a_store_is_checked_as_it_is_while_others_write(store: Store, other: Store) -> None:
    await other.register_engine(new_engine("writer"))
    await add(other, *(f"job{n}" for n in range(30)))
    for _ in range(10):
        await run_next(other, "writer", output=printed(b"out"))
        assert await store.check() == []


async def test_a_store_names_the_database_behind_it(store: Store) -> None:
    assert store.software.isprintable()
