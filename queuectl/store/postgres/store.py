"""The PostgreSQL store: each method is one function on a transaction, with `sql` beside it.

Writes go through the `Writer`, which commits them in groups; reads through a connection of their own. What the
functions do stands in `enqueue`, `jobs`, `actions`, `claims`, `engines`, `queues`, `figures` and `situation`; what each
method promises, in `store.base`; how a store is opened, in `opening`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from queuectl.errors import StoreReadOnly, StoreUnavailable
from queuectl.store.ends import End
from queuectl.store.enqueuing import current_directory, ids_for
from queuectl.store.group import MAX_GROUP, Rank
from queuectl.store.postgres import (
    actions,
    check,
    claims,
    copying,
    engines,
    enqueue,
    figures,
    jobs,
    queues,
    situation,
    sql,
)
from queuectl.store.selection import JobFilter, Sort
from queuectl.store.turns import QueueTurn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from queuectl.errors import LeaseLost
    from queuectl.job import Claim, Job, JobState, Run
    from queuectl.job_changes import JobChanges
    from queuectl.new_job import NewJob, Receipt
    from queuectl.output import OutputUpdate, Position, RunOutput
    from queuectl.queue_rules import QueueChanges, QueueRules
    from queuectl.registration import EngineRecord, Look, NewEngine, QueueCounts, Stats
    from queuectl.situation import Situation
    from queuectl.store.base import Execution, Finding
    from queuectl.store.contents import Page
    from queuectl.store.postgres.address import Address
    from queuectl.store.postgres.connection import ServerClock, Transaction
    from queuectl.store.postgres.listener import Listener
    from queuectl.store.postgres.reader import Reader
    from queuectl.store.postgres.writer import Writer
    from queuectl.store.selection import Selection
    from queuectl.transition import Action, Transition

__all__ = ["PostgresStore"]

_PAGE = 500
"""Jobs in one read of a list, so that no reader keeps the server from clearing up."""


class PostgresStore:
    """Jobs in one schema of a PostgreSQL database."""

    def __init__(self, address: Address, reader: Reader, writer: Writer | None, clock: ServerClock) -> None:
        self._address = address
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._turn = QueueTurn()
        self._listener: Listener | None = None

    # ── Jobs ─────────────────────────────────────────────────────────────────

    async def enqueue(self, new: Sequence[NewJob]) -> list[Receipt]:
        """See `JobStore.enqueue`. All that wait are inserted by one statement."""
        batch = enqueue.Batch(new, ids_for(new), current_directory(new))
        is_large = len(new) > MAX_GROUP
        receipts: list[Receipt] | Exception = await self._writing.post(
            object() if is_large else "enqueue",
            enqueue.enqueue,
            batch,
            repeatable=False,
            alone=is_large,
            ids=batch.ids,
        )
        if isinstance(receipts, Exception):
            raise receipts
        return receipts

    async def resolve(self, text: str) -> str:
        """See `JobStore.resolve`."""
        return await self._reader.run(partial(jobs.resolve, text=text))

    async def get(self, job_id: str) -> Job:
        """See `JobStore.get`."""
        return await self._reader.run(partial(jobs.get, job_id=job_id))

    async def list_jobs(
        self, where: JobFilter, *, sort: Sort = Sort.CREATED, limit: int | None = None
    ) -> AsyncIterator[Job]:
        """See `JobStore.list_jobs`."""
        seqs = await self._reader.run(partial(jobs.find, where=where, sort=sort, limit=limit))
        for start in range(0, len(seqs), _PAGE):
            for job in await self._reader.run(partial(jobs.read, seqs=seqs[start : start + _PAGE], where=where)):
                yield job

    async def next_in_line(self, limit: int) -> list[Job]:
        """See `JobStore.next_in_line`."""
        return await self._reader.run(partial(jobs.next_in_line, limit=limit))

    async def list_runs(self, job_id: str) -> list[Run]:
        """See `JobStore.list_runs`."""
        return await self._reader.run(partial(jobs.runs, job_id=job_id))

    async def read_output(self, job_id: str, run: int, *, after: Position | None = None) -> RunOutput:
        """See `JobStore.read_output`."""
        return await self._reader.run(partial(jobs.output, job_id=job_id, run=run, after=after))

    async def situation(self, job_id: str) -> Situation:
        """See `JobStore.situation`."""
        return await self._reader.run(partial(situation.read, job_id=job_id))

    async def apply(self, action: Action, selection: Selection, *, dry_run: bool = False) -> list[str]:
        """See `JobStore.apply`."""
        work = partial(actions.apply, action=action, selection=selection, dry_run=dry_run)
        return await self._by_hand(work, selection, dry_run=dry_run)

    async def edit(self, selection: Selection, changes: JobChanges, *, dry_run: bool = False) -> list[str]:
        """See `JobStore.edit`."""
        work = partial(actions.edit, selection=selection, changes=changes, dry_run=dry_run)
        return await self._by_hand(work, selection, dry_run=dry_run)

    async def purge(
        self, states: Sequence[JobState], before: datetime | None, *, limit: int | None = None, dry_run: bool = False
    ) -> int:
        """See `JobStore.purge`."""
        if dry_run:
            return await self._reader.run(partial(jobs.count_purgeable, states=states, before=before, limit=limit))
        return await self._writing.submit(partial(jobs.purge, states=states, before=before, limit=limit))

    # ── The life of a claim ──────────────────────────────────────────────────

    def now(self) -> datetime:
        """See `WorkerStore.now`. Times are written by the database's clock, which was asked a moment ago."""
        return self._clock.now()

    async def claim(self, engine_id: str, worker: int, queues: Sequence[str] | None) -> Job | None:
        """See `WorkerStore.claim`. All the workers of an engine that wait are served by one statement."""
        served = None if queues is None else tuple(queues)
        work = partial(claims.claim, engine_id=engine_id, queues=served, turn=self._turn)
        job: Job | None = await self._writing.post(("claim", engine_id, served), work, worker, rank=Rank.CLAIM)
        return job

    async def report(self, claim: Claim, pid: int, pid_start: str, output: OutputUpdate) -> None:
        """See `WorkerStore.report`."""
        said = claims.Report(claim, pid, pid_start, output)
        if refusal := await self._writing.post("report", claims.report, said, rank=Rank.REPORT):
            raise refusal

    async def finish(self, claim: Claim, execution: Execution, transition: Transition) -> None:
        """See `WorkerStore.finish`."""
        end = End(claim, execution, transition)
        if refusal := await self._writing.post("finish", claims.finish, end, rank=Rank.FINISH):
            raise refusal

    async def exchange(
        self, held: Claim, execution: Execution, transition: Transition, worker: int, queues: Sequence[str] | None
    ) -> Job | None:
        """See `WorkerStore.exchange`."""
        served = None if queues is None else tuple(queues)
        work = partial(claims.exchange, engine_id=held.engine_id, queues=served, turn=self._turn)
        ended = (End(held, execution, transition), worker)
        answer: tuple[LeaseLost | None, Job | None] = await self._writing.post(
            ("exchange", held.engine_id, served), work, ended, rank=Rank.FINISH
        )
        refusal, following = answer
        if refusal:
            raise refusal
        return following

    async def rescue(
        self, engine_id: str, job: Job, execution: Execution, transition: Transition, *, is_gone: bool = False
    ) -> None:
        """See `WorkerStore.rescue`."""
        work = partial(claims.rescue, engine_id=engine_id, end=End(job.claim, execution, transition), is_gone=is_gone)
        await self._writing.submit(work, rank=Rank.FINISH)

    # ── Engines ──────────────────────────────────────────────────────────────

    @property
    def is_on_one_machine(self) -> bool:
        """See `EngineStore.is_on_one_machine`."""
        return False

    async def register_engine(self, engine: NewEngine) -> None:
        """See `EngineStore.register_engine`."""
        await self._writing.submit(partial(engines.register, engine=engine), rank=Rank.BEAT)

    async def beat(self, engine_id: str) -> int:
        """See `EngineStore.beat`."""
        return await self._writing.submit(partial(engines.beat, engine_id=engine_id), rank=Rank.BEAT)

    async def deregister_engine(self, engine_id: str) -> int:
        """See `EngineStore.deregister_engine`."""
        return await self._writing.submit(partial(engines.deregister, engine_id=engine_id))

    async def engines(self) -> list[EngineRecord]:
        """See `EngineStore.engines`."""
        return await self._reader.run(engines.engines)

    async def request_stop(self, engine_ids: Sequence[str]) -> None:
        """See `EngineStore.request_stop`."""
        await self._writing.submit(partial(engines.request_stop, engine_ids=engine_ids))

    async def fence(self, engine: EngineRecord) -> bool:
        """See `EngineStore.fence`."""
        return await self._writing.submit(partial(engines.fence, engine=engine), rank=Rank.BEAT)

    async def orphans(self, gone: Collection[str] = ()) -> list[Job]:
        """See `EngineStore.orphans`."""
        return await self._reader.run(partial(engines.orphans, gone=gone))

    async def look(self, engine_id: str, queues: Sequence[str] | None, limit: int) -> Look:
        """See `EngineStore.look`."""
        return await self._reader.run(partial(engines.look, engine_id=engine_id, served=_listed(queues), limit=limit))

    async def is_idle(self, queues: Sequence[str] | None) -> bool:
        """See `EngineStore.is_idle`."""
        return await self._reader.run(partial(engines.is_idle, queues=_listed(queues)))

    async def wait_for_change(self, at_most: float) -> None:
        """See `EngineStore.wait_for_change`."""
        if self._listener is None:
            # Only engines and those who wait need it.
            from queuectl.store.postgres.listener import Listener  # noqa: PLC0415

            self._listener = Listener(self._address)
        await self._listener.wait(at_most)

    # ── The store itself ─────────────────────────────────────────────────────

    async def settings(self) -> Mapping[str, str]:
        """See `AdminStore.settings`."""

        async def read(transaction: Transaction) -> Mapping[str, str]:
            return {row["key"]: row["value"] for row in await transaction.rows(sql.settings.SETTINGS)}

        return await self._reader.run(read)

    async def set_setting(self, name: str, text: str) -> None:
        """See `AdminStore.set_setting`."""
        await self._writing.submit(
            lambda transaction: transaction.execute(sql.settings.SET_SETTING, {"name": name, "text": text})
        )

    async def unset_setting(self, name: str) -> None:
        """See `AdminStore.unset_setting`."""
        await self._writing.submit(lambda transaction: transaction.execute(sql.settings.UNSET_SETTING, {"name": name}))

    async def counts(self) -> list[QueueCounts]:
        """See `AdminStore.counts`."""
        return await self._reader.run(figures.counts)

    async def queues(self) -> list[QueueRules]:
        """See `AdminStore.queues`."""
        return await self._reader.run(queues.read)

    async def set_queue(self, name: str, changes: QueueChanges) -> QueueRules:
        """See `AdminStore.set_queue`."""
        return await self._writing.submit(partial(queues.change, name=name, changes=changes))

    async def stats(self) -> Stats:
        """See `AdminStore.stats`."""
        return await self._reader.run(figures.stats)

    @property
    def software(self) -> str:
        """See `AdminStore.software`. No defect of a version is known that concerns a store."""
        return "PostgreSQL"

    async def check(self) -> list[Finding]:
        """See `AdminStore.check`."""
        return await self._reader.run(check.findings)

    async def back_up(self, place: Path, *, replace: bool = False) -> None:  # noqa: ARG002
        """See `AdminStore.back_up`."""
        raise StoreUnavailable(f"{self._address.shown} is backed up by PostgreSQL's own tool: run pg_dump")

    def unload(self) -> AsyncGenerator[Page]:
        """See `AdminStore.unload`."""
        return copying.unload(self._reader.another())

    async def load(self, pages: AsyncIterator[Page]) -> None:
        """See `AdminStore.load`."""
        await copying.load(self._writing.another(), pages)

    # ── Within ───────────────────────────────────────────────────────────────

    @property
    def _writing(self) -> Writer:
        if self._writer is None:
            raise StoreReadOnly(f"{self._address.shown} was opened to be read only")
        return self._writer

    async def _by_hand(
        self, work: Callable[[Transaction], Awaitable[list[str]]], selection: Selection, *, dry_run: bool
    ) -> list[str]:
        if dry_run:
            return await self._reader.run(work)
        return await self._writing.submit(work, alone=actions.is_large(selection))

    async def stop_listening(self) -> None:
        """Hear of no more changes."""
        if self._listener is not None:
            await self._listener.close()


def _listed(queues: Sequence[str] | None) -> list[str] | None:
    # The driver takes a list for an array, and a tuple for a row.
    return None if queues is None else list(queues)
