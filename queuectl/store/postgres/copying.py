"""Copying to another store, and from one. Each has a connection of its own: its one transaction may take long."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from queuectl.dependency import Verdict
from queuectl.errors import OutcomeUnknown, PlaceTaken
from queuectl.output import Chunk, Stream
from queuectl.store.contents import Page, StoredChunk, StoredJob, StoredRun
from queuectl.store.postgres import queues, rows, schema, sql
from queuectl.store.postgres.sqlstate import translate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from queuectl.store.postgres.connection import Connection, Transaction

__all__ = ["load", "unload"]

_JOBS_AT_ONCE = 200
_CHUNKS_AT_ONCE = 50
"""Each may be as long as what a run prints."""


async def unload(connection: Connection) -> AsyncGenerator[Page]:
    """Read all that is in a store; see `AdminStore.unload`."""
    async with _transaction(connection, sql.transactions.BEGIN_READ) as transaction:
        yield await _about_the_store(transaction)
        seq = 0
        while jobs := await _jobs(transaction, seq):
            yield Page(jobs=jobs, runs=await _runs(transaction, jobs[0].seq, jobs[-1].seq))
            seq = jobs[-1].seq
        place: dict[str, Any] = {"seq": 0, "run": 0, "stream": "", "offset": 0}
        while chunks := await _output(transaction, place):
            yield Page(output=chunks)
            last = chunks[-1]
            place = {"seq": last.seq, "run": last.run, "stream": last.chunk.stream.value, "offset": last.chunk.offset}


async def load(connection: Connection, pages: AsyncIterator[Page]) -> None:
    """Fill an empty store; see `AdminStore.load`."""
    async with _transaction(connection, sql.transactions.BEGIN_WRITE) as transaction:
        row = await transaction.row(sql.copying.IS_EMPTY)
        if row is None or not row["is_empty"]:
            raise PlaceTaken(
                f"{connection.address.shown} has jobs, settings or rules of queues already: name an empty place"
            )
        async for page in pages:
            await _insert(transaction, page)
        await transaction.execute(sql.copying.SETTLE)
        try:
            await connection.commit(transaction)
        except psycopg.Error as error:
            reason = translate(error, connection.address.shown)
            raise OutcomeUnknown(f"{reason}; whether the copy is stored is unknown: look") from error


@asynccontextmanager
async def _transaction(connection: Connection, beginning: str) -> AsyncIterator[Transaction]:
    try:
        async with connection.transaction(beginning) as transaction:
            schema.check_version(transaction.version, connection.address)
            await transaction.execute(sql.copying.WAIT_FOR_OTHERS)
            yield transaction
    except psycopg.Error as error:
        raise translate(error, connection.address.shown) from error
    finally:
        await connection.close()


async def _about_the_store(transaction: Transaction) -> Page:
    settings = {row["key"]: row["value"] for row in await transaction.rows(sql.settings.SETTINGS)}
    row = await transaction.row(sql.copying.LAST_CLAIM)
    return Page(settings=settings, queues=await queues.read(transaction), last_token=0 if row is None else row["token"])


async def _jobs(transaction: Transaction, after: int) -> list[StoredJob]:
    found = await transaction.rows(sql.copying.JOBS_AFTER, {"after": after, "limit": _JOBS_AT_ONCE})
    return [
        StoredJob(seq=row.pop("seq"), verdicts=tuple(map(Verdict, row.pop("verdicts"))), job=rows.job(row))
        for row in found
    ]


async def _runs(transaction: Transaction, first: int, last: int) -> list[StoredRun]:
    found = await transaction.rows(sql.copying.RUNS_BETWEEN, {"first": first, "last": last})
    return [StoredRun(seq=row.pop("seq"), claim_token=row.pop("claim_token"), run=rows.run(row)) for row in found]


async def _output(transaction: Transaction, after: dict[str, Any]) -> list[StoredChunk]:
    found = await transaction.rows(sql.copying.OUTPUT_AFTER, after | {"limit": _CHUNKS_AT_ONCE})
    return [
        StoredChunk(row["job_seq"], row["run"], Chunk(Stream(row["stream"]), row["offset"], row["data"]))
        for row in found
    ]


async def _insert(transaction: Transaction, page: Page) -> None:
    if page.jobs:
        await transaction.copy(sql.copying.COPY_JOBS, (rows.stored_job(of, transaction.now) for of in page.jobs))
        await transaction.copy(sql.copying.COPY_EDGES, (edge for of in page.jobs for edge in rows.edges(of)))
    if page.runs:
        await transaction.copy(sql.copying.COPY_RUNS, map(rows.stored_run, page.runs))
    if page.output:
        pieces = ((of.seq, of.run, of.chunk.stream, of.chunk.offset, of.chunk.data) for of in page.output)
        await transaction.copy(sql.copying.COPY_OUTPUT, pieces)
    for name, text in page.settings.items():
        await transaction.execute(sql.settings.SET_SETTING, {"name": name, "text": text})
    for rules in page.queues:
        await queues.change(
            transaction,
            rules.queue,
            {"paused": rules.paused, "concurrency": rules.concurrency, "rate": rules.rate},
        )
    await transaction.execute(sql.copying.RAISE_LAST_CLAIM, {"token": page.last_token})
