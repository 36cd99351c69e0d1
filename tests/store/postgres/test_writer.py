"""Lost connections and lost answers: nothing is said to be stored that is not, and nothing is stored twice."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from queuectl.errors import OutcomeUnknown, StoreError
from queuectl.job import NewJob
from queuectl.store import open_store
from queuectl.store.postgres import connection as connection_module
from queuectl.store.postgres import sql
from queuectl.store.postgres.connection import Connection, Transaction, connect
from tests.factories import add, all_jobs, end, new_engine, take
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.rows import DictRow

    from queuectl.store.postgres.address import Address
    from queuectl.store.postgres.store import PostgresStore

LOST = psycopg.OperationalError("server closed the connection unexpectedly")
commit = Connection.commit


def end_all_others(direct: psycopg.Connection) -> None:
    """Have the server end every connection of the store."""
    direct.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'queuectl' AND datname = current_database()"
    )


async def ids(store: PostgresStore) -> list[str]:
    return [job.id for job in await all_jobs(store)]


async def test_a_connection_that_was_lost_while_idle_is_no_trouble(
    store: PostgresStore, direct: psycopg.Connection
) -> None:
    await add(store, "job1")
    assert await ids(store) == ["job1"]
    end_all_others(direct)
    await add(store, "job2")
    assert await ids(store) == ["job1", "job2"]
    end_all_others(direct)
    assert await ids(store) == ["job1", "job2"]


async def test_a_transaction_in_which_its_caller_stood_still_for_too_long_is_made_again(
    store: PostgresStore, direct: psycopg.Connection
) -> None:
    """The server ends the connection then, so that others can fence the engine."""
    tries = []

    async def stand_still(transaction: Transaction) -> str:
        tries.append(transaction)
        if len(tries) == 1:
            await transaction.execute("SET LOCAL idle_in_transaction_session_timeout TO '1ms'")
            while direct.execute(ALIVE, [transaction.connection.info.backend_pid]).fetchone():  # noqa: ASYNC110 - the server sets no event
                await asyncio.sleep(0.005)
        await transaction.execute("SELECT 1")
        return "done"

    assert await store._writing.submit(stand_still) == "done"
    assert len(tries) == 2


ALIVE = "SELECT FROM pg_stat_activity WHERE pid = %s"


async def test_a_connection_that_was_not_set_up_is_not_used(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its settings it would look for the tables elsewhere."""
    await add(store, "job1")

    async def connect_and_be_cancelled(address: Address) -> psycopg.AsyncConnection[DictRow]:
        connection = await connect(address)
        monkeypatch.setattr(connection_module, "connect", connect)
        monkeypatch.setattr(connection, "execute", be_cancelled)
        return connection

    async def be_cancelled(*_: object) -> None:
        monkeypatch.undo()
        raise asyncio.CancelledError

    monkeypatch.setattr(connection_module, "connect", connect_and_be_cancelled)
    with pytest.raises(asyncio.CancelledError):
        await ids(store)
    assert await ids(store) == ["job1"]


async def test_a_lost_connection_that_listened_is_not_watched_any_more(
    store: PostgresStore, direct: psycopg.Connection
) -> None:
    """Its number is given to the next file or process that is opened, which has to be watched in its place."""
    await add(store, "job1")
    await ids(store)
    watched = asyncio.get_running_loop()._selector.get_map()  # type: ignore[attr-defined]
    before = set(watched)
    async with asyncio.timeout(PATIENCE):
        while direct.execute(LISTENING).fetchone() is None or len(watched) == len(before):
            await store.wait_for_change(0.01)
        (descriptor,) = set(watched) - before
        direct.execute(f"SELECT pg_terminate_backend(pid) FROM ({LISTENING}) AS listening")
        while is_open(descriptor):  # noqa: ASYNC110 - the driver sets no event
            await asyncio.sleep(0.01)
    assert descriptor not in watched


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


