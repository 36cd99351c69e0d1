"""Queues that do not simply run: paused ones, and those with a limit or a rate."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

from queuectl.errors import InvalidQueue, quote
from queuectl.new_job import MAX_CONCURRENCY, is_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Bucket", "QueueChanges", "QueueRules", "format_rate", "parse_rate"]

_MIN_RATE, _MAX_RATE = 1e-9, 1_000_000
"""Starts in a second. With less, the next one would be due when no calendar reaches any more."""
_UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_RATE = re.compile(r"(?P<starts>\d+(?:\.\d+)?)(?:/(?P<unit>[smhd]))?", re.ASCII)
_CLOSE = 1e-9
"""What is missing to a whole token after so many sums of fractions."""


@dataclass(frozen=True, slots=True)
class QueueRules:
    """What is set for a queue."""

    queue: str
    paused: bool = False
    """Whether nothing of it is started."""
    concurrency: int | None = None
    """How many of its jobs may be processing at once, over all engines; None for no limit."""
    rate: float | None = None
    """How many of its jobs may be started in a second, retries too, over all engines; None for no limit."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InvalidQueue: one cannot be; the message says what is allowed.
        """
        if not is_name(self.queue):
            raise InvalidQueue(
                f"the queue is {quote(self.queue)}: use 1 to 128 of the characters A-Z a-z 0-9 . _ : -, the first a "
                "letter or digit"
            )
        if self.concurrency is not None and not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise InvalidQueue(
                f"concurrency is {self.concurrency}: use an integer from 1 to {MAX_CONCURRENCY}; "
                "a queue that is to start nothing is paused"
            )
        if self.rate is not None and not _MIN_RATE <= self.rate <= _MAX_RATE:
            raise InvalidQueue(f"the rate is {self.rate:g}/s: use at least {_MIN_RATE:g}/s and at most {_MAX_RATE}/s")

    @property
    def is_limited(self) -> bool:
        """Whether it has to be looked at what of it may be started."""
        return self.concurrency is not None or self.rate is not None

    def new_bucket(self, former_rate: float | None, bucket: Bucket | None, now: datetime) -> Bucket | None:
        """Give the bucket for these rules in place of one of a former rate: a full one where there was none."""
        if self.rate is None:
            return None
        full = Bucket.full(self.rate, now)
        if former_rate is None or bucket is None:
            return full
        # Else setting a rate again and again would let any number start.
        return Bucket(min(bucket.refill(former_rate, now).tokens, full.tokens), now)


class QueueChanges(TypedDict, total=False):
    """New values for some of a queue's rules; what is left out stays."""

    paused: bool
    concurrency: int | None
    rate: float | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """The tokens of a queue with a rate: each start takes one, and they come back steadily."""

    tokens: float
    refilled_at: datetime
    """When it held so many."""

    @classmethod
    def full(cls, rate: float, now: datetime) -> Bucket:
        """Make one that holds a second's worth, at least one."""
        return cls(max(1.0, rate), now)

    def refill(self, rate: float, now: datetime) -> Bucket:
        """Give it as it is now. Where the clock went back, it holds what it held, and goes on from there."""
        passed = max((now - self.refilled_at).total_seconds(), 0.0)
        return Bucket(min(max(1.0, rate), self.tokens + rate * passed), now)

    def take(self) -> Bucket:
        """Give it with a token less."""
        return Bucket(self.tokens - 1, self.refilled_at)

    def give_back(self) -> Bucket:
        """Give it with the token that a start took which did not happen."""
        return Bucket(self.tokens + 1, self.refilled_at)

    @property
    def whole(self) -> int:
        """How many starts it allows."""
        return max(math.floor(self.tokens + _CLOSE), 0)

    def next_token(self, rate: float) -> datetime:
        """Tell when one that allows no start will allow one, rounded up to the millisecond."""
        missing = math.ceil(1_000 * (1 - self.tokens) / rate - _CLOSE)
        return self.refilled_at + timedelta(milliseconds=max(missing, 0))


def parse_rate(text: str) -> float:
    """Read a rate, ``10/s``, ``5/m``, ``100/h``, ``1/d``, as starts in a second.

    Raises:
        InvalidQueue: it has another form.
    """
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise InvalidQueue(f"{quote(text)} is no rate: use for example 10/s, 30/m, 100/h")
    return float(match["starts"]) / _UNITS[match["unit"] or "s"]


def format_rate(rate: float) -> str:
    """Write a rate in the first unit of which it is a whole number, else in starts a second."""
    for unit, seconds in _UNITS.items():
        starts = round(rate * seconds, 6)
        if starts >= 1 and starts == int(starts):
            return f"{int(starts)}/{unit}"
    return f"{rate:g}/s"
