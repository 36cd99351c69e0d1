"""How long to wait before the next attempt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from queuectl.new_job import Backoff

__all__ = ["Backoff", "RetryPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a job is tried again, and when it has been tried enough."""

    max_retries: int = 3
    """The number of attempts a job is given; 0 and 1 both mean one."""
    backoff: Backoff = Backoff.EXPONENTIAL
    base: float = 2.0
    """Seconds; at least 1."""
    cap: timedelta = timedelta(seconds=300)
    """No delay is longer."""
    jitter: float = 0.0
    """The share of the delay, 0 to 1, that chance may take off it."""
    retry_on: frozenset[int] | None = None
    """Exit codes worth another attempt; None for every one but 0."""
    no_retry_on: frozenset[int] = frozenset()
    """Exit codes that are final."""
    max_crashes: int | None = 5
    """How many engines in a row may die under a job; None for any number."""

    def is_worth_retrying(self, exit_code: int) -> bool:
        """Tell whether a command that ended with this exit code may be tried again."""
        return exit_code not in self.no_retry_on and (self.retry_on is None or exit_code in self.retry_on)

    def is_exhausted(self, attempts: int) -> bool:
        """Tell whether a job has had all its attempts."""
        return attempts >= self.max_retries

    def delay(self, attempts: int, *, chance: float = 0.0) -> timedelta:
        """Give the delay after so many attempts (from 1), never longer than the cap.

        `chance`, from 0 to below 1, says how much of the jitter's share is taken off. Without jitter the delay
        never shrinks as attempts grow.
        """
        seconds = min(self._uncapped(attempts), self.cap.total_seconds())
        return timedelta(seconds=seconds * (1 - self.jitter * chance))

    def _uncapped(self, attempts: int) -> float:
        try:
            match self.backoff:
                case Backoff.FIXED:
                    return self.base
                case Backoff.LINEAR:
                    return self.base * attempts
                case Backoff.EXPONENTIAL:
                    # As a float: a large integer's power would be computed to its last digit.
                    return float(self.base) ** attempts
        except OverflowError:
            return math.inf
