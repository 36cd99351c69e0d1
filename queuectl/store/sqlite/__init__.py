"""The backend on one SQLite file.

Its modules can be used as attributes of this package; each is loaded then, and not before: a command that stores a
job has no use for what an engine asks of a store, and is to start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from queuectl.store.sqlite import sql

if TYPE_CHECKING:
    from types import ModuleType

    from queuectl.store.sqlite import (
        actions,
        backup,
        check,
        claims,
        copying,
        dependencies,
        engines,
        enqueue,
        figures,
        jobs,
        keys,
        listener,
        queues,
        situation,
        upgrade,
        version,
    )

__all__ = [
    "actions",
    "backup",
    "check",
    "claims",
    "copying",
    "dependencies",
    "engines",
    "enqueue",
    "figures",
    "jobs",
    "keys",
    "listener",
    "queues",
    "situation",
    "upgrade",
    "version",
]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def load_all() -> None:
    """Load every module now, for one that stays: later it may have no descriptor left to read one with."""
    for name in (*__all__, *(f"sql.{subject}" for subject in sql.__all__)):
        import_module(f"{__name__}.{name}")
