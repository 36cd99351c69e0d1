"""The standard streams, in whatever state a process gets them."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

__all__ = ["losable", "mend_streams", "settle"]


def mend_streams() -> None:
    """Let the standard streams take whatever is printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # A closed stream's descriptor would be given to the next file that is opened: the store.
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - open for as long as the process is
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is shown escaped: it is no reason to fail.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # text streams, at a process's start


@contextmanager
def losable() -> Iterator[None]:
    """Let words be lost for which there is no room: nothing is done or left undone for it.

    Raises:
        BrokenPipeError: there is nobody any more who reads them.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError:
        pass


def settle(stream: TextIO) -> OSError | None:
    """Print what can be printed; what has nowhere to go must not be complained about at the exit. Give the reason."""
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None
