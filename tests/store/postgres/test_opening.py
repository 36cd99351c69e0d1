"""What is particular to opening a store in PostgreSQL: what is refused, what is made, and what is never shown."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from psycopg.sql import SQL, Identifier

from queuectl.errors import (
    StoreForeign,
    StoreLocked,
    StoreMissing,
    StoreNewer,
    StoreOlder,
    StoreReadOnly,
    StoreUnavailable,
    StoreUntrusted,
)
from queuectl.job import NewJob
from queuectl.store import migrate, open_store
from queuectl.store.liveness import this_process
from queuectl.store.postgres import connection as connection_module
from queuectl.store.postgres import schema as schema_module
from queuectl.store.postgres.connection import connect
from queuectl.store.postgres.store import PostgresStore
from tests.factories import add, all_jobs, new_engine
from tests.postgres import with_parameters

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from psycopg.rows import DictRow

    from queuectl.store.postgres.address import Address


async def make(url: str) -> None:
    """Make a store with one job."""
    async with open_store(url) as store:
        await add(store, "job1")


def tables(direct: psycopg.Connection, schema: str) -> list[str]:
    found = direct.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema])
    return [name for (name,) in found.fetchall()]


async def test_without_the_driver_the_error_names_the_extra(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreUnavailable, match=r"pip install 'queuectl\[postgres\]'"):
        await make(url)


async def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(StoreUnavailable, match="mysql://"):
        await make("mysql://me:secret@host/db")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@127.0.0.1:1/db?connect_timeout=2",
        "postgresql://me:sec%72et@127.0.0.1:1/db",
        "postgres://127.0.0.1:1/db?user=me&password=secret",
        "postgresql://me:secret@[no-bracket/db",
        "postgresql://me:secret@host:port/db",
        "postgresql://me:secret@/db?nothing=known",
        "postgresql://me:secret@/db?pooler=session",
        "postgresql://me:secret@/db?schema=",
    ],
)
async def test_what_cannot_be_reached_is_named_without_its_password(url: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        async with open_store(url, busy_timeout=timedelta(0)):
            pass
    assert "secret" not in str(caught.value)
    assert "sec%72et" not in str(caught.value)
    assert caught.value.__cause__ is None or "secret" not in str(caught.value.__cause__)


async def test_reading_never_makes_a_store(url: str, direct: psycopg.Connection, schema: str) -> None:
    with pytest.raises(StoreMissing, match="queuectl db init"):
        async with open_store(url, read_only=True):
            pass
    assert tables(direct, schema) == []


async def test_a_schema_that_an_application_uses_already_has_room_for_a_store(
    url: str, direct: psycopg.Connection, schema: str
) -> None:
    direct.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
    direct.execute("CREATE TABLE orders (id integer)")
    await make(url)
    assert direct.execute("SELECT id, command, state, attempts, priority FROM jobs").fetchall() == [
        ("job1", "true", "pending", 0, 0)
    ]


async def test_tables_of_another_program_are_left_alone(url: str, direct: psycopg.Connection, schema: str) -> None:
    direct.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
    direct.execute("CREATE TABLE jobs (id integer)")
    with pytest.raises(StoreForeign, match="jobs"):
        await make(url)
    assert tables(direct, schema) == ["jobs"]


async def test_a_database_that_cannot_keep_every_text_is_refused(url: str, direct: psycopg.Connection) -> None:
    name = f"ascii_{os.getpid()}"
    direct.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        with pytest.raises(StoreUnavailable, match=r"the encoding SQL_ASCII.*name one with UTF8"):
            await make(with_parameters(url, dbname=name))
    finally:
        direct.execute(f"DROP DATABASE {name}")


async def test_the_encoding_of_the_environment_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    async with open_store(url) as store:
        await store.enqueue([NewJob("echo ü😀", id="job1", env={"A": "ü"})])
        job = await store.get("job1")
    assert (job.command, job.env) == ("echo ü😀", {"A": "ü"})


async def test_two_schemas_of_one_database_are_two_stores(url: str, postgres: str, schema: str) -> None:
    await make(url)
    with pytest.raises(StoreMissing):
        async with open_store(with_parameters(postgres, schema=f"not {schema}"), read_only=True):
            pass


async def test_several_may_make_a_store_at_once(url: str) -> None:
    async def enqueue(number: int) -> None:
        async with open_store(url) as store:
            await store.enqueue([NewJob("true", id=f"job{number}")])

    await asyncio.gather(*(enqueue(number) for number in range(8)))
    async with open_store(url) as store:
        assert len(await all_jobs(store)) == 8


async def test_a_newer_store_is_refused_and_not_touched(url: str, direct: psycopg.Connection) -> None:
    await make(url)
    direct.execute("UPDATE queuectl_schema SET version = 99")
    for read_only in (True, False):
        with pytest.raises(StoreNewer, match="upgrade queuectl"):
            async with open_store(url, read_only=read_only):
                pass
    assert direct.execute("SELECT version FROM queuectl_schema").fetchall() == [(99,)]


async def test_an_open_store_that_is_migrated_by_a_newer_program_is_used_no_more(
    url: str, direct: psycopg.Connection
) -> None:
    async with open_store(url) as store:
        direct.execute("UPDATE queuectl_schema SET version = 99")
        with pytest.raises(StoreNewer):
            await add(store, "job1")
        with pytest.raises(StoreNewer):
            await store.counts()
    assert direct.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


async def test_an_open_store_that_is_dropped_is_missing(url: str, direct: psycopg.Connection, schema: str) -> None:
    async with open_store(url) as store:
        direct.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))
        with pytest.raises(StoreMissing):
            await add(store, "job1")


@pytest.fixture
def _next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend to be a program with one migration more."""
    steps = migrate.load_migrations("queuectl.store.postgres")
    step = migrate.Migration(len(steps) + 1, "more", "CREATE TABLE more (id integer)")
    monkeypatch.setattr(migrate, "load_migrations", lambda _package: [*steps, step])
    monkeypatch.setattr(schema_module, "SCHEMA_VERSION", step.number)


