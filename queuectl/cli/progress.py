"""What an engine shows on stderr while it runs: its log, and a progress bar where it ends by itself."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from queuectl.cli.terminal import is_terminal
from queuectl.events import Event, JobFinished, JobRescued
from queuectl.job import FINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queuectl.cli.invocation import Invocation
    from queuectl.events import Listener

__all__ = ["Display", "has_bar", "shown"]


def has_bar(invocation: Invocation) -> bool:
    """Tell whether someone looks on who wants a bar, and neither more nor less."""
    return sys.stderr.isatty() and not invocation.quiet and not invocation.verbosity


class Display:
    """A listener that shows an engine's events; this one in a log alone."""

    def __init__(self, log: Listener) -> None:
        self._log = log

    def expect(self, jobs: int) -> None:
        """Take note of how many jobs wait at the start."""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        self._log(event)


class Bar(Display):
    """A progress bar over the jobs, with the log's lines above it."""

    def __init__(self, log: Listener) -> None:
        """Set the bar up; it is shown inside `progress`."""
        from queuectl.cli.bar import new_bar  # noqa: PLC0415 - slow to import, and only a terminal wants it

        super().__init__(log)
        self.progress = new_bar()
        self._jobs = self.progress.add_task("jobs", total=None)
        self._done = 0
        self._expected = 0

    def expect(self, jobs: int) -> None:
        """Set the length of the bar."""
        self._expected = jobs
        self._draw()

    def __call__(self, event: Event) -> None:
        """Move on when a job is final."""
        super().__call__(event)
        if isinstance(event, (JobFinished, JobRescued)) and event.state in FINAL_STATES:
            self._done += 1
            self._draw()

    def _draw(self) -> None:
        # Jobs that came in meanwhile make the bar longer.
        total = max(self._expected, self._done)
        self.progress.update(self._jobs, completed=self._done, total=total)


@contextmanager
def shown(invocation: Invocation, *, until_idle: bool) -> Iterator[Display]:
    """Give the listener that shows an engine's events, as far as ``-q`` and ``-v`` ask for it."""
    from queuectl.telemetry.logs import Log  # noqa: PLC0415 - slow to import, and only engines log

    wants_bar = until_idle and has_bar(invocation)
    level = (
        logging.DEBUG if invocation.verbosity else logging.WARNING if wants_bar or invocation.quiet else logging.INFO
    )
    log = Log(level, colour=is_terminal(sys.stderr, invocation.environ))
    if not wants_bar:
        yield Display(log)
        return
    bar = Bar(log)
    with bar.progress:
        yield bar
