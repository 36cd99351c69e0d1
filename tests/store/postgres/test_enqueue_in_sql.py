"""Storing a job from SQL, inside an application's own transaction."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from queuectl.errors import InvalidJob, UniqueKeyTaken
from queuectl.job import JobState
from queuectl.jobspec import KEYS, parse_document
from queuectl.new_job import ID_ALPHABET, NewJob, Spec
from queuectl.store import open_store
from queuectl.transition import Action
from tests.factories import all_jobs, claim_next, end, new_engine, take
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queuectl.store.postgres.store import PostgresStore

GOOD: list[dict[str, Any]] = [
    {"command": "echo hi"},
    {"command": ["printf", "%s\n", 'a "b"', ""], "cwd": "/srv"},
    {"command": "true", "id": "job-1.a:b_c", "queue": "mail", "priority": -1_000_000},
    {"command": "true", "run_at": "2031-02-03T04:05:06.789+02:00"},
    {"command": "true", "run_at": "2031-02-03 04:05Z"},
    {"command": "true", "timeout": 1.5, "max_retries": 0},
    {"command": "true", "timeout": "1d2h30m4s500ms", "max_retries": 1000},
    {"command": "true", "env": {"A": "ünï", "B": ""}, "stdin": "a\nb", "tags": ["nightly", "eu"]},
    {"command": "true", "id": "job1", "on_conflict": "ignore"},
    {"command": "true", "backoff": "fixed", "backoff_base": 1.5, "backoff_max": "5m", "backoff_jitter": 0.25},
    {"command": "true", "backoff": "linear", "backoff_base": 1, "backoff_max": 0, "backoff_jitter": 1},
    {"command": "true", "retry_on": [75, 1, 75], "no_retry_on": [255, 0]},
    {"command": "true", "retry_on": [], "no_retry_on": []},
    {"command": "true", "unique": "ünï", "concurrency_key": "k", "concurrency_limit": 3},
]
BAD: list[dict[str, Any]] = [
    {},
    *({"command": command} for command in ("", " \t", [], [""], ["a", 1], None, 5, {"a": "b"})),
    *({"id": name} for name in ("", "-a", "a b", "a\n", "ä", "x" * 129, 5)),
    *({"queue": name} for name in ("", "a/b", None)),
    *({"priority": number} for number in (1.5, "1", 1_000_001, True, [1])),
    *({"run_at": time} for time in ("tomorrow", "infinity", "", 5, "2031-02-03T04:05:06 CET", "12031-02-03")),
    *({"timeout": duration} for duration in (0, -1, "0s", "", "10x", "1m1h", "P1D", "1 day", None, 1e12)),
    *({"delay": duration} for duration in (-1, "", "soon", [1])),
    {"delay": 1, "run_at": "2031-02-03T04:05Z"},
    *({"max_retries": number} for number in (-1, 1001, 1.5, "3")),
    *({"cwd": path} for path in ("", "relative", 5)),
    *({"env": env} for env in (5, {"A": 1}, {"": "a"}, {"A=B": "c"}, {"QUEUECTL_X": "y"}, {"A": None})),
    *({"stdin": text} for text in (5, None, ["a"])),
    *({"tags": tags} for tags in ("a", [""], [1], {"a": "b"})),
    *({"on_conflict": way} for way in ("replace", True)),
    *({"backoff": kind} for kind in ("Fixed", "", None, 1)),
    *({"backoff_base": number} for number in (0.5, "2", True, None)),
    *({"backoff_max": duration} for duration in (-1, "", "soon", None)),
    *({"backoff_jitter": number} for number in (-0.1, 1.1, "1")),
    *({key: codes} for key in ("retry_on", "no_retry_on") for codes in (5, [-1], [256], [1.5], ["1"], [None], None)),
    *({key: text} for key in ("unique", "concurrency_key") for text in ("", 5, None, ["a"])),
    *({"concurrency_limit": number} for number in (0, 1.5, "1", 1_000_001, None)),
    *({"unknown": 1}, {"Priority": 1}),
]


@pytest.fixture
def sql(direct: psycopg.Connection, store: PostgresStore) -> Iterator[psycopg.Connection]:  # noqa: ARG001 - it made the schema
    """An application's connection, in a transaction."""
    direct.autocommit = False
    direct.execute("SET search_path TO public")
    yield direct
    direct.rollback()


@pytest.fixture
def enqueue(sql: psycopg.Connection, schema: str) -> Any:
    """Store a job as an application does, and give its id."""
    call = SQL("SELECT {}.enqueue(%s)").format(Identifier(schema))

    def enqueued(document: object) -> str:
        row = sql.execute(call, [json.dumps(document)]).fetchone()
        assert row is not None
        return str(row[0])

    return enqueued


@pytest.mark.parametrize("document", GOOD, ids=str)
async def test_it_stores_what_the_command_line_stores(
    store: PostgresStore, sql: psycopg.Connection, enqueue: Any, document: dict[str, Any]
) -> None:
    expected = parse_document({"cwd": "/", **document})
    job_id = enqueue(document)
    sql.commit()
    job = await store.get(job_id)
    assert {of.name: getattr(job, of.name) for of in fields(Spec)} == {
        of.name: getattr(expected, of.name) for of in fields(Spec)
    }
    assert job.state is JobState.PENDING
    assert job.run_at == (expected.run_at or job.created_at)
    assert job.id == expected.id or re.fullmatch(f"[{ID_ALPHABET}]{{12}}", job.id)


