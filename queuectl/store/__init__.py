"""Where jobs live. `open_store` picks the backend; `base` says what every backend does."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from queuectl.errors import StoreUnavailable
from queuectl.store.options import StoreOptions, tell_nobody
from queuectl.store.place import POSTGRES, scheme_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime, timedelta

    from queuectl.errors import StoreError
    from queuectl.store.base import Store

__all__ = ["open_store"]


@asynccontextmanager
async def open_store(
    place: str | os.PathLike[str],
    *,
    read_only: bool = False,
    busy_timeout: timedelta | None = None,
    patient: bool = False,
    check_owner: bool = False,
    on_wait: Callable[[StoreError | None], None] | None = None,
    on_growth: Callable[[int | None], None] | None = None,
    clock: Callable[[], datetime] | None = None,
) -> AsyncIterator[Store]:
    """Open the store at `place`, a path or the URL of a PostgreSQL database, and close it at the end.

    A store that is missing is made, an older one migrated, unless `read_only`. A writer waits `busy_timeout` for
    others; None means as long as the stored setting of that name says. A server that cannot be reached is waited for as
    long, by who opens the store. A `patient` one waits without end, also while the disk is full or fails. `on_wait` is
    called with the reason when a wait begins for what is no lock, or without end, and with None when it is over.
    `on_growth` is called with the bytes of the store's log when that grows because someone reads for long, and with
    None when that is over. With `check_owner` a store is refused that others may write to. `clock` gives the time
    in place of the machine's.

    Raises:
        StoreError: there is no store that can be used; the class says why. Whatever is there is left as it is.
    """
    options = StoreOptions(
        read_only=read_only,
        busy_timeout=busy_timeout,
        patient=patient,
        check_owner=check_owner,
        on_wait=on_wait or tell_nobody,
        on_growth=on_growth or tell_nobody,
        clock=clock,
    )
    async with _backend(os.fspath(place), options) as store:
        yield store


def _backend(place: str, options: StoreOptions) -> AbstractAsyncContextManager[Store]:
    """Pick the kind of store. Imported here: who uses one kind need not load, or even have, what the other wants."""
    scheme = scheme_of(place)
    if scheme is None:
        from queuectl.store.sqlite.opening import open_sqlite_store  # noqa: PLC0415

        return open_sqlite_store(Path(place), options)
    if scheme not in POSTGRES:
        raise StoreUnavailable(
            f"there is no store of the kind {scheme}:// in this version: give the path of a file, or postgresql://…"
        )
    try:
        import psycopg  # noqa: F401, PLC0415
    except ImportError as error:
        raise StoreUnavailable(
            f"a store in PostgreSQL wants a driver that is not installed ({error}): pip install 'queuectl[postgres]'"
        ) from error
    from queuectl.store.postgres.opening import open_postgres_store  # noqa: PLC0415

    return open_postgres_store(place, options)
