"""Queues with rules: paused, limited in how many run, limited in how many start."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import InvalidQueue
from queuectl.job import JobState, NewJob
from queuectl.outcome import Exited, Interrupted
from queuectl.queue_rules import QueueRules
from queuectl.registration import Look
from tests.factories import SECOND, START, TWO_ATTEMPTS, add, claim_next, end, run_next, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queuectl.queue_rules import QueueChanges
    from queuectl.store.base import Store
    from tests.factories import Clock

NOTHING = Look(ready=0, next_due=None, stopping=False)
MILLISECOND = timedelta(milliseconds=1)


async def claimed(store: Store, engine: str, queues: Sequence[str] | None = None) -> list[str]:
    """Claim until nothing may start any more."""
    ids = []
    while job := await claim_next(store, engine, queues):
        ids.append(job.id)
    return ids


async def fill(store: Store, queue: str, number: int, **values: int) -> list[str]:
    """Enqueue so many jobs, each with a number behind the queue's name."""
    jobs = [NewJob("true", id=f"{queue}{n}", queue=queue, **values) for n in range(number)]  # type: ignore[arg-type]
    return [receipt.id for receipt in await store.enqueue(jobs)]


# ── Rules ────────────────────────────────────────────────────────────────────


async def test_rules_that_are_set_can_be_read(store: Store, other: Store) -> None:
    assert await store.queues() == []
    assert await store.set_queue("b", {"paused": True}) == QueueRules("b", paused=True)
    assert await other.set_queue("b", {"concurrency": 3}) == QueueRules("b", paused=True, concurrency=3)
    await store.set_queue("a", {"rate": 0.5})
    assert await other.queues() == [QueueRules("a", rate=0.5), QueueRules("b", paused=True, concurrency=3)]
    assert await store.set_queue("b", {"paused": False, "concurrency": None}) == QueueRules("b")


@pytest.mark.parametrize("changes", [{"concurrency": 0}, {"rate": 0.0}, {"rate": 1e9}])
async def test_what_cannot_be_a_rule_is_refused(store: Store, changes: QueueChanges) -> None:
    with pytest.raises(InvalidQueue):
        await store.set_queue("a", changes)
    with pytest.raises(InvalidQueue):
        await store.set_queue("no queue", {"paused": True})
    assert await store.queues() == []


async def test_two_who_set_different_rules_do_not_undo_each_other(store: Store, other: Store) -> None:
    await asyncio.gather(store.set_queue("a", {"paused": True}), other.set_queue("a", {"rate": 2.0}))
    assert await store.queues() == [QueueRules("a", paused=True, rate=2.0)]


# ── Paused ───────────────────────────────────────────────────────────────────


async def test_nothing_is_started_from_a_paused_queue(store: Store, engine: str) -> None:
    await fill(store, "a", 2, priority=9)
    await fill(store, "b", 2)
    await store.set_queue("a", {"paused": True})
    assert await claimed(store, engine) == ["b0", "b1"]
    assert await claimed(store, engine, ["a"]) == []
    await store.set_queue("a", {"paused": False})
    assert await claimed(store, engine) == ["a0", "a1"]


async def test_what_runs_in_a_queue_that_is_paused_goes_on(store: Store, engine: str) -> None:
    await fill(store, "a", 1)
    job = await take(store, engine)
    await store.set_queue("a", {"paused": True})
    await end(store, job)
    assert (await store.get("a0")).state is JobState.COMPLETED


async def test_a_paused_queue_offers_nothing_and_does_not_count(store: Store, engine: str, clock: Clock) -> None:
    await fill(store, "a", 1)
    await store.enqueue([NewJob("true", queue="a", run_at=START + SECOND)])
    await store.set_queue("a", {"paused": True})
    assert (await store.look(engine, None, 9)).ready == 0
    assert await store.is_idle(None)
    clock.advance(SECOND)
    assert await store.is_idle(None)
    assert await claimed(store, engine) == []
    assert await store.look(engine, None, 9) == NOTHING
    await store.set_queue("a", {"paused": False})
    assert (await store.look(engine, None, 9)).ready == 2
    assert not await store.is_idle(None)


