"""New ids for jobs and engines."""

from __future__ import annotations

import os
from itertools import product

from queuectl.new_job import GENERATED_ID_LENGTH, ID_ALPHABET

__all__ = ["new_id"]

# Two characters at a time: an id is made for each job of a batch of millions.
_PAIRS = tuple("".join(pair) for pair in product(ID_ALPHABET, repeat=2))


def new_id() -> str:
    """Make an id of 12 characters of lower-case Crockford base32: 60 random bits."""
    bits = int.from_bytes(os.urandom(8), "big")
    return "".join([_PAIRS[(bits >> shift) & 1023] for shift in range(0, 5 * GENERATED_ID_LENGTH, 10)])
