"""What PostgreSQL's errors mean here: by their codes, which are the same in every language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg

from queuectl.errors import (
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreReadOnly,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_lost", "is_refused", "translate"]

_OPERATIONAL = (psycopg.OperationalError, psycopg.InterfaceError)

_ENDED = {
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
    "57P05",  # idle_session_timeout
    "25P03",  # idle_in_transaction_session_timeout
    "25P04",  # transaction_timeout
}


def is_lost(error: psycopg.Error) -> bool:
    """Tell whether an error is that of a connection, which is of no use any more."""
    if error.sqlstate is None:
        return isinstance(error, _OPERATIONAL)
    return error.sqlstate.startswith("08") or error.sqlstate in _ENDED


_REFUSALS = re.compile(r"FATAL:.*(authentication failed|does not exist)|pg_hba\.conf")
"""What a server says to one whom it will never let in. A refused connection has no code to tell it by: where a server
speaks another language, most of it passes for what one says that is not up yet, and is waited for and quoted."""


def is_refused(error: psycopg.Error) -> bool:
    """Tell whether the server is there and does not let us in, so that it is of no use to wait for it."""
    wants_a_password = error.pgconn is not None and error.pgconn.needs_password
    return wants_a_password or _REFUSALS.search(str(error)) is not None


_UNAVAILABLE = (StoreUnavailable, "{place} cannot be used now: {error}")
_LOCKED = (StoreLocked, "{place} is locked by another process; nothing was changed: try again, or see who holds it")
_REFUSED = (StoreReadOnly, "{place} cannot be written by this user, or at all: {error}")
_DAMAGED = (StoreDamaged, "{place} is damaged ({error}): restore a backup; it was left as it is")
_GONE = (StoreMissing, "there is no store at {place}: make one with 'queuectl db init', or name another with --db")

_MEANINGS: Mapping[str, tuple[type[StoreError], str]] = {
    "40001": _LOCKED,  # serialization_failure
    "40P01": _LOCKED,  # deadlock_detected
    "55P03": _LOCKED,  # lock_not_available
    "53100": (StoreFull, "no space is left for {place}; nothing was changed: free some and try again"),
    "25006": _REFUSED,  # read_only_sql_transaction: a standby
    "42501": _REFUSED,  # insufficient_privilege
    "XX001": _DAMAGED,  # data_corrupted
    "XX002": _DAMAGED,  # index_corrupted
    "3F000": _GONE,  # invalid_schema_name
    "42P01": _GONE,  # undefined_table
}


def translate(error: psycopg.Error, place: str) -> StoreError:
    """Say in the store's terms what an error of PostgreSQL means."""
    kind, text = _MEANINGS.get(error.sqlstate or "", (StoreError, "{place} cannot be used: {error}"))
    if kind is StoreError and (isinstance(error, _OPERATIONAL) or is_lost(error)):
        kind, text = _UNAVAILABLE
    return kind(text.format(place=place, error=" ".join(str(error).split())))
