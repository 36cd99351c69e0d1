"""What signals mean to an engine: the first drains, the second stops, the third ends the process."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from queuectl.engine.engine import Engine

__all__ = ["handle_signals"]


@asynccontextmanager
async def handle_signals(engine: Engine) -> AsyncIterator[None]:
    """Direct SIGTERM and SIGINT to an engine while the block runs, and SIGHUP; in the main thread only."""
    loop = asyncio.get_running_loop()
    handled = [signal.SIGTERM, signal.SIGINT]
    # A terminal that is closed would else end the engine at once, and leave alone what it runs; nohup asks for neither.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handled.append(signal.SIGHUP)
    received = 0

    def receive(number: signal.Signals) -> None:
        nonlocal received
        received += 1
        if received == 1:
            engine.drain(f"received {number.name}")
        elif received == 2:  # noqa: PLR2004 - the second of three
            engine.stop(f"received {number.name} again")
        else:
            # Whoever asks three times does not want to wait for the store. The next engine rescues what is left.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in handled:
        loop.add_signal_handler(number, receive, number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
