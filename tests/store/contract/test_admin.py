"""The store itself: its settings, its counts, its figures."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.job import FINAL_STATES, JobState, NewJob
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, Outcome, Signalled, SpawnFailed, TimedOut
from queuectl.registration import QueueCounts
from queuectl.store.base import JobFilter
from queuectl.transition import Action, Release
from tests.factories import (
    SECOND,
    START,
    TWO_ATTEMPTS,
    add,
    all_jobs,
    end,
    execution,
    new_engine,
    record_of,
    run_next,
    take,
)

if TYPE_CHECKING:
    from queuectl.store.base import Store
    from tests.factories import Clock

EMPTY = dict.fromkeys(JobState, 0)


async def test_a_new_store_has_no_settings(store: Store) -> None:
    assert await store.settings() == {}


async def test_settings_are_kept_as_texts(store: Store, other: Store) -> None:
    await store.set_setting("max_retries", "5")
    await store.set_setting("backoff", "ä '\"; --")
    await store.set_setting("timeout", "")
    assert await other.settings() == {"max_retries": "5", "backoff": "ä '\"; --", "timeout": ""}


async def test_a_setting_is_replaced(store: Store, other: Store) -> None:
    await store.set_setting("max_retries", "5")
    await other.set_setting("max_retries", "7")
    assert await store.settings() == {"max_retries": "7"}


async def test_a_setting_is_forgotten(store: Store, other: Store) -> None:
    await store.set_setting("max_retries", "5")
    await store.set_setting("workers", "2")
    await other.unset_setting("max_retries")
    await other.unset_setting("max_retries")
    await other.unset_setting("nothing")
    assert await store.settings() == {"workers": "2"}


async def test_an_empty_store_counts_nothing(store: Store) -> None:
    assert await store.counts() == []


async def test_jobs_are_counted_by_queue_and_state(store: Store, engine: str) -> None:
    await store.enqueue([NewJob("true", queue=queue) for queue in ("b", "a", "Z", "a.b", "a-b", "a")])
    for outcome in (Exited(0), Exited(1)):
        await end(store, await take(store, engine, ["a"]), outcome, policy=TWO_ATTEMPTS)
    await take(store, engine, ["b"])
    assert await store.counts() == [
        QueueCounts("Z", EMPTY | {JobState.PENDING: 1}),
        QueueCounts("a", EMPTY | {JobState.COMPLETED: 1, JobState.FAILED: 1}),
        QueueCounts("a-b", EMPTY | {JobState.PENDING: 1}),
        QueueCounts("a.b", EMPTY | {JobState.PENDING: 1}),
        QueueCounts("b", EMPTY | {JobState.PROCESSING: 1}),
    ]


async def counts_agree(store: Store) -> None:
    """See that the counts say what a listing says."""
    listed: dict[str, dict[JobState, int]] = {}
    for job in await all_jobs(store):
        listed.setdefault(job.queue, dict(EMPTY))[job.state] += 1
    counted = {counts.queue: counts.jobs for counts in await store.counts() if any(counts.jobs.values())}
    assert counted == listed
    figures = await store.stats()
    assert figures.jobs == {state: sum(jobs[state] for jobs in listed.values()) for state in JobState}


async def test_counts_agree_with_a_listing_after_every_kind_of_change(
    store: Store, engine: str, rival: str, clock: Clock
) -> None:
    await add(store, "a", "b", "c", "d", queue="one")
    await add(store, "e", "f", queue="two")
    await counts_agree(store)
    for outcome in (Exited(0), Exited(1), Cancelled(), Interrupted("drained")):
        job = await take(store, engine)
        await counts_agree(store)
        await end(store, job, outcome)
        await end(store, job, outcome)
        await counts_agree(store)
    clock.advance(timedelta(hours=1))
    await run_next(store, engine, Exited(1))
    await counts_agree(store)
    await take(store, engine)
    await store.deregister_engine(engine)
    await counts_agree(store)
    job = await take(store, rival)
    await store.fence(await record_of(store, rival))
    await counts_agree(store)
    await store.register_engine(new_engine("engine-3"))
    await store.rescue("engine-3", job, execution(EngineDied("gone", crashed=True)), Release(0, 1, "gone"))
    await counts_agree(store)
    assert await store.apply(Action.RETRY, JobFilter())
    await counts_agree(store)
    await run_next(store, "engine-3")
    assert await store.purge(tuple(FINAL_STATES), None)
    await counts_agree(store)


async def test_an_empty_store_has_no_figures(store: Store) -> None:
    figures = await store.stats()
    assert figures.jobs == EMPTY
    assert (figures.total_runs, figures.failed_runs) == (0, 0)
    assert [figures.mean, figures.p50, figures.p95, figures.p99, figures.longest] == [None] * 5
    assert (figures.finished_last_minute, figures.finished_last_hour, figures.oldest_due) == (0, 0, None)


async def test_durations_are_summed_up(store: Store, engine: str) -> None:
    await store.enqueue([NewJob("true") for _ in range(100)])
    for seconds in range(100, 0, -1):
        await run_next(store, engine, duration=timedelta(seconds=seconds))
    figures = await store.stats()
    assert figures.mean == timedelta(seconds=50.5)
    assert figures.longest == timedelta(seconds=100)
    # Percentiles may take the value below, the one above, or something between.
    for found, rank in ((figures.p50, 50), (figures.p95, 95), (figures.p99, 99)):
        assert found is not None
        assert timedelta(seconds=rank) <= found <= timedelta(seconds=rank + 1)


async def test_one_run_is_its_own_mean_and_percentile(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, duration=timedelta(milliseconds=1234))
    figures = await store.stats()
    durations = [figures.mean, figures.p50, figures.p95, figures.p99, figures.longest]
    assert durations == [timedelta(milliseconds=1234)] * 5


async def test_a_run_whose_end_nobody_saw_has_no_part_in_durations(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, Interrupted("engine gone"), duration=None)
    figures = await store.stats()
    assert (figures.total_runs, figures.mean, figures.longest) == (1, None, None)


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (Exited(0), 0),
        (Exited(1), 1),
        (Signalled(9), 1),
        (TimedOut(SECOND), 1),
        (SpawnFailed("no such program", 127), 1),
        (Interrupted("drained"), 0),
        (EngineDied("gone", crashed=False), 0),
        (Cancelled(), 0),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
async def test_failed_runs_are_those_that_ended_by_themselves(
    store: Store, engine: str, outcome: Outcome, failed: int
) -> None:
    await add(store, "job1")
    await run_next(store, engine, outcome)
    figures = await store.stats()
    assert (figures.total_runs, figures.failed_runs) == (1, failed)


async def test_a_run_under_way_has_not_ended(store: Store, engine: str) -> None:
    await add(store, "job1")
    await take(store, engine)
    assert (await store.stats()).total_runs == 0


async def test_every_run_of_a_job_counts_until_it_is_purged(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine, Exited(1))
    await store.apply(Action.RETRY, ["job1"])
    await run_next(store, engine)
    assert ((await store.stats()).total_runs, (await store.stats()).failed_runs) == (2, 1)
    await store.purge(tuple(FINAL_STATES), None)
    figures = await store.stats()
    assert (figures.total_runs, figures.failed_runs, figures.mean, figures.jobs) == (0, 0, None, EMPTY)


async def test_what_finished_lately_is_counted(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "a", "b", "c")
    for wait in (timedelta(minutes=31), timedelta(minutes=31), timedelta(seconds=30)):
        await run_next(store, engine)
        clock.advance(wait)
    figures = await store.stats()
    assert (figures.finished_last_minute, figures.finished_last_hour) == (1, 2)


async def test_the_oldest_due_job_is_the_one_due_for_the_longest_time(store: Store, engine: str, clock: Clock) -> None:
    await store.enqueue(
        [
            NewJob("true", id="long-due", priority=-1, run_at=START - 5 * SECOND),
            NewJob("true", id="due", priority=1, run_at=START - SECOND),
            NewJob("true", id="future", run_at=START + timedelta(days=1)),
        ]
    )
    assert (await store.stats()).oldest_due == START - 5 * SECOND
    await take(store, engine)
    assert (await store.stats()).oldest_due == START - 5 * SECOND
    job = await take(store, engine)
    assert (await store.stats()).oldest_due is None
    await end(store, job, Exited(1))
    assert (await store.stats()).oldest_due is None
    clock.advance(timedelta(minutes=1))
    assert (await store.stats()).oldest_due == START + 2 * SECOND
