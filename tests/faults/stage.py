"""A store with its three ledgers, on which processes are made to die at a failpoint."""

from __future__ import annotations

import re
import signal
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from queuectl.failpoints import VARIABLE
from queuectl.job import NewJob
from queuectl.store import open_store
from tests.cli.shell import Terminal
from tests.engine.engines import EngineProcess, engine_process, run_until_idle
from tests.faults.histories import collect, keep_history
from tests.faults.ledgers import Answer, ClientLedger, Evidence, ledgered
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engine.engines import EventLog

__all__ = ["HANGS_ONCE", "Stage", "new_job"]

HANGS_ONCE = ledgered("test $QUEUECTL_RUN -gt 1 || sleep 3600")
"""A command that ends only when it is run again: it runs for certain when its engine dies."""


def new_job(job_id: str, command: str = ledgered(), **options: Any) -> NewJob:
    """Make a job that keeps the ledger, and whose retries are due at once."""
    return NewJob(command, id=job_id, backoff="fixed", backoff_max=timedelta(0), **options)


class Stage:
    """What a test needs to let processes die and to see what became of the jobs."""

    def __init__(self, url: Path | str, folder: Path) -> None:
        self.url = str(url)
        self.folder = folder
        self.clients = ClientLedger()

    async def make(self) -> None:
        """Make the store, which is not there or empty, and let it keep its history."""
        async with open_store(self.url):
            pass
        keep_history(self.url)

    async def enqueue(self, *jobs: NewJob) -> None:
        """Ask for jobs, and be told that they are stored."""
        asked = [self.clients.ask(str(job.id)) for job in jobs]
        async with open_store(self.url) as store:
            await store.enqueue(jobs)
        for each in asked:
            each.answer = Answer.ACKNOWLEDGED

    @contextmanager
    def engine(self, *options: str, armed: str = "") -> Iterator[EngineProcess]:
        """Run an engine with two workers, with failpoints armed."""
        with engine_process(self.url, "--workers", "2", *options, environ={VARIABLE: armed}) as engine:
            yield engine

    async def dies(self, engine: EngineProcess, armed: str) -> None:
        """Wait until an engine has killed itself at the failpoint that is armed, and nowhere else."""
        assert await engine.exit_code() == -signal.SIGKILL, engine.words
        failpoint, _, _ = armed.partition("=")
        # Its other thread may have been in the middle of a line, or have said something more before the end.
        assert re.findall(r"failpoint (\S+): kill\n", engine.words) == [failpoint], engine.words

    async def engine_dies(self, armed: str, *options: str) -> None:
        """Run an engine until it dies so."""
        with self.engine("--until-idle", *options, armed=armed) as engine:
            await self.dies(engine, armed)

    def client_dies(self, armed: str, job_id: str) -> None:
        """Let a client ask for a job and die at a failpoint, before it is told anything."""
        self.clients.ask(job_id)
        with Terminal() as terminal:
            client = terminal.start(*self._enqueue(job_id), environ={VARIABLE: armed})
            out, err = client.communicate(timeout=PATIENCE)
        assert (client.returncode, out) == (-signal.SIGKILL, b""), err
        assert err.decode() == f"failpoint {armed.partition('=')[0]}: kill\n"

    def client_repeats(self, job_id: str) -> None:
        """Ask for a job again, which may or may not be there, and be told that it is."""
        asked = self.clients.ask(job_id)
        with Terminal() as terminal:
            result = terminal(*self._enqueue(job_id))
        assert (result.code, result.lines) == (0, [job_id]), result.err
        asked.answer = Answer.ACKNOWLEDGED

    def _enqueue(self, job_id: str) -> tuple[str, ...]:
        return ("--db", self.url, "enqueue", "--id", job_id, "--on-conflict", "ignore", ledgered())

    async def settle(self) -> EventLog:
        """Let another engine do all that is left to do, and give its events."""
        async with open_store(self.url, patient=True) as store:
            _, log = await run_until_idle(store)
        return log

    def evidence(self) -> Evidence:
        """Close the ledgers."""
        return collect(self.url, self.folder, self.clients)
