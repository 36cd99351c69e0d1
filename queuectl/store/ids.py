"""New ids for jobs and engines."""

from __future__ import annotations

import os

from queuectl.new_job import GENERATED_ID_LENGTH, ID_ALPHABET

__all__ = ["new_id", "new_ids"]

_LETTERS = ID_ALPHABET.encode() * 8
"""A letter for each byte, and each letter for as many bytes as any other."""


def new_id() -> str:
    """Make an id of 12 characters of lower-case Crockford base32: 60 random bits."""
    return os.urandom(GENERATED_ID_LENGTH).translate(_LETTERS).decode()


def new_ids(count: int) -> list[str]:
    """Make several such ids, the lowest first: neighbours go to the same page of an index."""
    letters = os.urandom(count * GENERATED_ID_LENGTH).translate(_LETTERS).decode()
    return sorted(letters[at : at + GENERATED_ID_LENGTH] for at in range(0, len(letters), GENERATED_ID_LENGTH))
