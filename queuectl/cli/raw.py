"""What commands printed, on its way to stdout or stderr as it is."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from queuectl.cli.interrupt import interruptible

if TYPE_CHECKING:
    from queuectl.output import RunOutput

__all__ = ["print_both", "print_bytes"]


def print_bytes(content: bytes, stream: TextIO | None = None) -> None:
    """Print bytes as they are, at once, to stdout if nothing else is named.

    Who reads them may take his time: nothing of the store is held meanwhile, and Ctrl-C ends it.
    """
    target = stream or sys.stdout
    rest = memoryview(content)
    with interruptible():
        target.flush()
        # Past the stream's buffer: what Ctrl-C leaves in that would be printed at the exit, and wait again.
        while rest:
            rest = rest[os.write(target.fileno(), rest) :]


def print_both(output: RunOutput) -> None:
    """Print each stream of an output to that of this process."""
    print_bytes(output.stdout)
    print_bytes(output.stderr, sys.stderr)
