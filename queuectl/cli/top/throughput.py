"""How many jobs became final lately, from how many there were at each look."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import pairwise

__all__ = ["PARTS", "SPAN", "Throughput", "sparkline"]

SPAN = 60.0
"""Seconds that are looked back."""
PARTS = 20

_BARS = "▁▂▃▄▅▆▇█"


class Throughput:
    """Remembers a minute of looks."""

    def __init__(self) -> None:
        """Start with none."""
        self._looks: deque[tuple[float, int]] = deque()
        self._final = 0
        self._ended = 0

    def add(self, time: float, final: int) -> None:
        """Take note of how many final jobs there are. Fewer than before were deleted: that says nothing of ends."""
        if self._looks:
            self._ended += max(final - self._final, 0)
        self._final = final
        self._looks.append((time, self._ended))
        # One look before the span stays: something has to stand at its beginning.
        while len(self._looks) > 1 and self._looks[1][0] <= time - SPAN:
            self._looks.popleft()

    def rates(self) -> tuple[float, ...]:
        """Give the jobs a second in each part of the span, the latest last; none before there are two looks."""
        if len(self._looks) <= 1:
            return ()
        now, part = self._looks[-1][0], SPAN / PARTS
        edges = [now - part * back for back in range(PARTS, -1, -1)]
        counts = [self._at(edge) for edge in edges]
        return tuple((later - earlier) / part for earlier, later in pairwise(counts))

    def rate(self) -> float:
        """Give the jobs a second over what was seen of the span."""
        if len(self._looks) <= 1:
            return 0.0
        last, count = self._looks[-1]
        begin = max(self._looks[0][0], last - SPAN)
        return (count - self._at(begin)) / (last - begin)

    def _at(self, time: float) -> float:
        """Give how many had become final at a time; between two looks, as if steadily."""
        after = bisect_right(self._looks, time, key=lambda look: look[0])
        if after in {0, len(self._looks)}:
            return self._looks[min(after, len(self._looks) - 1)][1]
        (begin, earlier), (end, later) = self._looks[after - 1], self._looks[after]
        return earlier + (later - earlier) * (time - begin) / (end - begin)


def sparkline(rates: tuple[float, ...]) -> str:
    """Draw rates as bars, the highest of them as high as a line."""
    top = max(rates, default=0.0)
    return "".join(_BARS[0 if top <= 0 else round(rate / top * (len(_BARS) - 1))] for rate in rates)
