"""Where a chaos run has its store, and what can befall that kind of place."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import psycopg
from psycopg.sql import SQL, Identifier

from queuectl.store.postgres.address import DEFAULT_SCHEMA
from tests.faults.chaos_plan import OF_FILES, OF_SERVERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.faults.chaos_plan import FaultKind
    from tests.postgres import Server

__all__ = ["FilePlace", "Place", "ServerPlace"]

END_CONNECTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'queuectl'
"""


class Place(ABC):
    """A store's place, and the folder where its commands run."""

    url: str
    folder: Path
    weights: Mapping[FaultKind, int]
    """What befalls it, and how often."""

    @abstractmethod
    def lock(self, seconds: float) -> None:
        """Keep all others from writing."""

    @abstractmethod
    def cut(self) -> None:
        """End all connections."""

    @abstractmethod
    def restart(self, seconds: float, *, is_immediate: bool) -> None:
        """End the server, and start it again after some seconds."""


class FilePlace(Place):
    """A SQLite file, in the folder of the commands."""

    weights = OF_FILES

    def __init__(self, path: Path) -> None:
        self.url, self.folder = str(path), path.parent

    def lock(self, seconds: float) -> None:
        with closing(sqlite3.connect(self.url, isolation_level=None, timeout=60)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            # Held for so long: the time is the fault.
            time.sleep(seconds)
            connection.execute("ROLLBACK")

    def cut(self) -> None:
        raise NotImplementedError

    def restart(self, seconds: float, *, is_immediate: bool) -> None:
        raise NotImplementedError


class ServerPlace(Place):
    """A PostgreSQL server of its own."""

    weights = OF_SERVERS

    def __init__(self, server: Server, folder: Path) -> None:
        self.url, self.folder = server.url, folder
        self._server = server
        self._is_away = threading.Lock()

    def lock(self, seconds: float) -> None:
        # The server may go away meanwhile, and its lock with it.
        with suppress(psycopg.OperationalError), self._connect() as connection, connection.transaction():
            connection.execute(SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(Identifier(DEFAULT_SCHEMA, "jobs")))
            # As above.
            time.sleep(seconds)

    def cut(self) -> None:
        with suppress(psycopg.OperationalError), self._connect() as connection:
            connection.execute(END_CONNECTIONS)

    def restart(self, seconds: float, *, is_immediate: bool) -> None:
        with self._is_away:
            self._server.stop(signal.SIGQUIT if is_immediate else signal.SIGINT)
            # Away for so long: the time is the fault.
            time.sleep(seconds)
            self._server.start()

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)
