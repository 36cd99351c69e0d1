"""A terminal as a user has it: a screen that tests can read, and keys that they can press."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

import pyte

from tests.cli.shell import Terminal
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping

# The terminal has to be the process's own, so that its keys send signals, and that its end is noticed.
_LAUNCH = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
{before}
from queuectl.__main__ import main
main()
"""


class Emulator:
    """One command line in a terminal of its own."""

    def __init__(
        self,
        *args: str,
        columns: int = 80,
        lines: int = 24,
        environ: Mapping[str, str] | None = None,
        before: str = "",
    ) -> None:
        """Start it; `before` is run first, in its process."""
        self._ours, self._theirs = os.openpty()
        self._is_closed = False
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.resize(columns, lines)
        self.modes = termios.tcgetattr(self._theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _LAUNCH.format(before=before), *args],
            env={**os.environ, "PYTHONPATH": Terminal.root, "TERM": "xterm-256color", **(environ or {})},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.close()

    @property
    def text(self) -> str:
        """What the screen shows."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Make the window smaller or larger."""
        self.screen.resize(lines, columns)
        termios.tcsetwinsize(self._ours, (lines, columns))

    def close(self) -> None:
        """Close the window, without a word."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self._theirs)
            os.close(self._ours)

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the program draw until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.text
            self._receive()

    def until_shown(self, *texts: str) -> None:
        """Let the program draw until all these texts are on the screen."""
        self.until(lambda: all(text in self.text for text in texts))

    def until_hidden(self, text: str) -> None:
        """Let the program draw until this text is not on the screen any more."""
        self.until(lambda: text not in self.text)

    def until_ended(self) -> int:
        """Let the program come to its end, and give its exit code."""
        self.until(lambda: self.process.poll() is not None)
        self._receive()
        return self.process.returncode

    def line(self, text: str) -> str:
        """Give the first line of the screen with this text; an empty one, if it is on none."""
        return next((line for line in self.text.splitlines() if text in line), "")

    @property
    def is_given_back(self) -> bool:
        """Whether the terminal is as it was: the usual screen, a cursor, keys that are shown and come by lines."""
        self._receive()
        return (
            self.raw.count(b"\x1b[?1049h") == self.raw.count(b"\x1b[?1049l") > 0
            and not self.screen.cursor.hidden
            and termios.tcgetattr(self._theirs) == self.modes
        )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def _receive(self) -> None:
        while select.select([self._ours], [], [], 0.02)[0]:
            data = os.read(self._ours, 1 << 16)
            self.raw += data
            self._stream.feed(data)
