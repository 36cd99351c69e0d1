"""What single columns of the SQLite store hold."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["milliseconds", "to_json"]


def milliseconds(duration: timedelta | None) -> int | None:
    """Give whole milliseconds, rounded."""
    return None if duration is None else round(duration / timedelta(milliseconds=1))


def to_json(value: object) -> str:
    """Write JSON as the store keeps it."""
    import json  # noqa: PLC0415 - most new jobs have nothing that is kept so, and a command is to start fast

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
