"""A PostgreSQL server, or the way to it, that is not there, goes away, loses answers and time."""

from __future__ import annotations

import signal
import tempfile
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from queuectl.errors import JobNotFound, OutcomeUnknown, StoreUnavailable
from queuectl.events import EngineCutOff, EngineFenced, JobFinished, StoreRecovered, StoreWaiting
from queuectl.job import JobState, NewJob
from queuectl.settings import Settings
from queuectl.store import open_store
from queuectl.store.postgres import connection as connection_module
from queuectl.store.postgres.connection import connect
from tests.engine.commands import lives
from tests.engine.engines import LONG, engine_process, lines_in, patient_store, running_engine
from tests.factories import SECOND, record_of
from tests.faults.checker import check
from tests.faults.ledgers import ledgered
from tests.faults.proxy import proxied
from tests.faults.stage import Stage, new_job
from tests.postgres import Server, with_parameters
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from psycopg.rows import DictRow

    from queuectl.store.base import Store
    from queuectl.store.postgres.address import Address
    from tests.engine.engines import EventLog
    from tests.faults.proxy import Proxy

pytestmark = pytest.mark.usefixtures("folder")

WAITS_ONCE = ledgered("echo $$ >> started; test $QUEUECTL_RUN -gt 1 || sleep 3600")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder for sockets, whose paths must be short."""
    with tempfile.TemporaryDirectory(prefix="qpg-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
async def stage(postgres_url: str, folder: Path) -> Stage:
    """A store with its ledgers."""
    stage = Stage(postgres_url, folder)
    await stage.make()
    return stage


@pytest.fixture
async def proxy(postgres_url: str, short_folder: Path) -> AsyncIterator[Proxy]:
    """A way to that store."""
    server = psycopg.conninfo.conninfo_to_dict(postgres_url.partition("&schema")[0])["host"]
    async with proxied(short_folder, Path(str(server))) as proxy:
        proxy.url = with_parameters(proxy.url, schema=postgres_url.rpartition("schema=")[2])
        yield proxy


async def test_an_engine_that_finds_no_server_waits_for_one_and_says_so(server: Server) -> None:
    server.stop()

    with engine_process(server.url, "--workers", "1") as engine:
        waiting = await engine.event("the store cannot be used now; waiting")
        assert "cannot be used now: connection" in waiting["reason"]
        server.start()
        await engine.event("the store can be used again")
        await engine.event("engine started")
        engine.send(signal.SIGTERM)
        assert await engine.exit_code() == 0


@pytest.fixture
def guarded(server: Server) -> Iterator[Server]:
    """A server that lets in some, some with a password, and some not."""
    rules = server.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE careful LOGIN PASSWORD 'right'")
        connection.execute("CREATE ROLE uninvited LOGIN")
        rules.write_text("local all careful scram-sha-256\nlocal all postgres trust\nlocal all nobody trust\n")
        connection.execute("SELECT pg_reload_conf()")
        yield server
        rules.write_text(before)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("DROP ROLE careful, uninvited")


REFUSED: Sequence[tuple[Mapping[str, str], str]] = [
    ({"user": "careful", "password": "wrong"}, "password authentication failed"),
    ({"user": "careful"}, "no password supplied"),
    ({"user": "uninvited"}, "no pg_hba.conf entry"),
    ({"user": "nobody"}, 'role "nobody" does not exist'),
    ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
]


async def test_nobody_waits_for_a_server_that_will_never_let_them_in(guarded: Server) -> None:
    for parameters, reason in REFUSED:
        url = with_parameters(f"postgresql:///postgres?host={guarded.folder}&user=postgres", **parameters)
        with pytest.raises(StoreUnavailable, match=reason):
            async with open_store(url, patient=True):
                pass


async def test_a_server_that_speaks_another_language_is_waited_for_and_quoted(
    postgres_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says cannot be told from what one says that is not up yet."""
    words = "FATAL:  Passwort-Authentifizierung für Benutzer »joe« fehlgeschlagen"

    async def refuse_once(_address: Address) -> psycopg.AsyncConnection[DictRow]:
        monkeypatch.setattr(connection_module, "connect", connect)
        raise psycopg.OperationalError(f"connection failed: {words}")

    monkeypatch.setattr(connection_module, "connect", refuse_once)
    async with patient_store(postgres_url, log) as store:
        await store.enqueue([NewJob("true", id="a")])
    assert [type(event) for event in log.events] == [StoreWaiting, StoreRecovered]
    assert " ".join(words.split()) in log.of(StoreWaiting)[0].reason


async def test_what_was_committed_and_not_answered_is_stored_once(stage: Stage, proxy: Proxy, log: EventLog) -> None:
    async with patient_store(proxy.url, log) as store, running_engine(store) as running:
        for number in range(8):
            proxy.commits_to_lose = 2
            job = new_job(f"job{number}")
            asked = stage.clients.ask(str(job.id))
            async with open_store(proxy.url) as client:
                await client.enqueue([job])
            asked.answer = asked.answer.ACKNOWLEDGED
        await running.event(JobFinished, count=8)

    assert proxy.commits_to_lose == 0
    assert check(stage.evidence()) == []


async def test_a_way_that_hands_on_a_few_bytes_at_a_time_is_only_slow(stage: Stage, proxy: Proxy) -> None:
    proxy.slice = 7
    await stage.enqueue(*(new_job(f"job{number}") for number in range(5)))

    async with open_store(proxy.url, patient=True) as store, running_engine(store) as running:
        await running.event(JobFinished, count=5)

    assert check(stage.evidence()) == []


