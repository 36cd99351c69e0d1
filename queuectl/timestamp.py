"""Points in time as people write them: ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime

from queuectl.errors import InvalidTime

__all__ = ["format_time", "from_epoch_ms", "parse_time", "to_epoch_ms"]

_MIN_YEAR = 1970
_MAX_YEAR = 9000
"""Times near the end of the calendar overflow as soon as something is added to them."""


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time; one without an offset is local time. The result is in UTC, to the millisecond.

    Raises:
        InvalidTime: the text is no such time, or lies outside the years 1970 to 9000.
    """
    try:
        moment = datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidTime(
            f"{text!r} is not a time: use ISO 8601, for example 2030-01-31T08:00, 2030-01-31T08:00:00Z"
            " or 2030-01-31T08:00+02:00"
        ) from error
    if not _MIN_YEAR <= moment.year <= _MAX_YEAR:
        raise InvalidTime(f"{text!r} is out of range: use a time between the years {_MIN_YEAR} and {_MAX_YEAR}")
    return from_epoch_ms(to_epoch_ms(moment))


def format_time(moment: datetime) -> str:
    """Write a time as ISO 8601 in UTC with milliseconds: ``2030-01-31T08:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_epoch_ms(moment: datetime) -> int:
    """Give the whole milliseconds since 1970 in UTC, rounded down."""
    # Integer arithmetic: a float of seconds cannot hold every millisecond.
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


def from_epoch_ms(milliseconds: int) -> datetime:
    """Give the time in UTC that lies so many milliseconds after the start of 1970."""
    seconds, rest = divmod(milliseconds, 1_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1_000)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
