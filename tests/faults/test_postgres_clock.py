"""Machines whose clocks are wrong, each in another way, beside one PostgreSQL server."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from queuectl.job import JobState, NewJob
from queuectl.store import open_store
from queuectl.store.postgres.address import parse_address
from tests.cli.shell import Terminal
from tests.engine.engines import a_lease_goes_by, engine_process, lines_in
from tests.factories import SECOND
from tests.faults.checker import check
from tests.faults.ledgers import Answer, ledgered
from tests.faults.stage import Stage, new_job
from tests.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from queuectl.store.base import Store
    from tests.engine.engines import EngineProcess, Gate

HOUR, TEN_YEARS = timedelta(hours=1), timedelta(days=3652)


class WrongClock:
    """The clock of a machine."""

    def __init__(self, file: Path, wrong_by: timedelta) -> None:
        self._file = file
        self.jump(wrong_by)

    def jump(self, wrong_by: timedelta) -> None:
        # It may be read at any moment.
        new = self._file.with_suffix(".new")
        new.write_text(str(wrong_by.total_seconds()))
        new.replace(self._file)

    @property
    def environ(self) -> Mapping[str, str]:
        """What a process has to have in its environment to go by it."""
        folder = Path(__file__).with_name("wrong_clock")
        return {"WRONG_CLOCK": str(self._file), "PYTHONPATH": f"{folder}:{Terminal.root}"}


@contextmanager
def a_machine(stage: Stage, name: str, wrong_by: timedelta) -> Iterator[tuple[WrongClock, EngineProcess]]:
    """Run an engine that sees a clock of its own."""
    clock = WrongClock(stage.folder / f"{name}.clock", wrong_by)
    with engine_process(stage.url, "--workers", "3", environ=clock.environ) as engine:
        yield clock, engine


def ask_from(clock: WrongClock, stage: Stage, *words: str) -> None:
    """Run a command line on a machine."""
    with Terminal() as terminal:
        client = terminal.start("--db", stage.url, *words, environ=clock.environ)
        _, err = client.communicate(timeout=PATIENCE)
        assert client.returncode == 0, err


def enqueue_from(clock: WrongClock, stage: Stage, job_id: str, *options: str) -> None:
    asked = stage.clients.ask(job_id)
    ask_from(clock, stage, "enqueue", "--id", job_id, *options, "--command", ledgered())
    asked.answer = Answer.ACKNOWLEDGED


async def completion(store: Store, job_id: str) -> None:
    async def is_completed() -> bool:
        return (await store.get(job_id)).state is JobState.COMPLETED

    await until(is_completed)


async def test_no_clock_but_that_of_the_database_decides_anything(postgres_url: str, folder: Path, gate: Gate) -> None:
    stage = Stage(postgres_url, folder)
    await stage.make()

    async with open_store(stage.url) as store:
        began = store.now()
        # Long enough that no engine is too late to beat only because the machine is busy.
        await store.set_setting("lease", "3s")
        await store.set_setting("retention", "1h")
        await store.set_queue("default", {"rate": 100.0})
        await stage.enqueue(new_job("running", ledgered("echo >> started; read line < gate")), new_job("early"))

        with (
            a_machine(stage, "ahead", TEN_YEARS) as (ahead, one),
            a_machine(stage, "behind", -TEN_YEARS) as (behind, other),
        ):
            engines = {str((await engine.event("engine started"))["engine"]) for engine in (one, other)}
            await until(lambda: len(lines_in(stage.folder / "started")) == 1)
            await completion(store, "early")
            for turn, jump in enumerate((HOUR, TEN_YEARS)):
                enqueue_from(ahead, stage, f"later-{turn}", "--delay", "1h")
                enqueue_from(behind, stage, f"soon-{turn}", "--delay", "1s")
                ahead.jump(-jump)
                behind.jump(jump)
                await asyncio.gather(*(a_lease_goes_by(store, engine_id) for engine_id in engines))
                fails_once = ledgered(exit_code="$QUEUECTL_RUN < 2")
                await stage.enqueue(NewJob(fails_once, id=f"retried-{turn}", backoff="fixed", backoff_base=1))
                await completion(store, f"soon-{turn}")
                await completion(store, f"retried-{turn}")
            gate.open()
            await completion(store, "running")
            assert {engine.id for engine in await store.engines()} == engines

            later = [await store.get(f"later-{turn}") for turn in range(2)]
            assert [job.run_at - job.created_at for job in later] == [HOUR, HOUR]
            assert {job.state for job in later} == {JobState.PENDING}
            ask_from(behind, stage, "edit", *(job.id for job in later), "--delay", "0")
            for job in later:
                await completion(store, job.id)
            for engine in (one, other):
                engine.send(signal.SIGTERM)
                assert await engine.exit_code() == 0

        retried = [await store.list_runs(f"retried-{turn}") for turn in range(2)]
        # It counts from the decision, which is stored a moment later.
        assert all(SECOND / 2 < again.started_at - (first.finished_at or began) < HOUR for first, again in retried)
        assert (await store.get("early")).state is JobState.COMPLETED, "it is not old"
        assert all(began <= time <= store.now() for time in times_in(stage.url))
    assert check(stage.evidence()) == []


def times_in(url: str) -> set[datetime]:
    """Read all the times that a store has written down."""
    address = parse_address(url)
    with psycopg.connect(address.conninfo, options=f"-c search_path={address.schema}") as connection:
        return {time for (time,) in connection.execute(_TIMES) if time is not None}


_TIMES = """
SELECT unnest(ARRAY[created_at, updated_at, started_at, finished_at, run_at]) FROM jobs
UNION SELECT unnest(ARRAY[started_at, finished_at]) FROM runs
UNION SELECT refilled_at FROM queues
"""
