"""Where a store is, as a user names it, and how that is shown."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["POSTGRES", "scheme_of", "shown", "without_password"]

POSTGRES = frozenset({"postgresql", "postgres"})
"""The two ways to begin the URL of a PostgreSQL database."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII | re.IGNORECASE)

_HARMLESS = frozenset({"host", "hostaddr", "port", "dbname", "user", "schema", "pooler"})
"""Parameters of a URL that are shown; others may be secrets."""

_SECRET = frozenset({"password", "sslpassword", "oauth_client_secret"})
"""Those that are."""


def scheme_of(place: str) -> str | None:
    """Give the kind of store that a URL names, in lower case; None for a path."""
    found = _SCHEME.match(place)
    return found[1].lower() if found else None


def shown(place: str | os.PathLike[str]) -> str:
    """Give a store's place for people: a path as an absolute one, a URL without its password."""
    place = os.fspath(place)
    if scheme_of(place) is None:
        return str(Path(place).absolute())
    return _without_secrets(place, lambda name: name in _HARMLESS)


def without_password(place: str) -> str:
    """Give a store's place for programs that have to know the password from elsewhere: the URL without it."""
    if scheme_of(place) is None:
        return place
    return _without_secrets(place, lambda name: name not in _SECRET)


def _without_secrets(url: str, keep: Callable[[str], bool]) -> str:
    """Leave the password out of a URL, and all parameters but those to keep."""
    base, _, query = url.partition("?")
    scheme, _, rest = base.partition("://")
    account, at, address = rest.rpartition("@")
    user = account.partition(":")[0]
    kept = "&".join(part for part in query.split("&") if keep(unquote(part.partition("=")[0])))
    return f"{scheme}://{user}{at}{address}{'?' if kept else ''}{kept}"
