"""The settings as they are in the store now."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from queuectl import events
from queuectl.errors import InvalidSetting, StoreError
from queuectl.settings import Settings

if TYPE_CHECKING:
    from queuectl.store.base import Store

__all__ = ["LiveSettings"]

_FRESH = 1.0
"""Seconds for which what was read is good enough."""


class LiveSettings:
    """Settings that follow the store while the engine runs; the engine's environment goes before it."""

    def __init__(self, store: Store, initial: Settings, emit: events.Listener) -> None:
        self._store = store
        self._settings = initial
        self._emit = emit
        self._read_at = -_FRESH
        self._refused = ""

    async def current(self) -> Settings:
        """Give the settings, at most a second old. Where they cannot be used or read, those from before stay."""
        if time.monotonic() - self._read_at >= _FRESH:
            self._read_at = time.monotonic()
            try:
                self._settings = Settings.resolve(await self._store.settings(), os.environ)
                self._refused = ""
            except InvalidSetting as error:
                self._refuse(str(error))
            except StoreError:
                # The writer is the one who says that the store is in trouble.
                pass
        return self._settings

    def _refuse(self, reason: str) -> None:
        if reason != self._refused:
            self._refused = reason
            self._emit(events.SettingsRefused(reason))
