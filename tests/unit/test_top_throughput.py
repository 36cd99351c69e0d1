"""How many jobs became final lately."""

from __future__ import annotations

import pytest

from queuectl.cli.top.throughput import PARTS, Throughput, sparkline


def looked_at(*looks: tuple[float, int]) -> Throughput:
    throughput = Throughput()
    for time, final in looks:
        throughput.add(time, final)
    return throughput


def test_one_look_says_nothing() -> None:
    throughput = looked_at((100.0, 5000))
    assert (throughput.rates(), throughput.rate()) == ((), 0.0)


def test_what_came_between_looks_came_steadily() -> None:
    throughput = looked_at((0.0, 0), (60.0, 120))
    assert throughput.rates() == pytest.approx([2.0] * PARTS)
    assert throughput.rate() == pytest.approx(2.0)


def test_what_is_not_yet_seen_is_not_averaged_in() -> None:
    throughput = looked_at((0.0, 10), (3.0, 40))
    assert throughput.rates() == pytest.approx([0.0] * (PARTS - 1) + [10.0])
    assert throughput.rate() == pytest.approx(10.0)


def test_deleted_jobs_take_nothing_back() -> None:
    throughput = looked_at((0.0, 100), (30.0, 40), (60.0, 100))
    assert throughput.rates() == pytest.approx([0.0] * (PARTS // 2) + [2.0] * (PARTS // 2))


def test_only_the_last_minute_counts() -> None:
    throughput = looked_at((0.0, 0), (10.0, 1000), (100.0, 1000), (160.0, 1060))
    assert throughput.rate() == pytest.approx(1.0)


def test_the_highest_bar_is_the_highest_rate() -> None:
    assert sparkline((0.0, 2.0, 4.0)) == "▁▅█"
    assert sparkline((0.0, 0.0)) == "▁▁"
    assert not sparkline(())
