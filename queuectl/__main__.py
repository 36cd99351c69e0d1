"""The process: what Ctrl-C does to it at any moment, its standard streams, and its exit code."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run queuectl with the arguments of this process, and exit."""
    _end_at_ctrl_c()
    from queuectl.cli.command_line import run  # noqa: PLC0415 - takes most of a short command's time: after the signal
    from queuectl.cli.exits import ExitCode  # noqa: PLC0415 - likewise
    from queuectl.cli.streams import mend_streams, settle  # noqa: PLC0415 - likewise

    mend_streams()
    code = run(sys.argv[1:])
    settle(sys.stdout)
    if isinstance(settle(sys.stderr), BrokenPipeError):
        # Words that nobody reads; the interpreter would fail to print them once more, with an exit code of its own.
        code = ExitCode.CLOSED_PIPE
    # Everything is closed and printed, and the rest goes with the process. The interpreter would take it all apart
    # first, which takes longer than the command itself.
    os._exit(code)


def _end_at_ctrl_c() -> None:
    """Let Ctrl-C end the process without a word wherever there is nothing to be cleared away, unless it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))


if __name__ == "__main__":
    main()
