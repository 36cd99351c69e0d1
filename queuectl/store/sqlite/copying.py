"""Copying to another store, and from one. Each has a connection of its own: its one transaction may take long."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from queuectl.dependency import Verdict
from queuectl.errors import OutcomeUnknown, PlaceTaken, StoreUnavailable
from queuectl.output import Chunk, Stream
from queuectl.settings import Settings
from queuectl.store.contents import Page, StoredChunk, StoredJob, StoredRun
from queuectl.store.sqlite import queues, rows, schema, sql
from queuectl.store.sqlite.checkpoint import checkpoint
from queuectl.store.sqlite.connection import Connection, store_errors
from queuectl.store.sqlite.shield import to_the_end
from queuectl.timestamp import from_epoch_ms

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
    from pathlib import Path

    from queuectl.store.sqlite.opened_file import OpenedFile

__all__ = ["load", "unload"]

_JOBS_AT_ONCE = 200
_CHUNKS_AT_ONCE = 50
"""Each may be as long as what a run prints."""


async def unload(path: Path, file: OpenedFile) -> AsyncGenerator[Page]:
    """Read all that is in the store at `path`; see `AdminStore.unload`."""
    cannot_write = not os.access(path, os.W_OK)
    opening = Connection.open(path, busy_timeout=Settings().busy_timeout, read_only=cannot_write)
    with store_errors(str(path)):
        async with _closing(opening) as connection:
            await connection.run(partial(_begin, begin="BEGIN", file=file, path=path))
            yield await connection.run(_about_the_store)
            seq = 0
            while jobs := await connection.run(partial(_jobs, after=seq)):
                yield Page(jobs=jobs, runs=await connection.run(partial(_runs, first=jobs[0].seq, last=jobs[-1].seq)))
                seq = jobs[-1].seq
            place: rows.Row = (0, 0, "", 0)
            while chunks := await connection.run(partial(_output, after=place)):
                yield Page(output=chunks)
                last = chunks[-1]
                place = (last.seq, last.run, last.chunk.stream, last.chunk.offset)


async def load(
    connecting: Awaitable[Connection], path: Path, file: OpenedFile, pages: AsyncIterator[Page], now: int
) -> None:
    """Fill the empty store at `path`; see `AdminStore.load`."""
    with store_errors(str(path)):
        async with _closing(connecting) as connection:
            await connection.run(partial(_begin, begin="BEGIN IMMEDIATE", file=file, path=path))
            await connection.run(partial(_require_empty, path=path))
            async for page in pages:
                await connection.run(partial(_insert, page=page, now=now))
            await connection.run(partial(_commit, file=file, path=path))
            # Nothing is lost if it fails: others will do it.
            with suppress(sqlite3.Error):
                await connection.run(partial(checkpoint, path=path))


@asynccontextmanager
async def _closing(opening: Awaitable[Connection]) -> AsyncIterator[Connection]:
    connection = await opening
    try:
        yield connection
    finally:
        # What was not committed is undone by that.
        await to_the_end(connection.close())


def _begin(connection: sqlite3.Connection, begin: str, file: OpenedFile, path: Path) -> None:
    connection.execute(begin)
    schema.check_version(connection, path)
    file.check()


def _about_the_store(connection: sqlite3.Connection) -> Page:
    return Page(
        settings=dict(connection.execute(sql.settings.SETTINGS).fetchall()),
        queues=queues.read(connection),
        last_token=connection.execute(sql.copying.LAST_CLAIM).fetchone()[0],
    )


def _jobs(connection: sqlite3.Connection, after: int) -> list[StoredJob]:
    found = connection.execute(sql.copying.JOBS_AFTER, (after, _JOBS_AT_ONCE))
    return [StoredJob(rows.job(row), row[-2], tuple(map(Verdict, json.loads(row[-1])))) for row in found]


def _runs(connection: sqlite3.Connection, first: int, last: int) -> list[StoredRun]:
    found = connection.execute(sql.copying.RUNS_BETWEEN, {"first": first, "last": last})
    return [StoredRun(rows.run(row), row[-2], row[-1]) for row in found]


def _output(connection: sqlite3.Connection, after: rows.Row) -> list[StoredChunk]:
    found = connection.execute(sql.copying.OUTPUT_AFTER, (*after, _CHUNKS_AT_ONCE))
    return [StoredChunk(seq, run, Chunk(Stream(stream), offset, data)) for seq, run, stream, offset, data in found]


def _require_empty(connection: sqlite3.Connection, path: Path) -> None:
    if not connection.execute(sql.copying.IS_EMPTY).fetchone()[0]:
        raise PlaceTaken(f"{path} has jobs, settings or rules of queues already: name an empty place")


def _insert(connection: sqlite3.Connection, page: Page, now: int) -> None:
    connection.executemany(sql.copying.INSERT_JOB, (rows.stored_job(stored, now) for stored in page.jobs))
    connection.executemany(sql.copying.INSERT_EDGE, (edge for stored in page.jobs for edge in rows.edges(stored)))
    connection.executemany(sql.copying.INSERT_RUN, map(rows.stored_run, page.runs))
    connection.executemany(
        sql.copying.INSERT_OUTPUT,
        ((of.seq, of.run, of.chunk.stream, of.chunk.offset, of.chunk.data) for of in page.output),
    )
    connection.executemany(sql.settings.SET_SETTING, page.settings.items())
    began = from_epoch_ms(now)
    connection.executemany(
        sql.queues.SET_QUEUE, (rows.queue(rules, rules.new_bucket(None, None, began)) for rules in page.queues)
    )
    connection.execute(sql.copying.RAISE_LAST_CLAIM, (page.last_token,))


def _commit(connection: sqlite3.Connection, file: OpenedFile, path: Path) -> None:
    connection.execute(sql.copying.COUNT_ALL)
    connection.execute(sql.copying.TAG_ALL)
    file.check()
    try:
        with store_errors(str(path)):
            connection.execute("COMMIT")
    except StoreUnavailable as error:
        raise OutcomeUnknown(f"{error}; whether the copy is stored is unknown: look") from error
