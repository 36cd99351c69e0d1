"""The SQLite store: each method is one function on a connection, with `sql` beside it.

Writes go through the `Writer`, which commits them in groups; reads through a connection of their own. What the
functions do stands in `enqueue`, `jobs`, `actions`, `claims`, `engines`, `queues`, `figures` and `situation`; what each
method promises, in `store.base`; how a store is opened, in `opening`.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from queuectl.errors import StoreReadOnly
from queuectl.store import sqlite
from queuectl.store.enqueuing import current_directory, ids_for
from queuectl.store.group import MAX_GROUP, Rank
from queuectl.store.selection import JobFilter, Sort
from queuectl.store.sqlite import sql
from queuectl.store.sqlite.connection import Connection, store_errors
from queuectl.timestamp import from_epoch_ms, to_epoch_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from queuectl.errors import LeaseLost
    from queuectl.job import Claim, Job, JobState, NewJob, Receipt, Run
    from queuectl.job_changes import JobChanges
    from queuectl.output import OutputUpdate, Position, RunOutput
    from queuectl.queue_rules import QueueChanges, QueueRules
    from queuectl.registration import EngineRecord, Look, NewEngine, QueueCounts, Stats
    from queuectl.situation import Situation
    from queuectl.store.base import Execution, Finding, Selection
    from queuectl.store.contents import Page
    from queuectl.store.sqlite.listener import Listener
    from queuectl.store.sqlite.opened_file import OpenedFile
    from queuectl.store.sqlite.writer import Writer
    from queuectl.store.turns import QueueTurn
    from queuectl.transition import Action, Transition

__all__ = ["SqliteStore"]

T = TypeVar("T")

_PAGE = 500
"""Jobs in one read of a list, so that no reader holds the log for long."""


class SqliteStore:
    """Jobs in one SQLite file."""

    def __init__(
        self, path: Path, file: OpenedFile, reader: Connection, writer: Writer | None, clock: Callable[[], datetime]
    ) -> None:
        self._path = path
        self._file = file
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._listener: Listener | None = None

    # ── Jobs ─────────────────────────────────────────────────────────────────

    async def enqueue(self, new: Sequence[NewJob]) -> list[Receipt]:
        """See `JobStore.enqueue`."""
        ids = ids_for(new)
        cwd = current_directory(new)
        work = partial(sqlite.enqueue.enqueue, jobs=new, ids=ids, cwd=cwd, now=self._now_ms())
        return await self._writing.submit(work, repeatable=False, alone=len(new) > MAX_GROUP, ids=ids)

    async def resolve(self, text: str) -> str:
        """See `JobStore.resolve`."""
        return await self._read(partial(sqlite.jobs.resolve, text=text))

    async def get(self, job_id: str) -> Job:
        """See `JobStore.get`."""
        return await self._read(partial(sqlite.jobs.get, job_id=job_id))

    async def list_jobs(
        self, where: JobFilter, *, sort: Sort = Sort.CREATED, limit: int | None = None
    ) -> AsyncIterator[Job]:
        """See `JobStore.list_jobs`."""
        seqs = await self._read(partial(sqlite.jobs.find, where=where, sort=sort, limit=limit))
        for start in range(0, len(seqs), _PAGE):
            for job in await self._read(partial(sqlite.jobs.read, seqs=seqs[start : start + _PAGE], where=where)):
                yield job

    async def next_in_line(self, limit: int) -> list[Job]:
        """See `JobStore.next_in_line`."""
        return await self._read(partial(sqlite.jobs.next_in_line, limit=limit))

    async def list_runs(self, job_id: str) -> list[Run]:
        """See `JobStore.list_runs`."""
        return await self._read(partial(sqlite.jobs.runs, job_id=job_id))

    async def read_output(self, job_id: str, run: int, *, after: Position | None = None) -> RunOutput:
        """See `JobStore.read_output`."""
        return await self._read(partial(sqlite.jobs.output, job_id=job_id, run=run, after=after))

    async def situation(self, job_id: str) -> Situation:
        """See `JobStore.situation`."""
        return await self._read(partial(sqlite.situation.read, job_id=job_id, now=self._now_ms()))

    async def apply(self, action: Action, selection: Selection, *, dry_run: bool = False) -> list[str]:
        """See `JobStore.apply`."""
        now = self._now_ms()
        work = partial(sqlite.actions.apply, action=action, selection=selection, now=now, dry_run=dry_run)
        return await self._act(work, selection, dry_run=dry_run)

    async def edit(self, selection: Selection, changes: JobChanges, *, dry_run: bool = False) -> list[str]:
        """See `JobStore.edit`."""
        now = self._now_ms()
        work = partial(sqlite.actions.edit, selection=selection, changes=changes, now=now, dry_run=dry_run)
        return await self._act(work, selection, dry_run=dry_run)

    async def purge(
        self, states: Sequence[JobState], before: datetime | None, *, limit: int | None = None, dry_run: bool = False
    ) -> int:
        """See `JobStore.purge`."""
        at_most = -1 if limit is None else limit
        if dry_run:
            return await self._read(partial(sqlite.jobs.count_purgeable, states=states, before=before, limit=at_most))
        work = partial(sqlite.jobs.purge, states=states, before=before, limit=at_most, now=self._now_ms())
        return await self._writing.submit(work, alone=limit is None or limit > MAX_GROUP)

    # ── The life of a claim ──────────────────────────────────────────────────

    def now(self) -> datetime:
        """See `WorkerStore.now`."""
        return from_epoch_ms(self._now_ms())

    async def claim(self, engine_id: str, worker: int, queues: Sequence[str] | None) -> Job | None:
        """See `WorkerStore.claim`. All the workers of an engine that wait are served by one statement."""
        served = None if queues is None else tuple(queues)
        work = partial(sqlite.claims.claim, engine_id=engine_id, queues=served, turn=self._turn, now=self._now_ms())
        job: Job | None = await self._writing.post(("claim", engine_id, served), work, worker, rank=Rank.CLAIM)
        return job

    async def report(self, claim: Claim, pid: int, pid_start: str, output: OutputUpdate) -> None:
        """See `WorkerStore.report`."""
        now = self._now_ms()
        work = partial(sqlite.claims.report, claim=claim, pid=pid, pid_start=pid_start, output=output, now=now)
        await self._writing.submit(work, rank=Rank.REPORT)

    async def finish(self, claim: Claim, execution: Execution, transition: Transition) -> None:
        """See `WorkerStore.finish`."""
        work = partial(sqlite.claims.finish, now=self._now_ms())
        end = sqlite.claims.End(claim, execution, transition)
        if refusal := await self._writing.post("finish", work, end, rank=Rank.FINISH):
            raise refusal

    async def exchange(
        self, held: Claim, execution: Execution, transition: Transition, worker: int, queues: Sequence[str] | None
    ) -> Job | None:
        """See `WorkerStore.exchange`."""
        served = None if queues is None else tuple(queues)
        now = self._now_ms()
        work = partial(sqlite.claims.exchange, engine_id=held.engine_id, queues=served, turn=self._turn, now=now)
        ended = (sqlite.claims.End(held, execution, transition), worker)
        answer: tuple[LeaseLost | None, Job | None] = await self._writing.post(
            ("exchange", held.engine_id, served), work, ended, rank=Rank.FINISH
        )
        refusal, job = answer
        if refusal:
            raise refusal
        return job

    async def rescue(
        self, engine_id: str, job: Job, execution: Execution, transition: Transition, *, is_gone: bool = False
    ) -> None:
        """See `WorkerStore.rescue`."""
        end = sqlite.claims.End(job.claim, execution, transition)
        work = partial(sqlite.claims.rescue, engine_id=engine_id, end=end, is_gone=is_gone, now=self._now_ms())
        await self._writing.submit(work, rank=Rank.FINISH)

    # ── Engines ──────────────────────────────────────────────────────────────

    @property
    def is_on_one_machine(self) -> bool:
        """See `EngineStore.is_on_one_machine`. SQLite's log needs memory that all its users share."""
        return True

    async def register_engine(self, engine: NewEngine) -> None:
        """See `EngineStore.register_engine`."""
        await self._writing.submit(partial(sqlite.engines.register, engine=engine, now=self._now_ms()), rank=Rank.BEAT)

    async def beat(self, engine_id: str) -> int:
        """See `EngineStore.beat`."""
        return await self._writing.submit(
            partial(sqlite.engines.beat, engine_id=engine_id, now=self._now_ms()), rank=Rank.BEAT
        )

    async def deregister_engine(self, engine_id: str) -> int:
        """See `EngineStore.deregister_engine`."""
        return await self._writing.submit(partial(sqlite.engines.deregister, engine_id=engine_id, now=self._now_ms()))

    async def engines(self) -> list[EngineRecord]:
        """See `EngineStore.engines`."""
        return await self._read(sqlite.engines.engines)

    async def request_stop(self, engine_ids: Sequence[str]) -> None:
        """See `EngineStore.request_stop`."""
        await self._writing.submit(partial(sqlite.engines.request_stop, engine_ids=engine_ids))

    async def fence(self, engine: EngineRecord) -> bool:
        """See `EngineStore.fence`."""
        return await self._writing.submit(partial(sqlite.engines.fence, engine=engine), rank=Rank.BEAT)

    async def orphans(self, gone: Collection[str] = ()) -> list[Job]:
        """See `EngineStore.orphans`."""
        return await self._read(partial(sqlite.engines.orphans, gone=gone))

    async def look(self, engine_id: str, queues: Sequence[str] | None, limit: int) -> Look:
        """See `EngineStore.look`."""
        work = partial(sqlite.engines.look, engine_id=engine_id, queues=queues, limit=limit, now=self._now_ms())
        return await self._read(work)

    async def is_idle(self, queues: Sequence[str] | None) -> bool:
        """See `EngineStore.is_idle`."""
        return await self._read(partial(sqlite.engines.is_idle, queues=queues, now=self._now_ms()))

    async def wait_for_change(self, at_most: float) -> None:
        """See `EngineStore.wait_for_change`."""
        if self._listener is None:
            self._listener = sqlite.listener.listen(self._path)
        await self._listener.wait(at_most)

    # ── The store itself ─────────────────────────────────────────────────────

    async def settings(self) -> Mapping[str, str]:
        """See `AdminStore.settings`."""
        return await self._read(lambda connection: dict(connection.execute(sql.settings.SETTINGS).fetchall()))

    async def set_setting(self, name: str, text: str) -> None:
        """See `AdminStore.set_setting`."""
        await self._writing.submit(lambda connection: connection.execute(sql.settings.SET_SETTING, (name, text)))

    async def unset_setting(self, name: str) -> None:
        """See `AdminStore.unset_setting`."""
        await self._writing.submit(lambda connection: connection.execute(sql.settings.UNSET_SETTING, (name,)))

    async def counts(self) -> list[QueueCounts]:
        """See `AdminStore.counts`."""
        return await self._read(sqlite.figures.counts)

    async def queues(self) -> list[QueueRules]:
        """See `AdminStore.queues`."""
        return await self._read(sqlite.queues.read)

    async def set_queue(self, name: str, changes: QueueChanges) -> QueueRules:
        """See `AdminStore.set_queue`."""
        work = partial(sqlite.queues.change, name=name, changes=changes, now=self._now_ms())
        return await self._writing.submit(work)

    async def stats(self) -> Stats:
        """See `AdminStore.stats`."""
        return await self._read(partial(sqlite.figures.stats, now=self._now_ms()))

    @property
    def software(self) -> str:
        """See `AdminStore.software`."""
        return sqlite.version.describe()

    async def check(self) -> list[Finding]:
        """See `AdminStore.check`."""
        return await self._read(sqlite.check.findings)

    async def back_up(self, place: Path, *, replace: bool = False) -> None:
        """See `AdminStore.back_up`."""
        await self._read(partial(sqlite.backup.back_up, path=self._path, place=place, replace=replace))

    def unload(self) -> AsyncGenerator[Page]:
        """See `AdminStore.unload`."""
        return sqlite.copying.unload(self._path, self._file)

    async def load(self, pages: AsyncIterator[Page]) -> None:
        """See `AdminStore.load`."""
        await sqlite.copying.load(self._writing.connect(), self._path, self._file, pages, self._now_ms())

    # ── Within ───────────────────────────────────────────────────────────────

    async def _act(
        self, work: Callable[[sqlite3.Connection], list[str]], selection: Selection, *, dry_run: bool
    ) -> list[str]:
        if dry_run:
            return await self._read(work)
        return await self._writing.submit(work, alone=isinstance(selection, JobFilter) or len(selection) > MAX_GROUP)

    @cached_property
    def _turn(self) -> QueueTurn:
        return sqlite.claims.QueueTurn()

    def _now_ms(self) -> int:
        return to_epoch_ms(self._clock())

    @property
    def _writing(self) -> Writer:
        if self._writer is None:
            raise StoreReadOnly(f"{self._path} was opened to be read only")
        return self._writer

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with store_errors(str(self._path)):
            return await self._reader.run(partial(_in_one_view, self._file, work))

    def stop_listening(self) -> None:
        """Hear of no more changes."""
        if self._listener is not None:
            self._listener.close()


def _in_one_view(file: OpenedFile, work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """Run a function that reads, so that all its statements see the store at the same moment."""
    file.check_often()
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        connection.execute("ROLLBACK")
