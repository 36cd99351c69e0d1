"""Where jobs live. `open_store` picks the backend; `base` says what every backend does."""

from __future__ import annotations

import os
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from queuectl.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime, timedelta

    from queuectl.errors import StoreError
    from queuectl.store.base import Store

__all__ = ["open_store"]

_URL = r"([a-z][a-z0-9+.-]*)://"


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
    """Open the store at `place`, a path, and close it at the end.

    A store that is missing is made, an older one migrated, unless `read_only`. A writer waits `busy_timeout` for
    others; None means as long as the stored setting of that name says. A `patient` one waits without end, also while
    the disk is full or fails, and calls `on_wait` with the reason when that begins and with None when it ends.
    `on_growth` is called with the bytes of the store's log when that grows because someone reads for long, and with
    None when that is over. With `check_owner` a store is refused that others may write to. `clock` gives the time
    in place of the machine's.

    Raises:
        StoreError: there is no store that can be used; the class says why. Whatever is there is left as it is.
    """
    place = os.fspath(place)
    if scheme := re.match(_URL, place, re.ASCII | re.IGNORECASE):
        raise StoreUnavailable(f"there is no store of the kind {scheme[1]}:// in this version: give the path of a file")
    # Imported here: what opens another kind of store one day need not load SQLite.
    from queuectl.store.sqlite.opening import open_sqlite_store  # noqa: PLC0415

    async with open_sqlite_store(
        Path(place),
        read_only=read_only,
        busy_timeout=busy_timeout,
        patient=patient,
        check_owner=check_owner,
        on_wait=on_wait,
        on_growth=on_growth,
        clock=clock,
    ) as store:
        yield store
