"""Whether anybody of a process group is still alive. Zombies are not: they only wait for whoever inherited them."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_group_gone", "is_over"]


def is_group_gone(group: int) -> bool:
    """Tell whether no process of that group lives. Where that cannot be seen, it is not gone."""
    try:
        os.killpg(group, 0)
        return all(map(is_over, _members(group)))
    except ProcessLookupError:
        return True
    except OSError:
        return False


def is_over(process: psutil.Process) -> bool:
    """Tell whether that very process has ended, even where another has its id by now."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _members(group: int) -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(pid) == group:
                yield psutil.Process(pid)
