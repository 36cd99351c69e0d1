"""Ctrl-C where it is an error like others: what is open is closed, and the process ends in order."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["interruptible"]


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in the block, whatever else answers to it; where it is ignored, it stays so.

    That is so around an event loop, whose own answer is then to cancel what it runs, and, since that waits until the
    loop goes on, around a read or a write that may block.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
