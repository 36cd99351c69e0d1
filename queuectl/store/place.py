"""Where a store is, as a user names it, and how that is shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["POSTGRES", "scheme_of", "shown"]

POSTGRES = frozenset({"postgresql", "postgres"})
"""The two ways to begin the URL of a PostgreSQL database."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII | re.IGNORECASE)

_HARMLESS = frozenset({"host", "hostaddr", "port", "dbname", "user", "schema", "pooler"})
"""Parameters of a URL that are shown; others may be secrets."""


def scheme_of(place: str) -> str | None:
    """Give the kind of store that a URL names, in lower case; None for a path."""
    found = _SCHEME.match(place)
    return found[1].lower() if found else None


def shown(place: str | os.PathLike[str]) -> str:
    """Give a store's place for people: a path as an absolute one, a URL without its password."""
    place = os.fspath(place)
    if scheme_of(place) is None:
        return str(Path(place).absolute())
    base, _, query = place.partition("?")
    scheme, _, rest = base.partition("://")
    account, at, address = rest.rpartition("@")
    user = account.partition(":")[0]
    known = "&".join(part for part in query.split("&") if part.partition("=")[0] in _HARMLESS)
    return f"{scheme}://{user}{at}{address}{'?' if known else ''}{known}"
