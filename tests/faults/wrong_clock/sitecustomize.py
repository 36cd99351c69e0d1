"""Loaded at its start by every interpreter that has this folder on its path: gives it a clock that is wrong.

By how many seconds stands in a file, which is read whenever the clock is.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path

_FILE = Path(os.environ["WRONG_CLOCK"])
_right_time, _RightDatetime = time.time, dt.datetime


def _wrong_by() -> float:
    return float(_FILE.read_text())


class _Kind(type):
    def __instancecheck__(cls, value: object) -> bool:
        # Most are made by others, who do not ask the clock.
        return isinstance(value, _RightDatetime)


class _WrongDatetime(dt.datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
        return _RightDatetime.now(tz) + dt.timedelta(seconds=_wrong_by())


time.time = lambda: _right_time() + _wrong_by()
dt.datetime = _WrongDatetime  # type: ignore[misc]
