"""A store behind PgBouncer in transaction mode, where each transaction may get another connection."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from queuectl.job import JobState, NewJob
from queuectl.store import open_store
from tests.factories import add, all_jobs, new_engine, run_next, take
from tests.postgres import with_parameters
from tests.store.postgres.pgbouncer import PROGRAM, running_pgbouncer

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 6
"""More than there are connections behind the pooler."""


@pytest.fixture(scope="module")
def pooler(postgres: str) -> Iterator[str]:
    """The URL of the tests' database, through PgBouncer."""
    if shutil.which(PROGRAM) is None:
        # No package index has it: it comes from the system alone.
        pytest.skip("PGBOUNCER IS NOT TESTED: it is not installed here (apt-get install pgbouncer)")
    with running_pgbouncer(postgres) as url:
        yield url


@pytest.fixture
def pooled_url(pooler: str, schema: str) -> str:
    """The URL of a store that is not there yet, through PgBouncer."""
    return with_parameters(pooler, schema=schema, pooler="transaction")


async def test_many_clients_share_few_connections(pooled_url: str, direct: psycopg.Connection) -> None:
    async def live(number: int) -> list[str]:
        async with open_store(pooled_url) as store:
            engine = f"engine-{number}"
            await store.register_engine(new_engine(engine))
            await asyncio.gather(*(add(store, f"job-{number}-{n}") for n in range(20)))
            done = [await run_next(store, engine) for _ in range(20)]
            await store.beat(engine)
            await store.deregister_engine(engine)
            return done

    done = [job_id for ids in await asyncio.gather(*map(live, range(CLIENTS))) for job_id in ids]
    assert len(set(done)) == 20 * CLIENTS
    async with open_store(pooled_url, read_only=True) as store:
        jobs = await all_jobs(store)
    assert {job.state for job in jobs} == {JobState.COMPLETED}
    assert len({job.claim_token for job in jobs}) == len(jobs)
    # Nothing was prepared, or left set, on a connection that others get.
    assert direct.execute("SELECT count(*) FROM jobs").fetchone() == (20 * CLIENTS,)


async def test_an_engine_looks_by_itself(pooled_url: str) -> None:
    async with open_store(pooled_url) as store, open_store(pooled_url) as other:
        await store.register_engine(new_engine("engine-1"))
        waiting = asyncio.create_task(store.wait_for_change(0.05))
        await other.enqueue([NewJob("true", id="job1")])
        await waiting
        assert (await take(store, "engine-1")).id == "job1"


async def test_others_who_share_the_pooler_notice_nothing(pooled_url: str, pooler: str) -> None:
    async with open_store(pooled_url) as store:
        await add(store, "job1")
        await all_jobs(store)
    with psycopg.connect(pooler, autocommit=True) as connection:
        for _ in range(10):
            assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
            assert connection.execute("SHOW enable_seqscan").fetchone() == ("on",)
