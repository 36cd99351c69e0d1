"""Looks, draws, and does what keys ask for, until someone quits or a signal comes."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from queuectl.cli.exits import SIGNALLED, ExitCode
from queuectl.cli.top.drawing import draw
from queuectl.cli.top.keys import KeyDecoder
from queuectl.cli.top.layout import panes
from queuectl.cli.top.lists import Section, listings
from queuectl.cli.top.tails import Tails
from queuectl.cli.top.view import Act, Page, Quit, SetPaused, View, press
from queuectl.errors import JobNotFound, QueuectlError, StoreError
from queuectl.job import Job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queuectl.cli.invocation import Invocation
    from queuectl.cli.top.layout import Pane
    from queuectl.cli.top.reader import Reader
    from queuectl.cli.top.screen import Screen
    from queuectl.cli.top.snapshot import Snapshot
    from queuectl.cli.top.view import Request
    from queuectl.store.base import Store

__all__ = ["Top"]

_TICK = 1.0
"""Seconds without a change after which one looks again: ages grow, and not every change is heard."""
_ESCAPE = 0.05
"""Seconds within which the rest of a key's sequence comes; else it was the escape key."""
_DEADLY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Top:
    """One sitting in front of a screen."""

    def __init__(
        self, invocation: Invocation, store: Store, reader: Reader, screen: Screen, snapshot: Snapshot
    ) -> None:
        """Show `store` on `screen`, beginning with a snapshot that `reader` made."""
        # What it would say on stderr would stand in the picture.
        self._invocation = replace(invocation, quiet=True)
        self._store = store
        self._reader = reader
        self._screen = screen
        self._snapshot = snapshot
        self._tails = Tails()
        self._view = View()
        self._job: Job | None = None
        """The job on the page of output."""
        self._decoder = KeyDecoder()
        self._keys: list[str] = []
        self._wake = asyncio.Event()
        self._is_stale = True
        self._sitting = anyio.CancelScope()
        self._code: int = ExitCode.DONE

    async def run(self, rest: float) -> int:
        """Show the store until someone quits, with `rest` seconds between two looks at least; give the exit code."""
        with self._signals(), self._screen.taken(), self._keyboard(), self._sitting:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, rest)
                while True:
                    await self._turn()
        return self._code

    async def _watch(self, rest: float) -> None:
        """Say again and again that there may be something new."""
        # From here on no change is missed.
        await self._store.wait_for_change(0)
        while True:
            await anyio.sleep(rest)
            await self._store.wait_for_change(_TICK)
            self._is_stale = True
            self._wake.set()

    async def _turn(self) -> None:
        """Look if there may be something new, draw, and take in what comes next."""
        if self._is_stale:
            self._is_stale = False
            await self._look()
        self._draw()
        await self._wake.wait()
        self._wake.clear()
        keys, self._keys = self._keys, []
        for key in keys:
            [pane] = (pane for pane in self._panes() if pane.listing.section is self._view.section)
            self._view, request = press(self._view, key, pane.listing, len(pane.rows))
            # What keys have moved to may want to be read.
            self._is_stale = True
            if request is not None:
                # That it was taken in is seen, however long it takes.
                self._draw()
                await self._answer(request)

    async def _look(self) -> None:
        try:
            self._snapshot = await self._reader.read()
            if self._view.page is Page.OUTPUT:
                self._job = await self._store.get(self._view.job_id)
                await self._tails.read(self._store, [self._job])
            else:
                await self._tails.read(self._store, self._running_in_sight())
            self._view = replace(self._view, trouble="")
        except JobNotFound as gone:
            self._view = replace(self._view, page=Page.LISTS, note=str(gone))
        except StoreError as trouble:
            # It may come back, as an engine would expect it to.
            self._view = replace(self._view, trouble=str(trouble))

    def _running_in_sight(self) -> list[Job]:
        """Give the running jobs that have room on the screen."""
        rows = (row for pane in self._panes() if pane.listing.section is Section.RUNNING for row in pane.rows)
        return [row.subject for row in rows if isinstance(row.subject, Job)]

    def _panes(self) -> list[Pane]:
        lists = listings(self._snapshot, self._tails, self._view.order, self._view.wanted)
        return panes(self._view, lists, self._screen.size.height)

    def _draw(self) -> None:
        try:
            size = self._screen.size
            picture = draw(self._view, self._snapshot, self._panes(), job=self._job, tails=self._tails, size=size)
            self._screen.show(picture)
        except OSError:
            self._end(SIGNALLED + signal.SIGHUP)

    async def _answer(self, request: Request) -> None:
        """Do what was asked for, and say what came of it."""
        try:
            match request:
                case Quit():
                    self._end(ExitCode.DONE)
                    return
                case Act(action, job_id):
                    async with self._invocation.store() as store:
                        await store.apply(action, [job_id])
                    note = f"{action} {job_id}: done"
                case SetPaused(queue, paused):
                    async with self._invocation.store() as store:
                        await store.set_queue(queue, {"paused": paused})
                    note = f"queue {queue} is {'paused' if paused else 'resumed'}"
        except QueuectlError as refused:
            note = str(refused)
        self._view = replace(self._view, note=note)

    def _end(self, code: int) -> None:
        """Let the sitting end with this exit code, whatever is being waited for."""
        self._code = code
        self._sitting.cancel()

    # ── Keys and signals ─────────────────────────────────────────────────────

    @contextmanager
    def _keyboard(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._screen.keyboard, self._read_keys)
        try:
            yield
        finally:
            loop.remove_reader(self._screen.keyboard)

    def _read_keys(self) -> None:
        try:
            data = os.read(self._screen.keyboard, 1_024)
        except OSError:
            data = b""
        if not data:
            # Nobody will ever press a key again.
            self._end(SIGNALLED + signal.SIGHUP)
            return
        self._take(self._decoder.feed(data))
        if self._decoder.is_waiting:
            asyncio.get_running_loop().call_later(_ESCAPE, lambda: self._take(self._decoder.flush()))

    def _take(self, keys: Iterator[str]) -> None:
        self._keys += keys
        self._wake.set()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _DEADLY:
            loop.add_signal_handler(number, self._end, SIGNALLED + number)
        loop.add_signal_handler(signal.SIGWINCH, self._wake.set)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        try:
            yield
        finally:
            for number in (*_DEADLY, signal.SIGWINCH, signal.SIGTSTP):
                loop.remove_signal_handler(number)

    def _suspend(self) -> None:
        """Give the terminal to the shell, and take it again when that lets us go on."""
        self._screen.give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._screen.take()
        self._wake.set()