async def test_what_fails_in_a_paused_queue_does_not_count(store: Store, engine: str) -> None:
    await fill(store, "a", 1)
    job = await take(store, engine)
    await store.set_queue("a", {"paused": True})
    await end(store, job, Exited(1), policy=TWO_ATTEMPTS)
    assert await store.is_idle(None)
    await store.set_queue("a", {"paused": False})
    assert not await store.is_idle(None)


# ── Limited ──────────────────────────────────────────────────────────────────


async def test_as_many_run_as_the_limit_says(store: Store, engine: str, rival: str) -> None:
    await fill(store, "a", 5)
    await store.set_queue("a", {"concurrency": 2})
    first = await take(store, engine)
    assert await claimed(store, rival) == ["a1"]
    assert await claimed(store, engine) == []
    await end(store, first)
    assert await claimed(store, rival) == ["a2"]


async def test_the_others_go_on_beside_a_full_queue(store: Store, engine: str) -> None:
    await fill(store, "a", 3, priority=9)
    await fill(store, "b", 3)
    await store.set_queue("a", {"concurrency": 1})
    assert await claimed(store, engine) == ["a0", "b0", "b1", "b2"]


async def test_all_workers_that_ask_at_once_keep_to_it(store: Store, other: Store, engine: str, rival: str) -> None:
    await fill(store, "a", 9)
    await fill(store, "b", 2)
    await store.set_queue("a", {"concurrency": 3})
    jobs = await asyncio.gather(
        *(store.claim(engine, worker, None) for worker in range(6)),
        *(other.claim(rival, worker, None) for worker in range(6)),
    )
    assert sorted(job.id for job in jobs if job) == ["a0", "a1", "a2", "b0", "b1"]


async def test_order_and_turns_stay_as_they_are(store: Store, engine: str) -> None:
    await fill(store, "a", 3)
    await fill(store, "b", 3)
    await store.enqueue([NewJob("true", id="urgent", queue="b", priority=1)])
    await store.set_queue("a", {"concurrency": 9})
    order = await claimed(store, engine)
    assert order[0] == "urgent"
    assert [job_id[0] for job_id in order[1:]] == ["a", "b", "a", "b", "a", "b"]
    assert sorted(order[1:]) == ["a0", "a1", "a2", "b0", "b1", "b2"]


async def test_a_lower_limit_stops_nothing_that_runs(store: Store, engine: str) -> None:
    await fill(store, "a", 4)
    jobs = [await take(store, engine) for _ in range(3)]
    await store.set_queue("a", {"concurrency": 1})
    for job in jobs[:2]:
        await end(store, job)
        assert await claimed(store, engine) == []
    await end(store, jobs[2])
    assert await claimed(store, engine) == ["a3"]


async def test_a_full_queue_offers_nothing_until_there_is_room(store: Store, engine: str) -> None:
    await fill(store, "a", 3)
    await store.set_queue("a", {"concurrency": 2})
    assert (await store.look(engine, None, 9)).ready == 2
    job = await take(store, engine)
    await take(store, engine)
    assert await store.look(engine, None, 9) == NOTHING
    assert not await store.is_idle(None)
    await end(store, job)
    assert (await store.look(engine, None, 9)).ready == 1


# ── Rated ────────────────────────────────────────────────────────────────────


async def test_a_rate_allows_a_seconds_worth_and_then_one_after_another(
    store: Store, engine: str, clock: Clock
) -> None:
    await fill(store, "a", 20)
    await store.set_queue("a", {"rate": 4.0})
    assert len(await claimed(store, engine)) == 4
    clock.advance(249 * MILLISECOND)
    assert await claimed(store, engine) == []
    clock.advance(MILLISECOND)
    assert len(await claimed(store, engine)) == 1
    clock.advance(timedelta(hours=1))
    assert len(await claimed(store, engine)) == 4


async def test_less_than_one_in_a_second(store: Store, engine: str, clock: Clock) -> None:
    await fill(store, "a", 3)
    await store.set_queue("a", {"rate": 1 / 60})
    assert len(await claimed(store, engine)) == 1
    clock.advance(timedelta(seconds=59, milliseconds=999))
    assert await claimed(store, engine) == []
    clock.advance(MILLISECOND)
    assert len(await claimed(store, engine)) == 1


