"""Points in time as people write them: ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from queuectl.errors import InvalidTime, quote
from queuectl.new_job import YEARS

__all__ = ["format_time", "from_epoch_ms", "parse_time", "to_epoch_ms"]

_DATE = r"\d{4}(?:-?\d{2}-?\d{2}|-?W\d{2}(?:-?\d)?)"
_TIME = r"\d[\d:]*(?:[.,]\d+)?(?:Z|[+-][\d:.]+)?"
# Python's own parser takes any character between date and time, and so the offset of a bare date for its time.
_FORM = rf"{_DATE}(?:[Tt ]{_TIME})?"


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time; one without an offset is local time. The result is in UTC, to the millisecond.

    Raises:
        InvalidTime: the text is no such time, or lies outside the years 1970 to 9000.
    """
    try:
        moment = _read(text.strip())
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidTime(
            f"{quote(text)} is not a time: use ISO 8601, for example 2030-01-31T08:00, 2030-01-31T08:00:00Z"
            " or 2030-01-31T08:00+02:00"
        ) from error
    if moment.year not in YEARS:
        raise InvalidTime(f"{quote(text)} is out of range: use a time in the years {YEARS[0]} to {YEARS[-1]}")
    return from_epoch_ms(to_epoch_ms(moment))


def _read(text: str) -> datetime:
    if not re.fullmatch(_FORM, text, re.ASCII):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    # For a time that summer time leaves out, `astimezone` would give one before the gap: too early.
    return datetime.fromtimestamp(moment.replace(microsecond=0).timestamp(), UTC).replace(
        microsecond=moment.microsecond
    )


def format_time(moment: datetime) -> str:
    """Write a time as ISO 8601 in UTC with milliseconds: ``2030-01-31T08:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_epoch_ms(moment: datetime) -> int:
    """Give the whole milliseconds since 1970 in UTC, rounded down."""
    # Integer arithmetic: a float of seconds cannot hold every millisecond.
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


# Rows that are read together have most of their times in common.
@lru_cache(maxsize=256)
def from_epoch_ms(milliseconds: int) -> datetime:
    """Give the time in UTC that lies so many milliseconds after the start of 1970."""
    return _EPOCH + milliseconds * _MILLISECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
