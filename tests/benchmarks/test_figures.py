"""What figures are made of: spreads, goals, slopes, and what is counted from samples and runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.figures import Figure, Row, at_least, at_most, growth
from benchmarks.many import max_at_once
from benchmarks.tables import line
from benchmarks.watch import Sample, lateness
from queuectl import Run

START = datetime(2030, 1, 1, tzinfo=UTC)


def run(began: float, ended: float, *, claimed: float = 0.0) -> Run:
    return Run(
        job_id="job1",
        run=1,
        attempt=1,
        engine_id="engine",
        worker=0,
        outcome="exited",
        exit_code=0,
        signal=None,
        error=None,
        started_at=START + timedelta(seconds=claimed),
        finished_at=START + timedelta(seconds=ended),
        duration=timedelta(seconds=ended - began),
    )


def beats(*counts: int | None) -> list[Sample]:
    """Make one sample a second."""
    return [Sample(second, 0, 0, 0, count) for second, count in enumerate(counts)]


def test_a_figure_keeps_its_spread() -> None:
    assert Figure.median([3, 1, 2]) == Figure(2, 1, 3, 3)
    assert Figure.highest([3, 1, 2]) == Figure(3, 1, 3, 3)
    assert Figure.lowest([3, 1, 2]) == Figure(1, 1, 3, 3)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_one_of_the_samples(share: float, value: int) -> None:
    assert Figure.percentile(range(1, 101), share) == Figure(value, 1, 100, 100)


def test_goals_look_one_way() -> None:
    assert [at_least(2).is_met_by(value) for value in (1, 2, 3)] == [False, True, True]
    assert [at_most(2).is_met_by(value) for value in (1, 2, 3)] == [True, True, False]


def test_growth_is_that_of_the_second_half() -> None:
    filling = [(0, 0.0), (1, 50.0), (2, 90.0)]
    assert growth([*filling, (3, 100), (4, 101), (5, 102), (6, 103)]) == pytest.approx(3)
    assert growth([*filling, (3, 100), (4, 100), (5, 100)]) == 0
    assert growth([(0, 5.0)]) == 0


def test_a_heartbeat_is_late_by_what_its_counter_stood_still_too_long() -> None:
    assert lateness(beats(0, 1, 2, 3), 1) == [(1, 0), (2, 0), (3, 0), (3, 0)]
    assert lateness(beats(0, 1, 1, 1, 2, 2), 1) == [(1, 0), (4, 2), (5, 0)]


def test_a_heartbeat_that_never_comes_is_late_as_well() -> None:
    assert lateness(beats(0, 1, 1, 1), 1) == [(1, 0), (3, 1)]
    assert lateness(beats(None, 0, 0, 0, 0, None), 1) == [(4, 2)]
    assert lateness(beats(None, None), 1) == []


def test_runs_count_as_one_from_their_start_to_their_end() -> None:
    assert max_at_once([run(0, 5), run(1, 4), run(2, 3)]) == 3
    assert max_at_once([run(0, 1), run(1, 2), run(2, 3)]) == 1


def test_a_claim_is_not_yet_a_start() -> None:
    assert max_at_once([run(0, 1), run(2, 3, claimed=0)]) == 1


def test_a_line_says_what_ran_how_often_and_how_far_it_lay_apart() -> None:
    row = Row(
        benchmark="drain",
        ran="20 jobs",
        figure=Figure(0.456, 0.4, 1234.5, 3),
        unit="of xargs",
        goal=at_least(0.9),
        note="beside it",
    )
    assert line(row) == "| drain | 20 jobs | 0.46 of xargs | 0.40 to 1,234 | 3 | ≥ 0.90 | **no** | beside it |"