LISTENING = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'queuectl' AND query LIKE 'LISTEN%' AND datname = current_database()
"""


async def commit_and_lose_the_answer(self: Connection, transaction: Transaction) -> None:
    await commit(self, transaction)
    raise LOST


async def lose_the_commit(_self: Connection, _transaction: Transaction) -> None:
    raise LOST


def once(monkeypatch: pytest.MonkeyPatch, instead: Callable[[Connection, Transaction], object]) -> None:
    """Have the next commit go that way."""

    async def first(self: Connection, transaction: Transaction) -> None:
        monkeypatch.setattr(Connection, "commit", commit)
        await instead(self, transaction)  # type: ignore[misc]

    monkeypatch.setattr(Connection, "commit", first)


async def test_a_commit_whose_answer_was_lost_is_found_to_be_there(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    once(monkeypatch, commit_and_lose_the_answer)
    assert await add(store, "job1") == ["job1"]
    assert await ids(store) == ["job1"]


async def test_a_commit_that_never_arrived_is_made_again(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    once(monkeypatch, lose_the_commit)
    assert await add(store, "job1") == ["job1"]
    assert await ids(store) == ["job1"]


async def test_a_commit_of_which_nobody_could_be_told_is_stored(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql.transactions, "COMMIT", "COMMIT; SELECT 1 / 0")
    assert await add(store, "job1") == ["job1"]
    assert await ids(store) == ["job1"]


async def test_what_cannot_be_found_out_is_reported_as_unknown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_address: object) -> None:
        raise LOST

    async with open_store(url, busy_timeout=timedelta(milliseconds=10)) as store:
        with monkeypatch.context() as patch:
            once(patch, commit_and_lose_the_answer)
            patch.setattr(connection_module, "connect", refuse)
            with pytest.raises(OutcomeUnknown, match="job1") as caught:
                await add(store, "job1")
        assert caught.value.ids == ("job1",)
        assert [job.id for job in await all_jobs(store)] == ["job1"]


async def test_a_patient_store_waits_for_its_server_and_says_so(
    url: str, monkeypatch: pytest.MonkeyPatch, direct: psycopg.Connection
) -> None:
    told: list[StoreError | None] = []
    troubled = asyncio.Event()

    def on_wait(error: StoreError | None) -> None:
        told.append(error)
        troubled.set()

    async def refuse(_address: object) -> None:
        raise LOST

    async with open_store(url, patient=True, on_wait=on_wait) as store:
        with monkeypatch.context() as patch:
            patch.setattr(connection_module, "connect", refuse)
            end_all_others(direct)
            adding = asyncio.create_task(add(store, "job1"))
            async with asyncio.timeout(PATIENCE):
                await troubled.wait()
            assert not adding.done()
        async with asyncio.timeout(PATIENCE):
            assert await adding == ["job1"]
        assert [type(error).__name__ for error in told] == ["StoreUnavailable", "NoneType"]


async def test_a_job_that_somebody_has_locked_keeps_no_engine_from_beating(
    url: str, direct: psycopg.Connection
) -> None:
    """Else it would be cut off and kill all that it runs."""
    told: list[StoreError | None] = []
    troubled = asyncio.Event()

    def on_wait(error: StoreError | None) -> None:
        told.append(error)
        troubled.set()

    async with open_store(url, patient=True, on_wait=on_wait) as store:
        await store.register_engine(new_engine("engine-1"))
        await add(store, "job1")
        job = await take(store, "engine-1")
        with direct.transaction():
            direct.execute("SELECT FROM jobs FOR UPDATE")
            ending = asyncio.create_task(end(store, job))
            async with asyncio.timeout(PATIENCE):
                await troubled.wait()
                assert [await store.beat("engine-1") for _ in range(2)] == [1, 2]
            assert not ending.done()
        await ending
    assert [type(error).__name__ for error in told] == ["StoreLocked", "NoneType"]


async def test_an_id_that_another_takes_between_the_look_and_the_insertion_is_refused_to_one(url: str) -> None:
    async with open_store(url) as one, open_store(url) as other:
        for number in range(10):
            jobs = [NewJob("true", id=f"{number}-{n}") for n in range(20)]
            answers = await asyncio.gather(one.enqueue(jobs), other.enqueue(jobs[::-1]), return_exceptions=True)
            assert sorted(type(answer).__name__ for answer in answers) == ["DuplicateJob", "list"]
        assert len(await all_jobs(one)) == 200


async def test_a_fence_waits_for_the_claims_that_are_under_way(url: str) -> None:
    """A claim that is committed after its engine was taken off would be a job that two run."""
    async with open_store(url) as one, open_store(url) as other:
        for number in range(10):
            await one.register_engine(new_engine(f"engine-{number}"))
            await add(one, f"job{number}")
            [record] = [record for record in await other.engines() if record.id == f"engine-{number}"]
            claimed, is_off = await asyncio.gather(
                one.claim(record.id, 0, None), other.fence(record), return_exceptions=True
            )
            assert is_off is True
            orphans = [job.id for job in await other.orphans()]
            if isinstance(claimed, Exception):
                assert f"job{number}" not in orphans
                await one.register_engine(new_engine(f"next-{number}"))
                await take(one, f"next-{number}")
            else:
                assert f"job{number}" in orphans
