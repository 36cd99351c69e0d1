"""What hypothesis makes the values of these tests from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from queuectl.job import Job, JobState
from queuectl.outcome import Cancelled, EngineDied, Exited, Interrupted, Signalled, SpawnFailed, TimedOut
from queuectl.retry import Backoff, RetryPolicy

NOW = datetime(2030, 1, 31, 8, tzinfo=UTC)
LONGEST_MS = 36_525 * 86_400_000
"""A hundred years."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
WORDS = TEXTS.filter(bool)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True)
VARIABLES = WORDS.filter(lambda name: "=" not in name and not name.startswith("QUEUECTL_"))
EXIT_CODES = st.integers(0, 255)
CODE_SETS = st.frozensets(EXIT_CODES, max_size=6)
DURATIONS = st.integers(0, LONGEST_MS).map(lambda milliseconds: timedelta(milliseconds=milliseconds))
TIMEOUTS = DURATIONS.filter(bool)
CHANCES = st.floats(0, 1, exclude_max=True)

OWN_FAILURES = (
    st.builds(Exited, st.integers(1, 255))
    | st.builds(Signalled, st.integers(1, 64))
    | st.builds(TimedOut, TIMEOUTS)
    | st.builds(SpawnFailed, WORDS, st.sampled_from([126, 127]))
)
"""Executions that ended by themselves, without success."""
OWN_ENDS = OWN_FAILURES | st.just(Exited(0))
CUT_SHORT = st.just(Cancelled()) | st.builds(Interrupted, WORDS) | st.builds(EngineDied, WORDS, st.booleans())
OUTCOMES = OWN_ENDS | CUT_SHORT

POLICIES = st.builds(
    RetryPolicy,
    max_retries=st.integers(0, 6) | st.integers(0, 1000),
    backoff=st.sampled_from(Backoff),
    base=st.floats(1, 10) | st.floats(1, 1e308) | st.integers(1, 10**9),
    cap=DURATIONS,
    jitter=st.floats(0, 1),
    retry_on=st.none() | CODE_SETS,
    no_retry_on=CODE_SETS,
    max_crashes=st.none() | st.integers(1, 6),
)


def processing(*, attempts: int = 0, crashes: int = 0) -> Job:
    """Make a job that is running, and has been tried and lost so often."""
    return Job(
        "true",
        id="job1",
        state=JobState.PROCESSING,
        run_at=NOW,
        attempts=attempts,
        runs=attempts + 1,
        crashes=crashes,
        created_at=NOW,
        updated_at=NOW,
        started_at=NOW,
        finished_at=None,
        engine_id="engine1",
        worker=0,
        claim_token=1,
        pid=None,
        pid_start=None,
        exit_code=None,
        error=None,
    )


PROCESSING = st.builds(processing, attempts=st.integers(0, 6) | st.integers(0, 1000), crashes=st.integers(0, 6))
