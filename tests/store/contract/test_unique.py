"""Unique keys: one job that is not final for each, over batches, retries and every kind of end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import DuplicateJob, UniqueKeyTaken
from queuectl.job import FINAL_STATES, JobState, NewJob, OnConflict, Receipt
from queuectl.outcome import Cancelled, Exited
from queuectl.store.base import JobFilter
from queuectl.transition import Action
from tests.factories import TWO_ATTEMPTS, add, all_jobs, run_next, take

if TYPE_CHECKING:
    from queuectl.outcome import Outcome
    from queuectl.store.base import Store

IGNORE = OnConflict.IGNORE


def with_key(job_id: str | None = None, **values: OnConflict | str) -> NewJob:
    return NewJob("true", id=job_id, **{"unique": "daily", **values})  # type: ignore[arg-type]


async def test_a_key_is_taken_while_its_job_is_not_final(store: Store, engine: str) -> None:
    await store.enqueue([with_key("first")])
    with pytest.raises(UniqueKeyTaken, match="'daily' is taken by job first"):
        await store.enqueue([with_key("second")])
    await store.apply(Action.HOLD, ["first"])
    with pytest.raises(UniqueKeyTaken):
        await store.enqueue([with_key("second")])
    await store.apply(Action.RELEASE, ["first"])
    await take(store, engine)
    with pytest.raises(UniqueKeyTaken):
        await store.enqueue([with_key("second")])
    assert [job.id for job in await all_jobs(store)] == ["first"]


async def test_a_job_that_waits_for_a_retry_keeps_its_key(store: Store, engine: str) -> None:
    await store.enqueue([with_key("first")])
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    with pytest.raises(UniqueKeyTaken):
        await store.enqueue([with_key("second")])


@pytest.mark.parametrize("outcome", [Exited(0), Exited(1), Cancelled()], ids=["completed", "dead", "cancelled"])
async def test_a_final_job_leaves_its_key_to_others(store: Store, engine: str, outcome: Outcome) -> None:
    await store.enqueue([with_key("first")])
    await run_next(store, engine, outcome)
    await store.enqueue([with_key("second")])
    assert (await store.get("second")).unique == (await store.get("first")).unique == "daily"


async def test_a_deleted_job_leaves_its_key_too(store: Store) -> None:
    await store.enqueue([with_key("first")])
    await store.apply(Action.DELETE, ["first"])
    await store.enqueue([with_key("second")])


async def test_other_keys_and_no_keys_do_not_matter(store: Store) -> None:
    await store.enqueue([with_key("first")])
    await store.enqueue([with_key("second", unique="Daily"), NewJob("true"), NewJob("true")])
    assert len(await all_jobs(store)) == 4


async def test_who_ignores_a_conflict_is_answered_with_the_job_that_is_there(store: Store) -> None:
    await store.enqueue([with_key("first", queue="q")])
    [receipt] = await store.enqueue([with_key("second", on_conflict=IGNORE)])
    assert receipt == Receipt("first", "q", existing=True)
    assert [job.id for job in await all_jobs(store)] == ["first"]


async def test_a_batch_may_hold_a_key_once(store: Store) -> None:
    with pytest.raises(UniqueKeyTaken, match="job a"):
        await store.enqueue([with_key("a"), with_key("b")])
    assert await all_jobs(store) == []
    receipts = await store.enqueue([with_key("a"), with_key("b", on_conflict=IGNORE), NewJob("true", id="c")])
    assert [(of.id, of.existing) for of in receipts] == [("a", False), ("a", True), ("c", False)]
    assert [job.id for job in await all_jobs(store)] == ["a", "c"]


async def test_a_taken_id_is_found_before_a_taken_key(store: Store) -> None:
    await store.enqueue([with_key("first"), NewJob("true", id="second")])
    with pytest.raises(DuplicateJob):
        await store.enqueue([with_key("second")])
    [receipt] = await store.enqueue([with_key("second", on_conflict=IGNORE)])
    assert receipt.id == "second"


async def test_a_retry_is_refused_while_another_has_the_key(store: Store, engine: str) -> None:
    await store.enqueue([with_key("first")])
    await run_next(store, engine, Exited(1))
    await add(store, "plain")
    await run_next(store, engine, Exited(1))
    await store.enqueue([with_key("second")])
    before = await all_jobs(store)
    for selection in (["first", "plain"], JobFilter()):
        for dry_run in (True, False):
            with pytest.raises(UniqueKeyTaken, match="job second"):
                await store.apply(Action.RETRY, selection, dry_run=dry_run)
    assert await all_jobs(store) == before
    await store.apply(Action.CANCEL, ["second"])
    assert await store.apply(Action.RETRY, ["first", "plain"]) == ["first", "plain"]


async def test_two_jobs_with_the_same_key_are_not_retried_together(store: Store, engine: str) -> None:
    for job_id in ("first", "second"):
        await store.enqueue([with_key(job_id)])
        await run_next(store, engine, Exited(1))
    with pytest.raises(UniqueKeyTaken, match="job first"):
        await store.apply(Action.RETRY, JobFilter(states=(JobState.DEAD,)))
    assert {job.state for job in await all_jobs(store)} <= FINAL_STATES


async def test_a_failed_job_is_retried_with_its_own_key(store: Store, engine: str) -> None:
    await store.enqueue([with_key("first")])
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    assert await store.apply(Action.RETRY, ["first"]) == ["first"]


async def test_of_many_at_once_one_gets_the_key(store: Store, other: Store) -> None:
    answers = await asyncio.gather(
        *((store, other)[number % 2].enqueue([with_key(f"job{number}")]) for number in range(40)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, UniqueKeyTaken) for answer in answers) == 39
    assert len(await all_jobs(store)) == 1
