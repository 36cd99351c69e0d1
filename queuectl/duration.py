"""Durations as people write them: ``90``, ``500ms``, ``2h30m``, ``1d``."""

from __future__ import annotations

import re
from datetime import timedelta

from queuectl.errors import InvalidDuration, quote
from queuectl.new_job import MAX_DURATION

__all__ = ["MAX_DURATION", "format_duration", "parse_duration"]

_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_PARTS = r"(?=.)(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?(?:(?P<ms>\d+)ms)?"
_ALLOWED = "a number of seconds, or for example 500ms, 90s, 10m, 2h30m, 1d"


def parse_duration(text: str | float) -> timedelta:
    """Read a duration: a number of seconds, or whole days, hours, minutes, seconds and milliseconds in that order.

    The result is rounded to whole milliseconds and lies between 0 and `MAX_DURATION`.

    Raises:
        InvalidDuration: the text has another form, is negative or too long.
    """
    milliseconds = _milliseconds(text)
    if milliseconds is None:
        raise InvalidDuration(f"{quote(text)} is not a duration: use {_ALLOWED}")
    # A float is compared before it becomes a timedelta, which overflows.
    if milliseconds > MAX_DURATION / timedelta(milliseconds=1):
        raise InvalidDuration(f"{quote(text)} is too long a duration: at most {MAX_DURATION.days}d")
    return timedelta(milliseconds=round(milliseconds))


def _milliseconds(text: str | float) -> float | None:
    if isinstance(text, (int, float)):
        return text * 1_000 if text >= 0 else None
    text = text.strip()
    if re.fullmatch(_NUMBER, text, re.ASCII):
        return float(text) * 1_000
    if match := re.fullmatch(_PARTS, text, re.ASCII):
        return sum(float(value) * _UNITS_MS[unit] for unit, value in match.groupdict().items() if value)
    return None


def format_duration(duration: timedelta) -> str:
    """Write a duration so that `parse_duration` gives it back: ``2h30m``, ``1s500ms``, ``0s``.

    Fractions of a millisecond are rounded.
    """
    rest = round(duration / timedelta(milliseconds=1))
    parts = []
    for unit, size in _UNITS_MS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
