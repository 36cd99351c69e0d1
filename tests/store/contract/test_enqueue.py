"""Enqueue: all or none, in order, durably, under ids that nobody else has."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import DuplicateJob
from queuectl.job import JobState, NewJob, OnConflict, Receipt
from queuectl.store import open_store
from tests.factories import SECOND, START, add, all_jobs, claim_next, run_next, take

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.store.base import Store
    from tests.factories import Clock


async def test_a_new_job_is_pending_and_has_done_nothing_yet(store: Store) -> None:
    await store.enqueue([NewJob("true", id="job1")])
    job = await store.get("job1")
    assert job.state is JobState.PENDING
    assert (job.attempts, job.runs, job.crashes) == (0, 0, 0)
    assert (job.started_at, job.finished_at, job.engine_id, job.worker, job.pid) == (None,) * 5
    assert (job.exit_code, job.error) == (None, None)
    assert job.created_at == job.updated_at == job.run_at == START


async def test_the_answers_come_in_the_order_of_the_jobs(store: Store) -> None:
    receipts = await store.enqueue([NewJob("true", id="b", queue="q1"), NewJob("true", id="a", queue="q2")])
    assert receipts == [Receipt("b", "q1", existing=False), Receipt("a", "q2", existing=False)]


async def test_a_batch_is_as_old_as_its_order_says(store: Store) -> None:
    ids = [f"job{number}" for number in range(50, 0, -1)]
    await add(store, *ids)
    assert [job.id for job in await all_jobs(store)] == ids


async def test_nothing_to_enqueue_is_no_error(store: Store) -> None:
    assert await store.enqueue([]) == []
    assert await all_jobs(store) == []


async def test_generated_ids_look_as_documented_and_are_unique(store: Store) -> None:
    receipts = await store.enqueue([NewJob("true") for _ in range(1000)])
    ids = [receipt.id for receipt in receipts]
    assert all(re.fullmatch("[0-9a-hjkmnp-tv-z]{12}", job_id) for job_id in ids)
    assert len(set(ids)) == 1000
    assert [job.id for job in await all_jobs(store)] == ids


async def test_what_was_answered_is_seen_by_others_at_once(store: Store, other: Store) -> None:
    await add(store, "job1")
    assert (await other.get("job1")).command == "true"


async def test_what_was_answered_is_there_when_the_store_is_opened_again(url: str) -> None:
    async with open_store(url) as store:
        await add(store, "job1", "job2")
    async with open_store(url) as store:
        assert [job.id for job in await all_jobs(store)] == ["job1", "job2"]


async def test_a_job_without_a_directory_gets_that_of_this_process(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await store.enqueue([NewJob("true", id="here"), NewJob("true", id="there", cwd="/")])
    assert (await store.get("here")).cwd == str(tmp_path)
    assert (await store.get("there")).cwd == "/"


async def test_a_job_whose_time_has_come_is_ready_at_once(store: Store, engine: str) -> None:
    await store.enqueue([NewJob("true", id="past", run_at=START - SECOND)])
    await store.enqueue([NewJob("true", id="now", run_at=START)])
    assert [(await take(store, engine)).id for _ in range(2)] == ["past", "now"]


async def test_a_future_job_is_claimed_when_its_time_comes_and_not_before(
    store: Store, engine: str, clock: Clock
) -> None:
    await store.enqueue([NewJob("true", id="later", run_at=START + timedelta(hours=1))])
    assert (await store.get("later")).state is JobState.PENDING
    clock.advance(timedelta(hours=1) - timedelta(milliseconds=1))
    assert await claim_next(store, engine) is None
    clock.advance(timedelta(milliseconds=1))
    assert (await take(store, engine)).id == "later"


async def test_a_delay_counts_from_when_the_job_is_stored_by_the_clock_of_the_store(store: Store, clock: Clock) -> None:
    later = NewJob("true", id="later", delay=SECOND)
    clock.advance(timedelta(hours=1))
    await store.enqueue([later, NewJob("true", id="now", delay=timedelta(0))])
    assert (await store.get("later")).run_at == clock() + SECOND
    assert (await store.get("now")).run_at == clock()


async def test_an_id_that_is_taken_is_refused_and_named(store: Store) -> None:
    await add(store, "job1")
    with pytest.raises(DuplicateJob, match="job1"):
        await store.enqueue([NewJob("false", id="job1")])
    assert (await store.get("job1")).command == "true"


async def test_an_id_stays_taken_when_its_job_is_final(store: Store, engine: str) -> None:
    await add(store, "job1")
    await run_next(store, engine)
    with pytest.raises(DuplicateJob):
        await add(store, "job1")


async def test_ids_differ_by_case(store: Store) -> None:
    await add(store, "job1", "JOB1")
    assert [job.id for job in await all_jobs(store)] == ["job1", "JOB1"]


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_batch_with_a_taken_id_is_refused_whole(store: Store, place: int) -> None:
    await add(store, "taken")
    batch = [NewJob("true", id="new1"), NewJob("true", on_conflict=OnConflict.IGNORE)]
    batch.insert(place, NewJob("true", id="taken"))
    with pytest.raises(DuplicateJob, match="taken"):
        await store.enqueue(batch)
    assert [job.id for job in await all_jobs(store)] == ["taken"]


async def test_an_id_that_stands_twice_in_a_batch_is_refused(store: Store) -> None:
    with pytest.raises(DuplicateJob, match="twin"):
        await add(store, "job1", "twin", "job2", "twin")
    assert await all_jobs(store) == []


async def test_ignore_answers_with_the_job_that_is_there(store: Store) -> None:
    await add(store, "job1", queue="first")
    ignoring = NewJob("false", id="job1", queue="second", on_conflict=OnConflict.IGNORE)
    assert await store.enqueue([ignoring]) == [Receipt("job1", "first", existing=True)]
    assert (await store.get("job1")).command == "true"
    assert len(await all_jobs(store)) == 1


async def test_ignore_stores_a_job_whose_id_is_free(store: Store) -> None:
    job = NewJob("true", id="job1", on_conflict=OnConflict.IGNORE)
    assert await store.enqueue([job]) == [Receipt("job1", "default", existing=False)]


async def test_ignore_holds_within_a_batch_too(store: Store) -> None:
    first = NewJob("true", id="twin")
    second = NewJob("false", id="twin", on_conflict=OnConflict.IGNORE)
    last = NewJob("true", id="last")
    receipts = await store.enqueue([first, second, last])
    assert [(receipt.id, receipt.existing) for receipt in receipts] == [
        ("twin", False),
        ("twin", True),
        ("last", False),
    ]
    assert [(job.id, job.command) for job in await all_jobs(store)] == [("twin", "true"), ("last", "true")]


async def test_one_that_refuses_is_refused_even_after_one_that_ignores(store: Store) -> None:
    ignoring = NewJob("true", id="twin", on_conflict=OnConflict.IGNORE)
    with pytest.raises(DuplicateJob, match="twin"):
        await store.enqueue([ignoring, NewJob("true", id="twin")])
    assert await all_jobs(store) == []


async def test_a_job_of_the_largest_size_is_kept_whole(store: Store) -> None:
    stdin = "ä\n" * 300_000
    await store.enqueue([NewJob("true", id="large", stdin=stdin)])
    assert (await store.get("large")).stdin == stdin


async def test_a_batch_larger_than_any_group_is_one_batch(store: Store) -> None:
    ids = [f"job{number}" for number in range(2500)]
    with pytest.raises(DuplicateJob):
        await add(store, *ids, ids[0])
    assert await all_jobs(store) == []
    assert await add(store, *ids) == ids
    assert [job.id for job in await all_jobs(store)] == ids
