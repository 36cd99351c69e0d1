"""The terminal: its other screen, keys as they are pressed, and everything as it was before at the end."""

from __future__ import annotations

import sys
import termios
import tty
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from queuectl.cli.streams import settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import ConsoleDimensions, RenderableType

__all__ = ["Screen"]


class Screen:
    """A terminal of which every line is ours."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Use the terminal at stdin and stdout; nothing of it changes yet."""
        self.keyboard = sys.stdin.fileno()
        self._console = Console(
            force_terminal=True,
            no_color=bool(environ.get("NO_COLOR")),
            highlight=False,
            markup=False,
            emoji=False,
            # The window's own size counts: what a shell has exported stays as it was when the window changes.
            _environ={name: value for name, value in environ.items() if name not in {"COLUMNS", "LINES"}},
        )
        self._live: Live | None = None
        self._former = termios.tcgetattr(self.keyboard)

    @property
    def size(self) -> ConsoleDimensions:
        """How many columns and lines it has now."""
        return self._console.size

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take the terminal, and give it back on every way out."""
        try:
            self.take()
            yield
        finally:
            self.give_back()

    def take(self) -> None:
        """Switch to the other screen; keys come as they are pressed, and are not shown. Ctrl-C stays a signal."""
        tty.setcbreak(self.keyboard)
        self._live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stdout=False)
        self._live.start()

    def give_back(self) -> None:
        """Put the terminal back as it was. What was typed ahead is dropped: it was not meant for a shell."""
        live, self._live = self._live, None
        # It may have been closed: then there is nothing to give back.
        with suppress(OSError):
            if live is not None:
                live.stop()
        settle(sys.stdout)
        with suppress(termios.error):
            termios.tcsetattr(self.keyboard, termios.TCSAFLUSH, self._former)

    def show(self, picture: RenderableType) -> None:
        """Show a picture that is as large as the screen.

        Raises:
            OSError: the terminal was closed.
        """
        if self._live is not None:
            self._live.update(picture, refresh=True)