@pytest.mark.parametrize("document", BAD, ids=lambda document: str(document)[:40])
def test_it_refuses_what_the_command_line_refuses(enqueue: Any, document: dict[str, Any]) -> None:
    whole = {"command": "true", **document} if document else document
    with pytest.raises(InvalidJob):
        parse_document(whole)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=next(iter(document), "command")):
        enqueue(whole)


def test_it_knows_every_key_but_one(enqueue: Any) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        enqueue(dict.fromkeys(KEYS))
    assert 'there is no key "after" here' in str(refusal.value)
    assert str(refusal.value).count("there is no key") == 1


@pytest.mark.parametrize("document", ["text", 5, None, ["true"], {"command": "x" * (1 << 20)}], ids=type)
def test_a_job_is_an_object_of_some_size(enqueue: Any, document: object) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="a JSON object"):
        enqueue(document)


async def test_a_delay_counts_from_now(store: PostgresStore, sql: psycopg.Connection, enqueue: Any) -> None:
    job_id = enqueue({"command": "true", "delay": "1h30m"})
    sql.commit()
    job = await store.get(job_id)
    assert (job.run_at - job.created_at).total_seconds() == 5_400


async def test_it_goes_with_the_transaction(store: PostgresStore, sql: psycopg.Connection, enqueue: Any) -> None:
    enqueue({"command": "true", "id": "undone"})
    sql.rollback()
    enqueue({"command": "true", "id": "done"})
    assert await all_jobs(store) == []
    sql.commit()
    assert [job.id for job in await all_jobs(store)] == ["done"]
    assert [counts.jobs[JobState.PENDING] for counts in await store.counts()] == [1]


async def test_a_taken_id_is_refused_or_left_alone(store: PostgresStore, sql: psycopg.Connection, enqueue: Any) -> None:
    enqueue({"command": "true", "id": "job1"})
    sql.commit()
    assert enqueue({"command": "false", "id": "job1", "on_conflict": "ignore"}) == "job1"
    sql.commit()
    assert [job.command for job in await all_jobs(store)] == ["true"]
    with pytest.raises(psycopg.errors.UniqueViolation, match="the id job1 is taken"):
        enqueue({"command": "false", "id": "job1"})


async def test_a_taken_unique_key_is_refused_or_its_job_left_alone_until_that_has_ended(
    store: PostgresStore, sql: psycopg.Connection, enqueue: Any
) -> None:
    enqueue({"command": "true", "id": "job1", "unique": "k"})
    sql.commit()
    assert enqueue({"command": "false", "unique": "k", "on_conflict": "ignore"}) == "job1"
    with (
        pytest.raises(psycopg.errors.UniqueViolation, match="the unique key 'k' is taken by job job1"),
        sql.transaction(),
    ):
        enqueue({"command": "false", "unique": "k"})
    with pytest.raises(psycopg.errors.UniqueViolation, match="the id job1 is taken"), sql.transaction():
        enqueue({"command": "false", "id": "job1", "unique": "k"})
    sql.commit()
    with pytest.raises(UniqueKeyTaken, match="job1"):
        await store.enqueue([NewJob("true", unique="k")])
    await store.apply(Action.CANCEL, ["job1"])
    assert enqueue({"command": "false", "id": "job2", "unique": "k"}) == "job2"


async def test_a_job_with_a_full_key_waits_for_its_place(
    store: PostgresStore, sql: psycopg.Connection, enqueue: Any
) -> None:
    await store.register_engine(new_engine("engine-1"))
    for number in (1, 2):
        enqueue({"command": "true", "id": f"job{number}", "concurrency_key": "k"})
    sql.commit()
    first = await take(store, "engine-1")
    assert await claim_next(store, "engine-1") is None
    await end(store, first)
    assert {first.id, (await take(store, "engine-1")).id} == {"job1", "job2"}


async def test_who_waits_hears_of_it_at_the_commit(
    store: PostgresStore, url: str, sql: psycopg.Connection, enqueue: Any
) -> None:
    async with open_store(url) as other:
        # The first change is that it listens.
        await store.wait_for_change(PATIENCE)
        waiting = asyncio.create_task(store.wait_for_change(10 * PATIENCE))
        enqueue({"command": "true"})
        # Notifications come in order: were it heard of before its commit, it would be by the time this one is.
        await other.set_setting("workers", "2")
        with anyio.fail_after(PATIENCE):
            await waiting
        waiting = asyncio.create_task(store.wait_for_change(10 * PATIENCE))
        sql.commit()
        with anyio.fail_after(PATIENCE):
            await waiting


def test_only_who_was_allowed_may_call_it(sql: psycopg.Connection, schema: str, enqueue: Any) -> None:
    sql.execute("CREATE ROLE queuectl_test_app")
    sql.execute(SQL("GRANT USAGE ON SCHEMA {} TO queuectl_test_app").format(Identifier(schema)))
    sql.execute("SET LOCAL ROLE queuectl_test_app")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), sql.transaction():
        enqueue({"command": "true"})
    sql.execute("RESET ROLE")
    sql.execute(SQL("GRANT EXECUTE ON FUNCTION {}.enqueue TO queuectl_test_app").format(Identifier(schema)))
    sql.execute("SET LOCAL ROLE queuectl_test_app")
    # Names are not looked up among what the caller has made.
    sql.execute("CREATE TEMPORARY TABLE jobs (id text)")
    assert enqueue({"command": "true", "id": "job1"}) == "job1"
    assert sql.execute("SELECT count(*) FROM pg_temp.jobs").fetchone() == (0,)
