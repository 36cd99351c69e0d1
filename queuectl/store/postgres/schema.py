"""Making a store in a schema, recognising one, and bringing an older one up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.sql import SQL, Identifier

from queuectl.errors import StoreForeign, StoreMissing, StoreOlder, StoreUnavailable, StoreUntrusted
from queuectl.failpoints import Failpoint, reach
from queuectl.store import liveness, migrate, refusals
from queuectl.store.postgres import rows, sql

if TYPE_CHECKING:
    from datetime import datetime

    from queuectl.registration import EngineRecord
    from queuectl.store.postgres.address import Address
    from queuectl.store.postgres.connection import Connection, Transaction

__all__ = ["SCHEMA_VERSION", "check_owner", "check_version", "prepare"]

SCHEMA_VERSION = 4
"""The number of the last migration."""

_ANY_TEXT = "UTF8"
"""The only encoding of a database that has every character."""


async def prepare(connection: Connection, *, read_only: bool) -> None:
    """Make sure that the store has this program's schema; one that is missing or older is migrated, unless `read_only`.

    Each migration is one transaction, under a lock that all programs take for it.

    Raises:
        StoreForeign: something else is there.
        StoreNewer: a newer program wrote it.
        StoreOlder: it wants a migration, and that must not happen now.
        StoreMissing: there is none, and it is only to be read.
        StoreUnavailable: there is none, and the database cannot keep every text.
    """
    address = connection.address
    async with connection.transaction(sql.transactions.BEGIN_PREPARE) as transaction:
        version = await _version_of(transaction, address)
    refusals.refuse_newer(version, SCHEMA_VERSION, address.shown)
    if version < SCHEMA_VERSION and read_only:
        if version == 0:
            raise StoreMissing(
                f"there is no store at {address.shown} (schema {address.schema}): make one with 'queuectl db init', "
                "or name another with --db"
            )
        raise StoreOlder(f"{address.shown} has an older schema: run 'queuectl db migrate' once")
    if version < SCHEMA_VERSION:
        for migration in migrate.load_migrations("queuectl.store.postgres")[version:]:
            await _apply(connection, migration)
            reach(Failpoint.MIGRATED)


async def _version_of(transaction: Transaction, address: Address) -> int:
    """Give the number of the last migration that the store has had; 0 where there is none."""
    state = await transaction.row(sql.schema.SCHEMA_STATE, {"schema": address.schema})
    if state is None or not state["is_ours"]:
        if state and state["tables"]:
            raise StoreForeign(
                f"the schema {address.schema} of {address.shown} has tables of another program "
                f"({', '.join(state['tables'])}): name another schema with ?schema=; it was left as it is"
            )
        return 0
    row = await transaction.row(sql.schema.VERSION)
    return 0 if row is None else row["version"]


async def _apply(connection: Connection, migration: migrate.Migration) -> None:
    address = connection.address
    async with connection.transaction(sql.transactions.BEGIN_PREPARE) as transaction:
        await transaction.execute(sql.schema.LOCK_SCHEMA, {"schema": address.schema})
        # Another program may have done it while this one waited for the lock.
        if await _version_of(transaction, address) < migration.number:
            if migration.number > 1:
                migrate.refuse_live_engines(await _live_engines(transaction), address.shown)
            else:
                await _create_schema(transaction, address)
            await transaction.execute(migration.sql)
            reach(Failpoint.MIGRATING)
            await transaction.execute(sql.schema.SET_VERSION, {"version": migration.number})
        await connection.commit(transaction)


async def _live_engines(transaction: Transaction) -> list[EngineRecord]:
    registered = [rows.engine(row) for row in await transaction.rows(sql.engines.ENGINES)]
    return [engine for engine in registered if not _has_ended(engine, transaction.now)]


def _has_ended(engine: EngineRecord, now: datetime) -> bool:
    # Both times are the database's, and an engine that is cut off has killed its commands long before.
    return liveness.is_gone(engine.process) or now - engine.beat_at > 2 * engine.lease


async def _create_schema(transaction: Transaction, address: Address) -> None:
    state = await transaction.row(sql.schema.SCHEMA_STATE, {"schema": address.schema})
    if state is not None and state["encoding"] != _ANY_TEXT:
        raise StoreUnavailable(
            f"{address.shown} is in a database with the encoding {state['encoding']}, which cannot keep every text: "
            f"name one with {_ANY_TEXT}"
        )
    if state is not None and not state["is_there"]:
        # Only where it is missing: who may use a schema may not always make one.
        await transaction.connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(address.schema)))


async def check_owner(connection: Connection) -> None:
    """See that not everyone who can log in can put commands into the store.

    Raises:
        StoreUntrusted: they can.
    """
    async with connection.transaction(sql.transactions.BEGIN_READ) as transaction:
        row = await transaction.row(sql.schema.MAY_EVERYONE_WRITE)
    if row is not None and row["may"]:
        raise StoreUntrusted(
            f"everyone who can log in may write to {connection.address.shown} and so make you run commands: "
            "revoke that from PUBLIC, or pass --trust-store"
        )


def check_version(version: int | None, address: Address) -> None:
    """See, inside a transaction, that the schema is still the one this program knows.

    Raises:
        StoreNewer: a newer program has migrated it meanwhile.
        StoreOlder: an older copy was put in its place.
    """
    if version != SCHEMA_VERSION:
        refusals.refuse_newer(version or 0, SCHEMA_VERSION, address.shown)
        raise refusals.replaced_by_older(address.shown)
