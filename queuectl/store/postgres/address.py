"""Where in PostgreSQL a store is: libpq's URL, and two parameters of our own."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from queuectl.errors import StoreUnavailable
from queuectl.store.place import shown

__all__ = ["Address", "parse_address"]

DEFAULT_SCHEMA = "queuectl"
_LONGEST_NAME = 63
"""Bytes of a name in PostgreSQL; longer ones are cut in silence."""


@dataclass(frozen=True, slots=True)
class Address:
    """A store in PostgreSQL."""

    conninfo: str
    """The URL as libpq takes it, with its password: not to be shown."""
    schema: str
    """Where the tables are, so that they can live in an application's own database."""
    is_pooled: bool
    """Whether a pooler hands every transaction another connection: then nothing may be left on one."""
    shown: str
    """The URL without its password."""


def parse_address(url: str) -> Address:
    """Read the URL of a store: ``postgresql://…?schema=NAME&pooler=transaction``, both parameters optional.

    Raises:
        StoreUnavailable: a parameter of ours has a value that cannot be used.
    """
    base, _, query = url.partition("?")
    own = {"schema": DEFAULT_SCHEMA, "pooler": "none"}
    others = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name in own:
            own[name] = unquote(value)
        else:
            # As it is: how it is read is libpq's affair.
            others.append(part)
    if not 0 < len(own["schema"].encode()) <= _LONGEST_NAME or "\0" in own["schema"]:
        raise StoreUnavailable(f"{shown(url)} names a schema that cannot be: use 1 to {_LONGEST_NAME} bytes")
    if own["pooler"] not in {"none", "transaction"}:
        raise StoreUnavailable(f"{shown(url)} has an unknown kind of pooler: use none, or transaction")
    conninfo = f"{base}{'?' if others else ''}{'&'.join(others)}"
    return Address(conninfo, own["schema"], own["pooler"] == "transaction", shown(url))
