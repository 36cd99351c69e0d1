"""How a store is opened, whatever its kind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from queuectl.errors import InvalidSetting
from queuectl.settings import SETTINGS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from queuectl.errors import StoreError

__all__ = ["StoreOptions", "stored_busy_timeout", "tell_nobody"]


def tell_nobody(_: object) -> None:
    """Keep the store's troubles from everyone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """What `open_store` was asked for; its docstring says what each one means."""

    read_only: bool = False
    busy_timeout: timedelta | None = None
    patient: bool = False
    check_owner: bool = False
    on_wait: Callable[[StoreError | None], None] = tell_nobody
    on_growth: Callable[[int | None], None] = tell_nobody
    clock: Callable[[], datetime] | None = None


def stored_busy_timeout(stored: Mapping[str, str]) -> timedelta:
    """Give how long a command waits for others, from the stored settings.

    What cannot be used must not keep anyone from mending it: then the default holds.
    """
    with suppress(InvalidSetting):
        if text := stored.get("busy_timeout"):
            timeout: timedelta = SETTINGS["busy_timeout"].parse(text)
            return timeout
    return Settings().busy_timeout
