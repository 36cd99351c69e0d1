"""Two who do something at once: others hold locks until they are told to let go, and nothing is lost meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from queuectl.job import Condition, Dependency, JobState, NewJob
from queuectl.outcome import Exited
from queuectl.store import open_store
from queuectl.store.postgres import sql, writer
from queuectl.store.postgres.connection import Connection
from queuectl.store.selection import JobFilter
from queuectl.transition import Action, Complete
from tests.factories import ONE_ATTEMPT, add, all_jobs, claim_next, end, execution, new_engine, take
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import psycopg

    from queuectl.job import Job
    from queuectl.store.postgres.connection import Transaction
    from queuectl.store.postgres.store import PostgresStore

KEY_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('queuectl ' || current_schema() || ' key k', 0))"


@pytest.fixture
def url(new_postgres_url: Callable[[], str]) -> str:
    """The URL of an empty place, which takes less time than one that is to be made."""
    return new_postgres_url()


@pytest.fixture
async def other(url: str, store: PostgresStore) -> AsyncIterator[PostgresStore]:  # noqa: ARG001 - it made the place
    """The same store, opened a second time."""
    async with open_store(url) as opened:
        yield opened  # type: ignore[misc] # the URL says which kind it is


@pytest.fixture(autouse=True)
async def engine(store: PostgresStore) -> str:
    """The id of a registered engine."""
    await store.register_engine(new_engine("engine-1"))
    return "engine-1"


def keyed(job_id: str, *, limit: int = 1) -> NewJob:
    return NewJob("true", id=job_id, concurrency_key="k", concurrency_limit=limit)


async def one_of_two_runs(store: PostgresStore, engine: str) -> Job:
    """Have one job run and another parked, both with the key k, which one may have; give the first."""
    await store.enqueue([keyed("first"), keyed("second")])
    job = await take(store, engine)
    assert await claim_next(store, engine) is None
    return job


async def test_a_place_that_becomes_free_while_others_are_at_the_key_is_given_away_later(
    store: PostgresStore, direct: psycopg.Connection, engine: str
) -> None:
    first = await one_of_two_runs(store, engine)
    with direct.transaction():
        direct.execute(KEY_LOCK)
        await end(store, first)
        assert (await store.look(engine, None, 9)).ready == 1, "a claim has to see to it"
        assert await claim_next(store, engine) is None
    assert (await take(store, engine)).id == "second"
    assert direct.execute("SELECT FROM freed_places").fetchall() == []


async def test_a_place_is_given_to_who_waits_though_somebody_changes_that_job(
    store: PostgresStore, direct: psycopg.Connection, engine: str
) -> None:
    first = await one_of_two_runs(store, engine)
    with direct.transaction():
        direct.execute("SELECT FROM jobs WHERE id = 'second' FOR UPDATE")
        await end(store, first)
    # Whoever changed it has left it as it was, and tells nobody.
    assert (await store.look(engine, None, 9)).ready == 1
    assert (await take(store, engine)).id == "second"


async def test_jobs_beside_a_key_that_others_are_at_go_on(
    store: PostgresStore, direct: psycopg.Connection, engine: str
) -> None:
    await store.enqueue([keyed("keyed"), NewJob("true", id="plain"), NewJob("true", id="elsewhere", queue="q")])
    with direct.transaction():
        direct.execute(KEY_LOCK)
        jobs = await asyncio.gather(*(store.claim(engine, worker, None) for worker in range(3)))
        assert {job.id for job in jobs if job} == {"plain", "elsewhere"}
    assert (await take(store, engine)).id == "keyed"


async def test_dependents_and_the_ends_of_what_they_wait_for_at_once(
    store: PostgresStore, other: PostgresStore, engine: str
) -> None:
    numbers = range(30)
    await add(store, *(f"first{number}" for number in numbers))
    jobs = [await take(store, engine) for _ in numbers]
    new = [
        NewJob("true", id=f"then{number}", after=(Dependency(f"first{number}", Condition.ANY),)) for number in numbers
    ]
    ends = (end(store, job, Exited(number % 2), policy=ONE_ATTEMPT) for number, job in enumerate(jobs))
    await asyncio.gather(*ends, *(other.enqueue([job]) for job in new))
    assert {job.state for job in await all_jobs(store) if job.id.startswith("then")} == {JobState.PENDING}
    assert await store.check() == []


async def test_dependents_and_deletions_of_what_they_wait_for_at_once(
    store: PostgresStore, other: PostgresStore
) -> None:
    numbers = range(30)
    await add(store, *(f"first{number}" for number in numbers))
    new = [NewJob("true", id=f"then{number}", after=(Dependency(f"first{number}"),)) for number in numbers]
    deletions = (store.apply(Action.DELETE, [f"first{number}"]) for number in numbers)
    await asyncio.gather(*deletions, *(other.enqueue([job]) for job in new), return_exceptions=True)
    # Either the job was gone, and its dependent refused, or it was there, and its deletion a verdict.
    assert {job.state for job in await all_jobs(store)} <= {JobState.CANCELLED}
    assert await store.check() == []


async def test_of_many_ends_at_once_the_last_lets_go(store: PostgresStore, other: PostgresStore, engine: str) -> None:
    await other.register_engine(new_engine("engine-2"))
    ids = await add(store, *(f"first{number}" for number in range(40)))
    last = [NewJob("true", id=f"last{number}", after=tuple(map(Dependency, ids))) for number in range(10)]
    await store.enqueue(last)
    mine = [await take(store, engine) for _ in range(20)]
    theirs = [await take(other, "engine-2") for _ in range(20)]
    await asyncio.gather(*(end(store, job) for job in mine), *(end(other, job) for job in theirs))
    assert {(job.state, job.unmet) for job in await all_jobs(store) if job.id.startswith("last")} == {
        (JobState.PENDING, 0)
    }


async def test_a_thousand_jobs_before_one_and_after_one(store: PostgresStore, engine: str) -> None:
    before = [NewJob("true", id=f"before{number}") for number in range(1_000)]
    one = NewJob("true", id="one", after=tuple(Dependency(job.id or "") for job in before))
    behind = [NewJob("true", id=f"behind{number}", after=(Dependency("one"),)) for number in range(1_000)]
    await store.enqueue([*before, one, *behind])
    jobs = await asyncio.gather(*(store.claim(engine, worker, None) for worker in range(1_000)))
    await asyncio.gather(*(end(store, job) for job in jobs if job))
    await end(store, await take(store, engine))
    assert [of.jobs[JobState.PENDING] for of in await store.counts()] == [1_000]


@pytest.mark.parametrize("action", [Action.CANCEL, Action.DELETE])
async def test_two_who_do_something_to_many_jobs_that_come_after_each_others_wait_for_one_another_in_turn(
    store: PostgresStore, other: PostgresStore, action: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else whom the server tells that both wait for each other would try again.
    monkeypatch.setattr(writer, "_TRIES", 1)
    for turn in range(3):
        chain = [
            NewJob("true", id=f"{turn}-{n}", queue="ab"[n % 2], after=(Dependency(f"{turn}-{n - 1}"),) if n % 7 else ())
            for n in range(300)
        ]
        await store.enqueue(chain)
        await asyncio.gather(
            store.apply(action, JobFilter(queues=("a",))),
            other.apply(action, JobFilter(queues=("b",))),
        )
    assert {job.state for job in await all_jobs(store)} <= {JobState.CANCELLED}


async def test_who_waits_for_each_other_is_told_of_it_by_the_server_and_tries_again(
    store: PostgresStore, other: PostgresStore
) -> None:
    # In each other's way: the one holds what the other wants, and the other way round, again and again.
    ids = await add(store, *(f"job{number}" for number in range(20)))
    forwards = [NewJob("true", after=tuple(map(Dependency, ids))) for _ in range(10)]
    backwards = [NewJob("true", after=tuple(map(Dependency, reversed(ids)))) for _ in range(10)]
    actions = [Action.HOLD, Action.RELEASE] * 5
    await asyncio.gather(
        *(store.enqueue([job]) for job in forwards),
        *(other.enqueue([job]) for job in backwards),
        *(of.apply(Action.HOLD, ids) for of in (store, other) for _ in actions),
    )
    await store.apply(Action.CANCEL, ids)
    assert {job.state for job in await all_jobs(store)} == {JobState.CANCELLED}
    assert await store.check() == []


def someone_waits(direct: psycopg.Connection) -> bool:
    """Whether an advisory lock of this database is waited for."""
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
    mine = "(SELECT oid FROM pg_database WHERE datname = current_database())"
    return direct.execute(f"{waiting}{mine}").fetchone() is not None


async def test_a_pause_is_not_answered_before_a_claim_that_does_not_know_of_it_is_over(
    store: PostgresStore,
    other: PostgresStore,
    direct: psycopg.Connection,
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_taken, may_commit = asyncio.Event(), asyncio.Event()
    commit = Connection.commit

    async def commit_when_told(connection: Connection, transaction: Transaction) -> None:
        if not has_taken.is_set():
            has_taken.set()
            await may_commit.wait()
        await commit(connection, transaction)

    await store.enqueue([NewJob("true"), NewJob("true")])
    monkeypatch.setattr(Connection, "commit", commit_when_told)
    claiming = asyncio.create_task(claim_next(store, engine))
    await has_taken.wait()
    pausing = asyncio.create_task(other.set_queue("default", {"paused": True}))
    await until(lambda: someone_waits(direct) or pausing.done())
    assert not pausing.done()

    may_commit.set()
    assert await claiming is not None
    await pausing
    assert await claim_next(store, engine) is None


@pytest.mark.parametrize("is_exchange", [False, True], ids=["claim", "exchange"])
async def test_who_wants_a_job_while_its_queue_is_paused_waits_and_gets_none(
    store: PostgresStore, direct: psycopg.Connection, engine: str, *, is_exchange: bool
) -> None:
    await store.enqueue([NewJob("true"), NewJob("true")])
    running = await take(store, engine)
    with direct.transaction():
        direct.execute(sql.queues.WAIT_TO_CHANGE_RULES)
        direct.execute("INSERT INTO queues (name, paused) VALUES ('default', true)")
        asking = asyncio.create_task(
            store.exchange(running.claim, execution(Exited(0)), Complete(1, 0), 0, None)
            if is_exchange
            else store.claim(engine, 1, None)
        )
        await until(lambda: someone_waits(direct) or asking.done())
        assert not asking.done()
    assert await asking is None
    assert (await store.get(running.id)).state is (JobState.COMPLETED if is_exchange else JobState.PROCESSING)