async def test_an_older_store_is_migrated(url: str, direct: psycopg.Connection, request: pytest.FixtureRequest) -> None:
    await make(url)
    version = schema_module.SCHEMA_VERSION
    request.getfixturevalue("_next_version")
    with pytest.raises(StoreOlder, match="db migrate"):
        async with open_store(url, read_only=True):
            pass
    await asyncio.gather(*(open_and_close(url) for _ in range(4)))
    assert direct.execute("SELECT version FROM queuectl_schema").fetchall() == [(version + 1,)]
    assert direct.execute("SELECT count(*) FROM more").fetchone() == (0,)


async def open_and_close(url: str) -> None:
    async with open_store(url):
        pass


async def test_no_migration_happens_under_a_live_engine(
    url: str, direct: psycopg.Connection, request: pytest.FixtureRequest
) -> None:
    async with open_store(url) as store:
        await store.register_engine(new_engine("engine-1", process=this_process()))
    version = schema_module.SCHEMA_VERSION
    request.getfixturevalue("_next_version")
    with pytest.raises(StoreOlder, match="engine-1"):
        await open_and_close(url)
    assert direct.execute("SELECT version FROM queuectl_schema").fetchall() == [(version,)]


@pytest.mark.parametrize(
    "right", ["INSERT ON jobs", "UPDATE (command) ON jobs", "EXECUTE ON FUNCTION enqueue", "CREATE ON SCHEMA {}"]
)
async def test_a_store_that_everyone_may_write_to_is_run_only_on_demand(
    url: str, direct: psycopg.Connection, schema: str, right: str
) -> None:
    await make(url)
    async with open_store(url, check_owner=True):
        pass
    direct.execute(SQL(f"GRANT {right} TO PUBLIC").format(Identifier(schema)))
    with pytest.raises(StoreUntrusted, match="--trust-store"):
        async with open_store(url, check_owner=True):
            pass
    await open_and_close(url)


async def test_what_was_opened_to_be_read_cannot_be_written(url: str) -> None:
    await make(url)
    async with open_store(url, read_only=True) as store:
        with pytest.raises(StoreReadOnly):
            await add(store, "job2")


async def test_whatever_fails_at_the_end_no_connection_is_left_open(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[psycopg.AsyncConnection[DictRow]] = []

    async def connect_and_note(address: Address) -> psycopg.AsyncConnection[DictRow]:
        opened.append(await connect(address))
        return opened[-1]

    async def fail(_store: PostgresStore) -> None:
        raise RuntimeError("a fault")

    async def use() -> None:
        async with open_store(url) as store:
            await add(store, "job1")
            await all_jobs(store)

    monkeypatch.setattr(connection_module, "connect", connect_and_note)
    monkeypatch.setattr(PostgresStore, "stop_listening", fail)
    with pytest.raises(RuntimeError, match="a fault"):
        await use()
    assert [connection.closed for connection in opened] == [True, True]


@pytest.mark.parametrize("milliseconds", [0, 50])
async def test_locks_of_others_are_waited_for_as_long_as_was_asked(
    url: str, direct: psycopg.Connection, milliseconds: int
) -> None:
    await make(url)
    async with open_store(url, busy_timeout=timedelta(milliseconds=milliseconds)) as store:
        with direct.transaction():
            direct.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")
            with pytest.raises(StoreLocked):
                await add(store, "job2")
        await add(store, "job2")


async def test_commits_are_durable_whatever_the_session_says(url: str) -> None:
    careless = with_parameters(url, options="-c synchronous_commit=off")
    async with open_store(careless) as store:
        writer = store._writer  # type: ignore[attr-defined]

        async def setting(transaction: object) -> str:
            row = await transaction.row("SHOW synchronous_commit")  # type: ignore[attr-defined]
            return str(row["synchronous_commit"])

        assert await writer.submit(setting) == "on"


async def test_behind_a_pooler_nothing_is_left_on_a_connection(url: str) -> None:
    async with open_store(with_parameters(url, pooler="transaction")) as store:
        for number in range(12):
            await add(store, f"job{number}")
        # Nothing is heard behind a pooler, and so nobody may wait for it.
        await store.wait_for_change(0.01)
        opened = store._writer._connection._open  # type: ignore[attr-defined]
        cursor = await opened.execute("SELECT count(*) AS prepared FROM pg_prepared_statements")
        assert await cursor.fetchone() == {"prepared": 0}
        cursor = await opened.execute("SHOW search_path")
        assert "own" not in (await cursor.fetchone())["search_path"]
        assert len(await all_jobs(store)) == 12


def test_no_driver_is_loaded_for_a_file(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from queuectl import open_store\n"
        "import queuectl.cli.main, queuectl.cli.run, queuectl.cli.enqueue\n"
        "async def main():\n"
        "    async with open_store(sys.argv[1]) as store: await store.counts()\n"
        "asyncio.run(main())\n"
        "sys.exit('psycopg' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "jobs.db"], check=True)
