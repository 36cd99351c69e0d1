"""Which job a user means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queuectl.errors import AmbiguousId
from queuectl.new_job import ID_ALPHABET
from queuectl.store import refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CANDIDATES", "may_begin_an_id", "only_one"]

MIN_PREFIX = 4
"""Characters of an id that may stand for the whole of it."""
_NAMED = 5
CANDIDATES = _NAMED + 1
"""How many ids a store looks for that begin in some way: those that are named, and one that shows there are more."""


def may_begin_an_id(text: str) -> bool:
    """Tell whether a text may stand for a generated id that begins so."""
    return len(text) >= MIN_PREFIX and set(text) <= set(ID_ALPHABET)


def only_one(text: str, found: Sequence[str]) -> str:
    """Give the one id that was found to begin so.

    Raises:
        JobNotFound: there is none.
        AmbiguousId: there are several.
    """
    if not found:
        raise refusals.no_job(text)
    if len(found) > 1:
        more = ", …" if len(found) > _NAMED else ""
        raise AmbiguousId(f"{text} is the beginning of several ids: {', '.join(found[:_NAMED])}{more}; give more of it")
    return found[0]