async def test_retries_and_what_was_given_back_count_as_starts(store: Store, engine: str, clock: Clock) -> None:
    await fill(store, "a", 1)
    await store.set_queue("a", {"rate": 0.1})
    await run_next(store, engine, Interrupted("drained"))
    assert await claimed(store, engine) == []
    clock.advance(10 * SECOND)
    await run_next(store, engine, Exited(1), policy=TWO_ATTEMPTS)
    clock.advance(5 * SECOND)
    assert await claimed(store, engine) == []
    clock.advance(5 * SECOND)
    assert await claimed(store, engine) == ["a0"]


async def test_a_look_says_when_the_next_token_comes(store: Store, engine: str, clock: Clock) -> None:
    await fill(store, "a", 9)
    await store.set_queue("a", {"rate": 2.0})
    assert (await store.look(engine, None, 9)).ready == 2
    await claimed(store, engine)
    assert await store.look(engine, None, 9) == Look(ready=0, next_due=START + SECOND / 2, stopping=False)
    clock.advance(SECOND / 2)
    assert await store.look(engine, None, 9) == Look(ready=1, next_due=None, stopping=False)
    assert not await store.is_idle(None)


async def test_no_token_is_waited_for_where_nothing_wants_it(store: Store, engine: str) -> None:
    await fill(store, "a", 1)
    await store.set_queue("a", {"rate": 1.0})
    await claimed(store, engine)
    assert await store.look(engine, None, 9) == NOTHING


async def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing(store: Store, engine: str, clock: Clock) -> None:
    await fill(store, "a", 9)
    await store.set_queue("a", {"rate": 2.0})
    assert len(await claimed(store, engine)) == 2
    clock.advance(timedelta(hours=-1))
    assert (await store.look(engine, None, 9)).ready == 1, "a claim has to set the bucket right"
    assert await claimed(store, engine) == []
    look = await store.look(engine, None, 9)
    assert (look.ready, look.next_due) == (0, clock() + SECOND / 2)
    clock.advance(SECOND / 2)
    assert len(await claimed(store, engine)) == 1


async def test_setting_a_rate_again_gives_no_new_tokens(store: Store, engine: str, clock: Clock) -> None:
    await fill(store, "a", 20)
    await store.set_queue("a", {"rate": 3.0})
    assert len(await claimed(store, engine)) == 3
    await store.set_queue("a", {"rate": 3.0})
    await store.set_queue("a", {"rate": 10.0})
    await store.set_queue("a", {"paused": True})
    await store.set_queue("a", {"paused": False})
    assert await claimed(store, engine) == []
    clock.advance(SECOND)
    assert len(await claimed(store, engine)) == 10
    await store.set_queue("a", {"rate": None})
    assert len(await claimed(store, engine)) == 7


async def test_rate_and_limit_hold_together(store: Store, engine: str, clock: Clock) -> None:
    await fill(store, "a", 9)
    await store.set_queue("a", {"rate": 2.0, "concurrency": 1})
    job = await take(store, engine)
    assert await claimed(store, engine) == []
    assert (await store.look(engine, None, 9)).next_due is None
    await end(store, job)
    job = await take(store, engine)
    await end(store, job)
    assert await claimed(store, engine) == []
    assert (await store.look(engine, None, 9)).next_due == clock() + SECOND / 2


async def test_all_engines_share_a_rate(store: Store, other: Store, engine: str, rival: str) -> None:
    await fill(store, "a", 20)
    await store.set_queue("a", {"rate": 5.0})
    jobs = await asyncio.gather(
        *(store.claim(engine, worker, None) for worker in range(6)),
        *(other.claim(rival, worker, None) for worker in range(6)),
    )
    assert len([job for job in jobs if job]) == 5


async def test_a_job_without_a_rule_is_not_counted(store: Store, engine: str) -> None:
    await store.set_queue("a", {"rate": 1.0})
    await add(store, *(f"job{number}" for number in range(5)))
    assert len(await claimed(store, engine)) == 5
