"""The program of a guardian: a small process that kills what an engine runs when the engine itself cannot any more.

It is run by its path, on a bare interpreter, and imports nothing of queuectl before there is something to kill: so it
is up within milliseconds, and small. `guardian` starts it, and speaks to it on its standard input, a message a line:

======================================  ====================================================
``beat TIME``                           a heartbeat that was sent then is confirmed; the clock is the monotonic one
``claim JOB ENGINE TOKEN``              a command is about to be started under that claim
``start JOB ENGINE TOKEN PID``          it was started, as the leader of a group of that number
``end JOB ENGINE TOKEN``                it is over, or was not started after all
======================================  ====================================================

It strikes when the engine closes its end, as the kernel does for one that was killed, and when no beat was confirmed
for the silence that it was given: what runs under the claims gets SIGKILL. Before the first it writes a byte to its
standard output, so that an engine that was only suspended knows, when it wakes, who has ended its commands.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress

_PIECE = 1 << 16
"""Bytes read at a time."""
_LONGEST_PAUSE = 0.1
"""Seconds between two looks at the messages. Only the closed end is noticed at once: a wake for each message would
cost more than the message is worth."""
_PAUSES_PER_SILENCE = 40
_PATIENCE = 5.0
"""Seconds after which what was killed and is still not gone is left alone."""
_SWEEP_EVERY = 0.02
"""Seconds between looks at what was killed."""

Mark = tuple[str, ...]
"""Job, engine and token of a claim."""


class Guard:
    """What is known of an engine and its commands, and what is done about it."""

    def __init__(self, messages: int, silence: float) -> None:
        """Read messages from a descriptor that does not block, and bear so many seconds without a beat."""
        self._messages = messages
        self._silence = silence
        self._deadline = time.monotonic() + silence
        self._rest = b""
        self._groups: dict[Mark, int | None] = {}
        """The claims under which something runs, and the process groups, as far as they were told."""

    def watch(self) -> None:
        """Return when the engine is gone, and so is what it ran."""
        poll = select.poll()
        # Nothing to be told but that the other end is closed, which need not be asked for.
        poll.register(self._messages, 0)
        pause = min(_LONGEST_PAUSE, self._silence / _PAUSES_PER_SILENCE)
        is_over = False
        while not is_over:
            left = self._deadline - time.monotonic()
            is_over = bool(poll.poll(1000 * (min(left, pause) if left > 0 else pause)))
            self._listen()
            # What it has said last is known by now.
            if is_over or time.monotonic() >= self._deadline:
                self._strike()

    def _listen(self) -> None:
        while data := self._read():
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._note(*line.decode().split(" "))

    def _read(self) -> bytes:
        try:
            return os.read(self._messages, _PIECE)
        except BlockingIOError:
            return b""

    def _note(self, what: str, *words: str) -> None:
        if what == "beat":
            self._deadline = float(words[0]) + self._silence
        elif what == "claim":
            self._groups[words] = None
        elif what == "start":
            self._groups[words[:3]] = int(words[3])
        else:
            # It may have been struck.
            self._groups.pop(words, None)

    def _strike(self) -> None:
        # Each is struck once, and again only if something is told of it after that.
        struck, self._groups = self._groups, {}
        if not struck:
            return
        with suppress(OSError):  # Where the engine is gone, nobody reads it.
            os.write(sys.stdout.fileno(), b"!")
        for group in filter(None, struck.values()):
            with suppress(OSError):  # It may be over already.
                os.killpg(group, signal.SIGKILL)
        _sweep(struck)


def _sweep(marks: dict[Mark, int | None]) -> None:
    """Kill what has left its group, and what was started a moment before anyone could tell: the environment tells."""
    from queuectl.engine.leftovers import Hunt  # noqa: PLC0415 - see above
    from queuectl.job import Claim  # noqa: PLC0415

    hunt = Hunt(Claim(job, engine, int(token)) for job, engine, token in marks)
    deadline = time.monotonic() + _PATIENCE
    while not hunt.sweep() and time.monotonic() < deadline:
        time.sleep(_SWEEP_EVERY)


def main() -> None:
    """Watch over the engine that has started this, with the arguments: silence in seconds, the module search path."""
    silence, *sys.path[:] = sys.argv[1:]
    os.set_blocking(sys.stdin.fileno(), False)
    Guard(sys.stdin.fileno(), float(silence)).watch()


if __name__ == "__main__":
    main()
