"""The log: every event has words, none of them quotes a command."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from datetime import timedelta
from typing import Any, get_args

import pytest

from queuectl import events, outcome
from queuectl.job import Claim, Job, JobState
from queuectl.telemetry.logs import Log
from tests.factories import START

JOB = Job(
    "echo hush",
    id="job1",
    state=JobState.PROCESSING,
    run_at=START,
    attempts=0,
    runs=2,
    crashes=0,
    created_at=START,
    updated_at=START,
    started_at=START,
    finished_at=None,
    engine_id="engine",
    worker=3,
    claim_token=1,
    pid=None,
    pid_start=None,
    exit_code=None,
    error=None,
    env={"KEY": "hush"},
    stdin="hush",
)
SECOND = timedelta(seconds=1)
EVENTS: list[tuple[events.Event, str, str]] = [
    (events.EngineStarted("e", 4, None), "info", "engine started"),
    (events.DrainStarted("SIGTERM", 2), "info", "draining: no new jobs, waiting for those that run"),
    (events.StopForced("SIGTERM", 2), "warning", "stopping the jobs that still run"),
    (events.EngineStopped("e", 0), "info", "engine stopped"),
    (events.EngineFenced("e"), "warning", "taken for dead by others; starting anew"),
    (events.EngineCutOff("e"), "warning", "cut off from the store; running jobs are killed before others take them"),
    (events.GuardianLost("it died"), "warning", "nobody guards the running jobs; starting another guardian"),
    (events.GuardianBack(), "warning", "a guardian watches over the running jobs again"),
    (events.GuardianStruck(2), "warning", "too long without a heartbeat; the guardian has killed what ran"),
    (events.JobClaimed(JOB), "debug", "job claimed"),
    (events.JobFinished(JOB, outcome.Exited(0), JobState.COMPLETED, SECOND), "info", "job completed"),
    (events.JobFinished(JOB, outcome.SpawnFailed("no hush", 127), JobState.DEAD, None), "warning", "job dead"),
    (events.LeaseLost(Claim("job1", "e", 1)), "warning", "job lost to another engine; its end is not recorded here"),
    (events.JobRescued(JOB, JobState.PENDING, "gone", 1), "warning", "job of a dead engine rescued"),
    (events.JobsPruned(7), "info", "old jobs deleted"),
    (events.NoProcessLeft("EAGAIN", SECOND), "warning", "no process could be started; slowing down"),
    (events.SettingsRefused("bad"), "warning", "stored settings refused; keeping the earlier ones"),
    (events.StoreWaiting("locked"), "warning", "the store cannot be used now; waiting"),
    (events.StoreRecovered(), "warning", "the store can be used again"),
    (events.WalGrown(1), "warning", "someone has been reading the store for long, and its log grows"),
    (events.WalEmptied(), "warning", "the store's log is in bounds again"),
]


@pytest.mark.parametrize(("event", "level", "words"), EVENTS)
def test_an_event_is_one_line(capsys: pytest.CaptureFixture[str], event: events.Event, level: str, words: str) -> None:
    Log(logging.DEBUG, colour=False)(event)
    written = capsys.readouterr().err
    line = json.loads(written)
    assert (line["level"], line["event"]) == (level, words)
    assert "hush" not in written


@pytest.mark.parametrize(("event", "level", "words"), EVENTS)
def test_a_line_below_the_level_is_not_written(
    capsys: pytest.CaptureFixture[str], event: events.Event, level: str, words: str
) -> None:
    names = ("debug", "info", "warning")
    for least in (logging.DEBUG, logging.INFO, logging.WARNING):
        Log(least, colour=False)(event)
        is_written = names.index(level) >= names.index(logging.getLevelName(least).lower())
        assert (words in capsys.readouterr().err) is is_written


def test_every_event_is_tried() -> None:
    assert {type(event) for event, _, _ in EVENTS} == set(get_args(events.Event))


@pytest.mark.parametrize(
    ("ended", "fields"),
    [
        (outcome.Exited(3), {"outcome": "exited", "exit_code": 3}),
        (outcome.Signalled(9), {"outcome": "signalled", "signal": 9}),
        (outcome.TimedOut(SECOND), {"outcome": "timed_out", "timeout": 1.0}),
        (outcome.Interrupted("drain"), {"outcome": "interrupted"}),
        (outcome.Cancelled(), {"outcome": "cancelled"}),
    ],
)
def test_an_outcome_is_told_in_figures(
    capsys: pytest.CaptureFixture[str], ended: outcome.Outcome, fields: dict[str, Any]
) -> None:
    Log(logging.INFO, colour=False)(events.JobFinished(JOB, ended, JobState.FAILED, SECOND))
    line = json.loads(capsys.readouterr().err)
    expected = {"job": "job1", "run": 2, "duration": 1.0, **fields}
    assert {key: line[key] for key in expected} == expected


def test_a_line_that_cannot_be_written_is_lost_and_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor
        nowhere = io.TextIOWrapper(pipe, write_through=True)
        monkeypatch.setattr(sys, "stderr", nowhere)
        Log(logging.INFO, colour=False)(events.JobsPruned(7))
        nowhere.detach()  # It would be flushed once more.
