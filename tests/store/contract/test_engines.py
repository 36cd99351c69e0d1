"""Engines: their registration, their heartbeats, their leave."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import EngineFenced
from queuectl.job import JobState
from queuectl.output import RunOutput
from queuectl.registration import EngineRecord, NewEngine, ProcessIdentity
from tests.factories import SECOND, START, add, end, new_engine, printed, record_of, run_next, take

if TYPE_CHECKING:
    from queuectl.store.base import Store
    from tests.factories import Clock


async def test_nobody_is_registered_in_a_new_store(store: Store) -> None:
    assert await store.engines() == []


@pytest.mark.parametrize("queues", [None, (), ("a",), ("b", "a")], ids=repr)
async def test_an_engine_is_known_as_it_registered(store: Store, other: Store, queues: tuple[str, ...] | None) -> None:
    process = ProcessIdentity(
        host="ä host", boot_id="boot", pid_namespace="pid:[4026531836]", pid=2**22, start="9" * 20
    )
    lease = timedelta(seconds=30, milliseconds=1)
    await store.register_engine(NewEngine("engine-1", process, workers=8, lease=lease, queues=queues, version="1.2.3"))
    assert await other.engines() == [
        EngineRecord(
            "engine-1",
            process,
            8,
            lease,
            queues,
            "1.2.3",
            beats=0,
            started_at=START,
            beat_at=START,
            stopping=False,
            processing=0,
        )
    ]


async def test_engines_come_from_the_oldest(store: Store, clock: Clock) -> None:
    for engine_id in ("c", "a", "b"):
        await store.register_engine(new_engine(engine_id))
        clock.advance(SECOND)
    await store.beat("c")
    assert [record.id for record in await store.engines()] == ["c", "a", "b"]


async def test_a_heartbeat_raises_the_counter_by_one(store: Store, other: Store, engine: str, clock: Clock) -> None:
    assert [await store.beat(engine) for _ in range(3)] == [1, 2, 3]
    clock.advance(SECOND)
    assert await other.beat(engine) == 4
    record = await record_of(store, engine)
    assert (record.beats, record.beat_at, record.started_at) == (4, START + SECOND, START)


async def test_heartbeats_are_counted_for_each_engine_by_itself(store: Store, engine: str, rival: str) -> None:
    assert [await store.beat(name) for name in (engine, engine, rival, engine)] == [1, 2, 1, 3]


async def test_heartbeats_at_once_are_all_counted(store: Store, other: Store, engine: str) -> None:
    counters = await asyncio.gather(*(opened.beat(engine) for opened in (store, other) for _ in range(10)))
    assert sorted(counters) == list(range(1, 21))


async def test_an_engine_that_nobody_registered_has_no_heartbeat(store: Store) -> None:
    with pytest.raises(EngineFenced):
        await store.beat("stranger")


async def test_an_engine_shows_how_many_jobs_it_holds(store: Store, engine: str, rival: str) -> None:
    await add(store, "a", "b", "c")
    job = await take(store, engine)
    await take(store, engine)
    await take(store, rival)
    assert [record.processing for record in await store.engines()] == [2, 1]
    await end(store, job)
    assert (await record_of(store, engine)).processing == 1


async def test_an_engine_that_leaves_gives_back_what_it_holds(
    store: Store, engine: str, rival: str, clock: Clock
) -> None:
    await add(store, "done", "a", "b", "of-another", "waiting")
    await run_next(store, engine)
    job, _ = await take(store, engine), await take(store, engine)
    other_job = await take(store, rival)
    await store.report(job.claim, 100, "start", printed(b"so far"))
    clock.advance(SECOND)
    assert await store.deregister_engine(engine) == 2
    assert [record.id for record in await store.engines()] == [rival]
    for job_id in ("a", "b"):
        given_back = await store.get(job_id)
        assert given_back.state is JobState.PENDING
        assert (given_back.attempts, given_back.crashes, given_back.runs) == (0, 0, 1)
        assert (given_back.run_at, given_back.pid) == (START, None)
    assert await store.get("of-another") == other_job
    assert (await store.get("done")).state is JobState.COMPLETED
    assert await store.read_output("a", 1) == RunOutput(b"so far")


async def test_the_runs_that_a_leave_cuts_short_are_recorded(store: Store, engine: str, clock: Clock) -> None:
    await add(store, "job1")
    await take(store, engine)
    clock.advance(SECOND)
    await store.deregister_engine(engine)
    (run,) = await store.list_runs("job1")
    assert (run.outcome, run.finished_at, run.exit_code) == ("interrupted", START + SECOND, None)


async def test_what_a_leave_gave_back_can_be_claimed(store: Store, engine: str, rival: str) -> None:
    await add(store, "job1", "job2")
    first = await take(store, engine)
    await store.deregister_engine(engine)
    again = await take(store, rival)
    assert (again.id, again.runs) == ("job1", 2)
    assert again.claim_token > first.claim_token
    assert await store.orphans() == []


async def test_to_leave_twice_is_harmless(store: Store, engine: str, rival: str) -> None:
    await add(store, "job1")
    await take(store, engine)
    assert await store.deregister_engine(engine) == 1
    await take(store, rival)
    assert await store.deregister_engine(engine) == 0
    assert await store.deregister_engine("stranger") == 0
    assert (await store.get("job1")).state is JobState.PROCESSING


async def test_an_engine_that_left_is_gone(store: Store, engine: str) -> None:
    await store.deregister_engine(engine)
    assert await store.engines() == []
    with pytest.raises(EngineFenced):
        await store.beat(engine)


async def test_an_engine_is_asked_to_drain(store: Store, other: Store, engine: str, rival: str) -> None:
    await other.request_stop([rival, "stranger"])
    assert [record.stopping for record in await store.engines()] == [False, True]
    assert (await store.look(engine, None, 1)).stopping is False
    assert (await store.look(rival, None, 1)).stopping is True


async def test_an_engine_that_is_asked_to_drain_still_works(store: Store, engine: str) -> None:
    await add(store, "job1")
    await store.request_stop([engine])
    await store.request_stop([engine])
    await store.beat(engine)
    await run_next(store, engine)
    assert (await record_of(store, engine)).stopping is True


async def test_nobody_to_ask_is_no_error(store: Store, engine: str) -> None:
    await store.request_stop([])
    await store.request_stop(["stranger"])
    assert (await record_of(store, engine)).stopping is False
