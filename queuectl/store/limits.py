"""What the rules of queues and the keys of jobs leave room for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from queuectl.queue_rules import Bucket, QueueRules

__all__ = ["OpenQueue", "open_queue"]


@dataclass(slots=True)
class OpenQueue:
    """A queue that has something ready and is not paused, and how much of it may start."""

    name: str
    room: int | None
    """How many more may be processing; None for any number."""
    rate: float | None
    bucket: Bucket | None
    """As it is now; None without a rate."""
    is_rewound: bool
    """Whether the clock has gone back since a token was taken, so that a claim has to set the bucket right."""

    @property
    def is_limited(self) -> bool:
        """Whether it has a limit of its own."""
        return self.room is not None or self.rate is not None

    def most(self, wanted: int) -> int:
        """Give how many of so many may start now."""
        bounds = (wanted, self.room, None if self.bucket is None else self.bucket.whole)
        return min(bound for bound in bounds if bound is not None)

    def most_to_look_at(self, wanted: int) -> int:
        """Give how many of so many a claim has to look at now."""
        return max(self.most(wanted), min(wanted, self.is_rewound))

    def start_one(self) -> None:
        """Count a start."""
        self.room = None if self.room is None else self.room - 1
        self.bucket = None if self.bucket is None else self.bucket.take()

    def start_none(self) -> None:
        """Take back that a start was counted."""
        self.room = None if self.room is None else self.room + 1
        self.bucket = None if self.bucket is None else self.bucket.give_back()

    def next_token(self) -> datetime | None:
        """Tell when a token comes for which alone the queue waits; None where it waits for none."""
        if self.bucket is None or self.rate is None or self.bucket.whole or self.room == 0:
            return None
        return self.bucket.next_token(self.rate)


def open_queue(rules: QueueRules, bucket: Bucket | None, processing: int, now: datetime) -> OpenQueue:
    """Make one as it is now, from its rules, its bucket as it was kept, and how many of its jobs are processing."""
    return OpenQueue(
        name=rules.queue,
        room=None if rules.concurrency is None else max(rules.concurrency - processing, 0),
        rate=rules.rate,
        bucket=None if rules.rate is None or bucket is None else bucket.refill(rules.rate, now),
        is_rewound=bucket is not None and bucket.refilled_at > now,
    )