async def test_an_engine_whose_way_to_the_server_is_dead_lets_go_in_time(
    stage: Stage, proxy: Proxy, folder: Path, log: EventLog
) -> None:
    await stage.enqueue(new_job("a", WAITS_ONCE))

    async with (
        patient_store(proxy.url, log) as store,
        running_engine(store, workers=1, settings=Settings(lease=SECOND), log=log) as cut_off,
    ):
        await until(lambda: bool(lines_in(folder / "started")))
        pid = int(lines_in(folder / "started")[0])
        proxy.stall()
        await cut_off.event(EngineCutOff)
        await until(lambda: not lives(pid))
        async with (
            open_store(stage.url, patient=True) as other,
            running_engine(other, settings=Settings(lease=SECOND)) as successor,
        ):
            await successor.event(JobFinished, "a")
        proxy.go_on()
        # What was under way may have been lost with its connection, or not: both are right.
        proxy.cut()

    assert check(stage.evidence()) == []


async def test_a_notification_that_is_lost_delays_a_job_by_no_more_than_a_look(stage: Stage, proxy: Proxy) -> None:
    proxy.drops_notifications = True

    async with open_store(proxy.url, patient=True) as store, running_engine(store) as running:
        await running.all_wait()
        for number in range(3):
            await stage.enqueue(new_job(f"job{number}"))
            await running.event(JobFinished, count=number + 1)

    assert proxy.dropped > 0
    assert check(stage.evidence()) == []


async def beats_of(store: Store, engine_id: str) -> int:
    return (await record_of(store, engine_id)).beats


async def test_where_no_connection_is_left_an_engine_goes_on_with_those_it_has(server: Server, log: EventLog) -> None:
    server.stop()
    server.start(max_connections="10", superuser_reserved_connections="0", reserved_connections="0")

    async with (
        patient_store(server.url, log) as store,
        running_engine(store, settings=Settings(lease=SECOND), log=log) as running,
    ):
        await running.all_wait()
        with ExitStack() as holders:
            with suppress(psycopg.OperationalError):
                while True:
                    holders.enter_context(psycopg.connect(server.url))
            with pytest.raises(StoreUnavailable, match="too many clients"):
                async with open_store(server.url, busy_timeout=timedelta(0)):
                    pass
            before = await beats_of(store, running.id)
            await store.enqueue([NewJob("true", id="a")])
            await running.event(JobFinished, "a")

            async def has_beaten() -> bool:
                return await beats_of(store, running.id) > before + 2

            await until(has_beaten)

    assert not log.of(EngineCutOff)


async def test_idle_transactions_and_long_readers_stop_nobody(stage: Stage) -> None:
    await stage.enqueue(*(new_job(f"job{number}") for number in range(20)))
    schema = stage.url.rpartition("schema=")[2]

    with psycopg.connect(stage.url.partition("&schema")[0]) as reader:
        reader.execute(f"SELECT * FROM {schema}.jobs")
        await stage.settle()

    assert check(stage.evidence()) == []


def standby_of(server: Server, folder: Path) -> Server:
    """Make a standby of a server that is stopped."""
    (folder / "standby").mkdir()
    return server.copied_to(folder / "standby")


def promote(standby: Server) -> None:
    with psycopg.connect(standby.url, autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")


async def test_a_failover_that_loses_the_last_moments_is_noticed(
    server: Server, short_folder: Path, folder: Path, log: EventLog
) -> None:
    (short_folder / "proxy").mkdir()
    async with open_store(server.url) as first:
        await first.enqueue([NewJob(f"echo $$ >> {folder}/started; sleep 3600", id="early", priority=1)])
    server.stop()
    standby = standby_of(server, short_folder)
    server.start()

    async with (
        proxied(short_folder / "proxy", server.folder) as proxy,
        patient_store(proxy.url, log) as store,
        running_engine(store, settings=Settings(lease=LONG), log=log) as running,
    ):
        await store.enqueue([NewJob("true", id="late")])
        await running.event(JobFinished, "late")
        await until(lambda: len(lines_in(folder / "started")) == 1)
        pid = int(lines_in(folder / "started")[0])
        first_id = running.id

        server.stop(signal.SIGQUIT)
        proxy.server = standby.folder
        standby.start()
        try:
            await running.event(StoreWaiting)
            promote(standby)
            await running.event(EngineFenced)
            await until(lambda: len(lines_in(folder / "started")) == 2)
            # It was killed before that; on a busy machine it takes a moment to be gone.
            await until(lambda: not lives(pid))
            assert running.id != first_id
            job = await store.get("early")
            assert (job.state, job.engine_id, job.attempts) == (JobState.PROCESSING, running.id, 0)
            with pytest.raises(JobNotFound):
                await store.get("late")
        finally:
            await running.close()
            standby.stop(signal.SIGQUIT)


async def test_a_commit_that_a_failover_may_have_lost_is_not_taken_for_another_of_its_number(
    server: Server, short_folder: Path
) -> None:
    (short_folder / "proxy").mkdir()
    async with open_store(server.url):
        pass
    server.stop()
    standby = standby_of(server, short_folder)
    server.start()
    standby.start()
    promote(standby)
    with psycopg.connect(standby.url, autocommit=True) as connection:
        # Each of these is a transaction with a number that the other server gives to one of its own.
        for _ in range(50):
            connection.execute("SELECT pg_current_xact_id()")

    try:
        async with (
            proxied(short_folder / "proxy", server.folder) as proxy,
            open_store(proxy.url, busy_timeout=timedelta(seconds=0.2)) as store,
        ):
            proxy.server = standby.folder
            proxy.commits_to_lose = 1
            with pytest.raises(OutcomeUnknown):
                await store.enqueue([NewJob("true", id="a")])
            with pytest.raises(JobNotFound):
                await store.get("a")
    finally:
        standby.stop(signal.SIGQUIT)
