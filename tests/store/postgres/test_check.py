"""Damage that a check finds in the tables: what contradicts itself there, nobody has written so through the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queuectl.job import Dependency, NewJob
from queuectl.outcome import Exited
from tests.factories import TWO_ATTEMPTS, add, new_engine, printed, run_next, take

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from queuectl.store.postgres.store import PostgresStore


SECOND_JOB_OF_A_WORKER = """
UPDATE jobs SET state = 'processing', ready = false, engine_id = holder.engine_id, worker = holder.worker,
    started_at = holder.started_at
FROM jobs AS holder WHERE holder.id = 'processing' AND jobs.id = 'pending'
"""
THREE_UNDER_A_KEY = """
UPDATE jobs SET state = 'processing', ready = false, concurrency_key = 'k', engine_id = 'e', worker = seq,
    started_at = now()
WHERE finished_at IS NULL AND id <> 'last'
"""


@pytest.fixture
def url(new_postgres_url: Callable[[], str]) -> str:
    """The URL of an empty place, which takes less time than one that is to be made."""
    return new_postgres_url()


async def furnish(store: PostgresStore) -> None:
    """Make a store with a job of each kind that a rule is about."""
    await store.register_engine(new_engine("engine-1"))
    await add(store, "completed", "failed", "processing", "pending")
    await run_next(store, "engine-1", output=printed(b"text"))
    await run_next(store, "engine-1", Exited(1), policy=TWO_ATTEMPTS)
    await take(store, "engine-1")
    await store.enqueue([NewJob("true", id="last", after=(Dependency("pending"),))])


@pytest.mark.parametrize(
    ("statement", "rule", "message"),
    [
        ("INSERT INTO count_changes VALUES ('default', 'dead', 2)", "counts", "is said to have 2 dead jobs: it has 0"),
        ("UPDATE jobs SET runs = 0 WHERE state = 'processing'", "state", "it has not begun"),
        (
            "DELETE FROM runs WHERE job_seq = (SELECT min(job_seq) FROM runs)",
            "runs",
            "has had 1 runs: of the 1 earlier ones 0 are kept",
        ),
        ("UPDATE runs SET claim_token = 1", "tokens", "claim token 1 was given to 2 runs"),
        ("UPDATE jobs SET claim_token = 1 << 30", "tokens", "is above the last that was given, "),
        (SECOND_JOB_OF_A_WORKER, "workers", "of engine engine-1 holds 2 jobs"),
        ("UPDATE runs SET job_seq = -job_seq", "orphans", "there are runs of job number -"),
        ("UPDATE output SET job_seq = -job_seq", "orphans", "there is output of job number -"),
        ("UPDATE output SET run = 50", "orphans", "there is output of run 50 of job completed"),
        (
            "UPDATE jobs SET unmet = 3 WHERE id = 'last'",
            "edges",
            "is said to wait for 3 others: it waits for 1",
        ),
        ("UPDATE edges SET on_id = 'completed'", "edges", "job last waits for job completed, which is completed"),
        ("UPDATE edges SET on_id = 'gone'", "edges", "job last waits for job gone, which there is not"),
        ("UPDATE jobs SET awaited = false", "edges", "job last waits for job pending, which does not know of it"),
        ("UPDATE edges SET job_seq = -1", "edges", "job number -1, which there is not"),
        (THREE_UNDER_A_KEY, "keys", "3 jobs with the concurrency key k are processing: at most 1 may be"),
        ("UPDATE jobs SET is_argv = true WHERE id = 'pending'", "rows", "cannot be read"),
    ],
)
async def test_what_contradicts_itself_is_found(
    store: PostgresStore, direct: psycopg.Connection, statement: str, rule: str, message: str
) -> None:
    await furnish(store)
    assert await store.check() == []
    direct.execute(statement)
    findings = await store.check()
    assert any(finding.rule == rule and message in finding.message for finding in findings), findings
    assert all(finding.message.isprintable() for finding in findings)


async def test_of_a_flood_of_breaches_a_hundred_are_told(store: PostgresStore, direct: psycopg.Connection) -> None:
    direct.execute("INSERT INTO edges SELECT seq, 1, 'gone', 'ok', 'met' FROM generate_series(1, 500) AS seq")
    assert len(await store.check()) == 100
