"""Every statement of the SQLite store, by subject and name: ``sql.claims.HEADS``.

A subject is loaded when it is asked for, as the modules beside this package are, and for the same reason.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from queuectl.store.sqlite.sql import (
        actions,
        check,
        claims,
        copying,
        dependencies,
        ends,
        engines,
        enqueue,
        figures,
        jobs,
        keys,
        queues,
        runs,
        settings,
        situation,
        waiting,
    )

__all__ = [
    "actions",
    "check",
    "claims",
    "copying",
    "dependencies",
    "ends",
    "engines",
    "enqueue",
    "figures",
    "jobs",
    "keys",
    "queues",
    "runs",
    "settings",
    "situation",
    "waiting",
]

AT_ONCE = 32
"""Rows of VALUES in one statement: few enough texts of all such statements that SQLite parses each of them once."""


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
