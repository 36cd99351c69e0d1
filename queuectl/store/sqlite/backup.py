"""Writing a copy of a store that is in use. It runs inside a read transaction, and so copies one moment."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from queuectl.errors import InvalidInput, PlaceTaken, StoreDamaged, StoreUnavailable
from queuectl.store.sqlite.check import file_findings
from queuectl.store.sqlite.connection import configure, store_errors, uri_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["back_up"]

_OWN = ("", "-wal", "-shm", "-journal", "-lock")
"""What is added to a store's name to make the names of its files."""

_LOGS = ("-wal", "-journal")
"""Those of them that SQLite would apply to whatever stands beside them."""


def back_up(connection: sqlite3.Connection, path: Path, place: Path, *, replace: bool) -> None:
    """Copy the store at `path`, which `connection` reads, to `place`; see `AdminStore.back_up`."""
    _refuse(path, place, replace=replace)
    with _os_errors(place):
        part = _create_beside(place)
    try:
        with store_errors(str(place)):
            _copy(connection, part)
            _require_sound(part, path)
        with _os_errors(place):
            _sync(part, os.O_RDWR)
            # Again, as a copy takes its time.
            _refuse(path, place, replace=replace)
            part.replace(place)
            _sync(place.absolute().parent, os.O_RDONLY)
    finally:
        part.unlink(missing_ok=True)


def _refuse(path: Path, place: Path, *, replace: bool) -> None:
    """See that nothing is lost if a file is put at `place`."""
    with _os_errors(place):
        if any(_is_same(place, f"{path}{suffix}") for suffix in _OWN):
            raise InvalidInput(f"{place} belongs to the store itself: name another place for its copy")
        if os.path.lexists(place) and not replace:
            raise PlaceTaken(f"{place} is already there: name another place, or replace it with --force")
        for suffix in _LOGS:
            if os.path.lexists(f"{place}{suffix}"):
                raise PlaceTaken(f"{place}{suffix} is there, so {place} is in use or was left in the middle of it")


def _is_same(place: Path, name: str) -> bool:
    try:
        return place.samefile(name)
    except FileNotFoundError:
        return False


@contextmanager
def _os_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{place} cannot be written: {error.strerror}") from error


def _create_beside(place: Path) -> Path:
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    return part


def _copy(connection: sqlite3.Connection, part: Path) -> None:
    with closing(sqlite3.connect(uri_of(part, "rw"), uri=True, isolation_level=None)) as target:
        configure(target)
        # All in one step: between steps others write, and then SQLite would begin anew, without end in a busy store.
        connection.backup(target)


def _require_sound(part: Path, path: Path) -> None:
    # Immutable: nothing is made beside it.
    with closing(sqlite3.connect(f"{uri_of(part, 'ro')}&immutable=1", uri=True)) as copy:
        findings = file_findings(copy)
    if findings:
        raise StoreDamaged(f"{path} is damaged ({findings[0].message}), and so would its copy be: no copy was kept")


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
