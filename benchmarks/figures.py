"""Figures with their spread, the goals they are held against, and the rows that benchmarks give."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Figure", "Goal", "Row", "Sense", "at_least", "at_most", "growth"]


@dataclass(frozen=True, slots=True)
class Figure:
    """What came out of several measurements of the same."""

    value: float
    low: float
    high: float
    times: int
    """How many measurements there were."""

    @classmethod
    def median(cls, samples: Sequence[float]) -> Self:
        """Give the one in the middle."""
        return cls(statistics.median(samples), min(samples), max(samples), len(samples))

    @classmethod
    def percentile(cls, samples: Sequence[float], share: float) -> Self:
        """Give the smallest sample that is not exceeded by at least this share of all (0 to 1)."""
        place = max(math.ceil(share * len(samples)), 1) - 1
        return cls(sorted(samples)[place], min(samples), max(samples), len(samples))

    @classmethod
    def highest(cls, samples: Sequence[float]) -> Self:
        """Give the worst, where more is worse."""
        return cls(max(samples), min(samples), max(samples), len(samples))

    @classmethod
    def lowest(cls, samples: Sequence[float]) -> Self:
        """Give the worst, where less is worse."""
        return cls(min(samples), min(samples), max(samples), len(samples))


class Sense(StrEnum):
    """On which side of its bound a figure should lie."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure is to reach."""

    sense: Sense
    bound: float

    def is_met_by(self, value: float) -> bool:
        """Tell whether a figure is good enough."""
        return value >= self.bound if self.sense is Sense.AT_LEAST else value <= self.bound


def at_least(bound: float) -> Goal:
    """Make a goal of what should be large."""
    return Goal(Sense.AT_LEAST, bound)


def at_most(bound: float) -> Goal:
    """Make a goal of what should be small."""
    return Goal(Sense.AT_MOST, bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a benchmark's result."""

    benchmark: str
    ran: str
    """What was run, in words."""
    figure: Figure
    unit: str
    """As it stands behind the figure: ``jobs/s``, ``ms``, ``of xargs``."""
    goal: Goal | None = None
    note: str = ""
    """Figures beside the figure, in words."""
    case: Mapping[str, Any] = field(default_factory=dict)
    """The same for programs, the plot among them."""

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        return None if self.goal is None else self.goal.is_met_by(self.figure.value)


def growth(points: Sequence[tuple[float, float]]) -> float:
    """Give by how much a quantity rises over its second half, along the straight line that fits it best.

    The first half is left out: there a process still fills its caches. `points` are (time, quantity), in order; the
    answer is in the quantity's unit, negative where it falls.
    """
    settled = points[len(points) // 2 :]
    times = [time for time, _ in settled]
    if times[0] == times[-1]:
        return 0.0
    slope, _ = statistics.linear_regression(times, [quantity for _, quantity in settled])
    return slope * (times[-1] - times[0])
