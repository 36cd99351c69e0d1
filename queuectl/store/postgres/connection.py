"""One connection to PostgreSQL, and its transactions."""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Identifier, Literal

from queuectl.errors import StoreUnavailable
from queuectl.store.postgres import sql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from psycopg.sql import Composed

    from queuectl.store.postgres.address import Address

__all__ = ["Connection", "ServerClock", "Transaction", "connect"]

Parameters: TypeAlias = "Mapping[str, object]"

_DEFAULTS: Mapping[str, int] = {
    # Seconds, and for the last milliseconds: a server that vanished is noticed long before a lease is over.
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""What the URL may say otherwise."""


# What the driver warns of (a query whose caller went away, say) reaches who listens to it, and not everyone's terminal.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

_MS = timedelta(milliseconds=1)


class ServerClock:
    """The database's clock, as far as it can be told between two questions to it.

    Every transaction asks for the time on its way, so it is wrong by at most half of the last way there and back, and
    by what the two clocks' speeds differ in since.
    """

    def __init__(self, given: Callable[[], datetime] | None) -> None:
        """Take the time from `given`, if there is one, and not from the database."""
        self._given = given
        self._seen = datetime.now(UTC)
        self._seen_at = time.monotonic()

    def set(self, seen: datetime, asked_at: float) -> datetime:
        """Take in what the database said when it was asked at that time of the monotonic clock; give what holds."""
        if self._given is not None:
            return self._given()
        self._seen, self._seen_at = seen, (asked_at + time.monotonic()) / 2
        return seen

    def now(self) -> datetime:
        """Give the time, to the millisecond."""
        if self._given is not None:
            return self._given()
        elapsed = timedelta(seconds=time.monotonic() - self._seen_at)
        return self._seen + elapsed // _MS * _MS


@dataclass(slots=True)
class Transaction:
    """An open transaction: it runs statements, and knows the time."""

    connection: psycopg.AsyncConnection[DictRow]
    now: datetime
    """By the database's clock when it began, to the millisecond."""
    xid: str | None
    """What names it, if it writes, for as long as the server does not crash."""
    server: str | None
    """What names the server, from one start or crash to the next."""
    version: int | None
    """That of the schema, unless it is only about to be prepared."""

    async def rows(self, statement: str, parameters: Parameters | None = None) -> list[DictRow]:
        """Run a statement and give its rows."""
        cursor = await self.connection.execute(statement, parameters)
        return await cursor.fetchall()

    async def row(self, statement: str, parameters: Parameters | None = None) -> DictRow | None:
        """Run a statement and give its first row, if there is one."""
        found = await self.rows(statement, parameters)
        return found[0] if found else None

    async def execute(self, statement: str, parameters: Parameters | None = None) -> int:
        """Run a statement and give how many rows it changed."""
        cursor = await self.connection.execute(statement, parameters)
        return cursor.rowcount

    async def copy(self, statement: str, rows: Iterable[Iterable[object]]) -> None:
        """Run a COPY with these rows."""
        async with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                await copy.write_row(tuple(row))


@dataclass(slots=True)
class Connection:
    """A connection that is made when it is first needed, and anew when it was lost."""

    address: Address
    clock: ServerClock
    lock_timeout: timedelta
    """How long a statement waits for others' locks."""
    _open: psycopg.AsyncConnection[DictRow] | None = field(default=None, init=False)
    _beginnings: Callable[[str], bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Begin without a connection."""
        # Put together once: each transaction begins with one of them.
        self._beginnings = cache(self._compose)

    @asynccontextmanager
    async def transaction(self, beginning: str) -> AsyncIterator[Transaction]:
        """Begin a transaction with one of the `BEGIN` statements; it is rolled back unless the block commits it.

        Raises:
            psycopg.Error: as it comes.
            StoreError: the connection cannot be made as the URL says.
        """
        connection = await self._connected()
        try:
            yield await self._begin(connection, beginning)
        finally:
            await self._end(connection)

    def another(self) -> Connection:
        """Make one like it, for a transaction that takes long."""
        return Connection(self.address, self.clock, self.lock_timeout)

    async def wait_for_locks(self, timeout: timedelta) -> None:
        """Let statements wait so long for others' locks from now on."""
        if timeout != self.lock_timeout:
            # What was composed, or set up, with the old one must not be used again.
            await self.close()
            self.lock_timeout, self._open = timeout, None
            self._beginnings = cache(self._compose)

    async def commit(self, transaction: Transaction) -> None:
        """Commit, then tell those who listen.

        Raises:
            psycopg.Error: either failed: what became of the transaction has to be found out.
        """
        await transaction.connection.execute(SQL(sql.transactions.COMMIT).format(schema=Literal(self.address.schema)))

    async def _connected(self) -> psycopg.AsyncConnection[DictRow]:
        if self._open is None or self._open.closed:
            self._open = await self._connect()
        return self._open

    async def _connect(self) -> psycopg.AsyncConnection[DictRow]:
        connection = await connect(self.address)
        try:
            if not self.address.is_pooled:
                await connection.execute(self._set_up(sql.transactions.SET_UP))
        except BaseException:
            # Half set up, it must not be taken for one that is: it would look for the tables elsewhere.
            await connection.close()
            raise
        return connection

    def _set_up(self, statement: str) -> Composed:
        # To PostgreSQL, 0 means without end.
        lock_timeout = Literal(f"{max(self.lock_timeout // _MS, 1)}ms")
        return SQL(statement).format(schema=Identifier(self.address.schema), lock_timeout=lock_timeout)

    async def _begin(self, connection: psycopg.AsyncConnection[DictRow], beginning: str) -> Transaction:
        asked_at = time.monotonic()
        cursor = await connection.execute(self._beginnings(beginning))
        while cursor.nextset():
            pass
        found = await cursor.fetchone()
        assert found is not None  # noqa: S101 - the statement always gives a row
        return Transaction(
            connection, self.clock.set(found["now"], asked_at), found["xid"], found["server"], found["version"]
        )

    def _compose(self, beginning: str) -> bytes:
        set_up = self._set_up(sql.transactions.SET_UP_LOCALLY) if self.address.is_pooled else SQL("")
        return SQL(beginning).format(set_up=set_up).as_bytes(self._open)

    async def _end(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        if connection.closed or connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE:
            return
        if connection.info.transaction_status is psycopg.pq.TransactionStatus.ACTIVE:
            # Left in the middle of a statement: what it would still answer is of no use to anyone.
            await connection.close()
            return
        with suppress(psycopg.Error):
            await connection.execute("ROLLBACK")

    async def close(self) -> None:
        """Close it."""
        if self._open is not None:
            await self._open.close()


async def connect(address: Address) -> psycopg.AsyncConnection[DictRow]:
    """Connect to the server.

    Raises:
        StoreUnavailable: the URL is none.
        psycopg.Error: it cannot be reached, or refuses.
    """
    try:
        given = conninfo_to_dict(address.conninfo)
    except psycopg.ProgrammingError:
        # What libpq says quotes the URL, and so perhaps the password.
        raise StoreUnavailable(f"{address.shown} is no URL that PostgreSQL's library can read") from None
    defaults: dict[str, Any] = {name: value for name, value in _DEFAULTS.items() if name not in given}
    return await psycopg.AsyncConnection.connect(
        address.conninfo,
        autocommit=True,
        row_factory=dict_row,
        # A statement that was prepared stays on its connection, which the next transaction may not get again.
        prepare_threshold=None if address.is_pooled else 5,
        application_name=given.get("application_name") or "queuectl",
        # Not left to the environment or the database: what jobs say may be any text.
        client_encoding="UTF8",
        **defaults,
    )
