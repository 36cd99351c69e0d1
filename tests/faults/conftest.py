"""The faults meet engines, so they start from what the tests of the engine start from."""

from __future__ import annotations

from tests.engine.conftest import clock, folder, gate, log, path, store, timed_store

__all__ = ["clock", "folder", "gate", "log", "path", "store", "timed_store"]
