"""A disk that keeps for sure only what was synced, and of the rest whatever chance will have."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.faults.watched import Create, Remove, Sync, Truncate, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.faults.watched import Change

__all__ = ["SECTOR", "Disk"]

SECTOR = 512
"""Bytes that are written whole or not at all."""


@dataclass(slots=True)
class _File:
    """A file's content as of the last sync, and what was done to it since, a sector at a time."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)

    def content(self, survives: Callable[[], bool]) -> bytes:
        content = bytearray(self.synced)
        for change in self.pending:
            if survives():
                _do(change, content)
        return bytes(content)

    def sync(self) -> None:
        self.synced = bytearray(self.content(lambda: True))
        self.pending.clear()


class Disk:
    """One folder of a disk, from empty on."""

    def __init__(self, folder: Path, *, deaf_to: str = "") -> None:
        """Keep `folder`; syncs of what is named so are passed over."""
        self._folder = folder
        self._deaf_to = deaf_to
        self._present: dict[str, _File] = {}
        self._synced: dict[str, _File] = {}
        self._pending: list[tuple[str, _File | None]] = []

    def take(self, change: Change) -> None:
        """Do what a program asks of it."""
        name = change.path.name
        match change:
            case Create() if name not in self._present:
                self._enter(name, _File())
            case Remove() if name in self._present:
                self._enter(name, None)
            case Write() | Truncate() if name in self._present:
                self._present[name].pending += _sectors(change)
            case Sync() if name == self._deaf_to:
                pass
            case Sync() if change.path == self._folder:
                self._synced = dict(self._present)
                self._pending.clear()
            case Sync() if name in self._present:
                self._present[name].sync()

    def _enter(self, name: str, file: _File | None) -> None:
        _put(self._present, name, file)
        self._pending.append((name, file))

    def after_power_cut(self, survives: Callable[[], bool]) -> Mapping[str, bytes]:
        """Give the files that are found when the power is back; `survives` is asked about each unsynced change."""
        found = dict(self._synced)
        for name, file in self._pending:
            if survives():
                _put(found, name, file)
        return {name: file.content(survives) for name, file in found.items()}


def _put(entries: dict[str, _File], name: str, file: _File | None) -> None:
    if file is None:
        entries.pop(name, None)
    else:
        entries[name] = file


def _sectors(change: Write | Truncate) -> list[Write | Truncate]:
    """Part a write where one sector ends and the next begins."""
    if isinstance(change, Truncate):
        return [change]
    start, end = change.offset, change.offset + len(change.data)
    bounds = [start, *range((start // SECTOR + 1) * SECTOR, end, SECTOR), end]
    return [Write(change.path, low, change.data[low - start : high - start]) for low, high in pairwise(bounds)]


def _do(change: Write | Truncate, content: bytearray) -> None:
    size = change.size if isinstance(change, Truncate) else change.offset + len(change.data)
    content.extend(bytes(max(size - len(content), 0)))
    if isinstance(change, Truncate):
        del content[size:]
    else:
        content[change.offset : size] = change.data
