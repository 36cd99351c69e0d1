from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.errors import InvalidJob
from queuectl.job import FINAL_STATES, Claim, Condition, Dependency, JobState, NewJob, OnConflict
from queuectl.new_job import MAX_JOB_BYTES
from tests.unit.strategies import CODE_SETS, DURATIONS, NAMES, NOW, TEXTS, TIMEOUTS, VARIABLES, WORDS, processing

COMMANDS = TEXTS.filter(str.strip) | st.tuples(WORDS) | st.tuples(WORDS, TEXTS, TEXTS)
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "id": st.none() | NAMES,
    "queue": NAMES,
    "priority": st.integers(-1_000_000, 1_000_000),
    "run_at": st.none() | st.datetimes(datetime(1970, 1, 1), datetime(9000, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - `timezones` adds one
    "timeout": st.none() | TIMEOUTS,
    "max_retries": st.none() | st.integers(0, 1000),
    "backoff": st.sampled_from([None, "exponential", "linear", "fixed"]),
    "backoff_base": st.none() | st.floats(1, allow_infinity=False) | st.integers(1, 10**6),
    "backoff_max": st.none() | DURATIONS,
    "backoff_jitter": st.none() | st.floats(0, 1),
    "retry_on": st.none() | CODE_SETS,
    "no_retry_on": CODE_SETS,
    "cwd": st.none() | TEXTS.map("/{}".format),
    "env": st.dictionaries(VARIABLES, TEXTS, max_size=4),
    "stdin": TEXTS,
    "unique": st.none() | WORDS,
    "concurrency_key": st.none() | WORDS,
    "concurrency_limit": st.integers(1, 1_000_000),
    "tags": st.lists(WORDS, max_size=4).map(tuple),
    "on_conflict": st.sampled_from(OnConflict),
}

NAME = "use 1 to 128 of the characters A-Z a-z 0-9 . _ : -, the first a letter or digit"
NUL = "has a NUL byte: remove it, no process can be given one"
REFUSED: list[tuple[str, Any, str]] = [
    ("unique", "", "unique is '': use a string of at least one character"),
    ("concurrency_key", "", "concurrency_key is '': use a string of at least one character"),
    ("concurrency_limit", 0, "concurrency_limit is 0: use an integer from 1 to 1000000"),
    ("after", (Dependency("a b"),), "an id in after is 'a b': " + NAME),
    ("after", (Dependency("a"), Dependency("a", Condition.ANY)), "after has a twice: keep one"),
    ("unique", "a\0", "unique " + NUL),
    ("command", "", "command is empty: give a shell command, or a program and its arguments"),
    ("command", " \t\n", "command is empty"),
    ("command", (), "command is empty"),
    ("command", ("", "a"), "command is empty"),
    ("command", "echo \0", f"command {NUL}"),
    ("command", ("echo", "a\0b"), f"command {NUL}"),
    ("command", "echo \ud800", "command has a lone surrogate (U+D800): use valid Unicode"),
    ("id", "", f"id is '': {NAME}"),
    ("id", "a b", f"id is 'a b': {NAME}"),
    ("id", "-a", f"id is '-a': {NAME}"),
    ("id", "é", f"id is 'é': {NAME}"),
    ("id", "a\n", f"id is 'a\\n': {NAME}"),
    ("id", "a" * 129, f"id is '{'a' * 60}…': {NAME}"),
    ("queue", "", f"queue is '': {NAME}"),
    ("queue", "a/b", f"queue is 'a/b': {NAME}"),
    ("priority", 1_000_001, "priority is 1000001: use an integer from -1000000 to 1000000"),
    ("priority", -1_000_001, "priority is -1000001: use an integer from -1000000 to 1000000"),
    ("priority", 10**5000, "priority is a number with too many digits: use an integer from"),
    ("priority", 1.5, "priority is 1.5: use an integer from"),
    ("priority", True, "priority is True: use an integer from"),
    ("run_at", datetime(2030, 1, 1), "run_at is 2030-01-01 00:00:00: use a time with a time zone, in the years"),  # noqa: DTZ001 - what is refused
    ("run_at", datetime.max.replace(tzinfo=UTC), "use a time with a time zone, in the years 1970 to 9000"),
    ("run_at", datetime.min.replace(tzinfo=UTC), "use a time with a time zone, in the years 1970 to 9000"),
    ("timeout", timedelta(0), "timeout is 0s: use 1ms to 36525d"),
    ("timeout", timedelta(microseconds=999), "timeout is 0.000999s: use 1ms to 36525d"),
    ("timeout", timedelta.max, "use 1ms to 36525d"),
    ("timeout", 5, "timeout is 5: use 1ms to 36525d"),
    ("max_retries", -1, "max_retries is -1: use an integer from 0 to 1000"),
    ("max_retries", 1001, "max_retries is 1001: use an integer from 0 to 1000"),
    ("max_retries", False, "max_retries is False: use an integer from 0 to 1000"),
    ("backoff", "quadratic", "backoff is 'quadratic': use exponential, linear, fixed"),
    ("backoff_base", 0.99, "backoff_base is 0.99: use a number of at least 1"),
    ("backoff_base", float("nan"), "backoff_base is nan: use a number of at least 1"),
    ("backoff_base", float("inf"), "backoff_base is inf: use a number of at least 1"),
    ("backoff_base", 10**400, "use a number of at least 1"),
    ("backoff_max", timedelta(microseconds=-1), "use 0s to 36525d"),
    ("backoff_max", timedelta.max, "use 0s to 36525d"),
    ("backoff_jitter", -0.1, "backoff_jitter is -0.1: use a number from 0 to 1"),
    ("backoff_jitter", 1.1, "backoff_jitter is 1.1: use a number from 0 to 1"),
    ("backoff_jitter", float("nan"), "backoff_jitter is nan: use a number from 0 to 1"),
    ("retry_on", frozenset({256}), "an exit code in retry_on is 256: use exit codes from 0 to 255"),
    ("no_retry_on", frozenset({-1}), "an exit code in no_retry_on is -1: use exit codes from 0 to 255"),
    ("cwd", "", "cwd is '': use an absolute path"),
    ("cwd", "here", "cwd is 'here': use an absolute path"),
    ("cwd", "/a\0", f"cwd {NUL}"),
    ("env", {"": "a"}, "env has the name '': use names that are not empty and have no '='"),
    ("env", {"a=b": "c"}, "env has the name 'a=b': use names that are not empty and have no '='"),
    ("env", {"QUEUECTL_RUN": "1"}, "env has 'QUEUECTL_RUN': names that begin with QUEUECTL_ are queuectl's own"),
    ("env", {"a\0": "b"}, f"env {NUL}"),
    ("env", {"a": "b\0"}, f"env {NUL}"),
    ("env", {"a": "\udfff"}, "env has a lone surrogate (U+DFFF): use valid Unicode"),
    ("stdin", "a\0", f"stdin {NUL}"),
    ("stdin", "\udcff", "stdin has a lone surrogate (U+DCFF): use valid Unicode"),
    ("tags", ("a", ""), "a tag in tags is '': use a string of at least one character"),
    ("tags", ("a\0",), f"tags {NUL}"),
    ("on_conflict", "ignore", "on_conflict is 'ignore': use OnConflict.REFUSE or OnConflict.IGNORE"),
]


@given(st.fixed_dictionaries({"command": COMMANDS}, optional=OPTIONAL))
def test_a_job_is_what_it_was_made_of(keys: dict[str, Any]) -> None:
    job = NewJob(**keys)
    assert {key: getattr(job, key) for key in keys} == keys


def test_a_job_needs_nothing_but_a_command() -> None:
    job = NewJob("true")
    assert (job.id, job.queue, job.priority, job.run_at) == (None, "default", 0, None)
    assert (job.timeout, job.max_retries, job.backoff, job.backoff_base) == (None, None, None, None)
    assert (job.retry_on, job.no_retry_on) == (None, frozenset())
    assert (job.cwd, job.env, job.stdin, job.tags) == (None, {}, "", ())
    assert job.on_conflict is OnConflict.REFUSE


@pytest.mark.parametrize(("key", "value", "words"), REFUSED, ids=[f"{key} {words[-30:]}" for key, _, words in REFUSED])
def test_what_cannot_be_stored_is_refused_with_what_is_allowed(key: str, value: object, words: str) -> None:
    keys: dict[str, Any] = {"command": "true", key: value}
    with pytest.raises(InvalidJob) as refusal:
        NewJob(**keys)
    assert words in str(refusal.value)
    assert key in str(refusal.value)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("name", ["a", "A" * 128, "0", "job-1", "a.b_c:d", "9:"])
def test_an_id_and_a_queue_have_the_same_characters(name: str) -> None:
    assert NewJob("true", id=name, queue=name).id == name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("command", "\N{SNOWMAN} "),
        ("command", (" ",)),
        ("command", ("a", "", "\n")),
        ("run_at", datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=-11)))),
        ("timeout", timedelta(milliseconds=1)),
        ("timeout", timedelta(days=36_525)),
        ("backoff_base", 1),
        ("backoff_max", timedelta(0)),
        ("retry_on", frozenset()),
        ("retry_on", frozenset({0, 255})),
        ("env", {"queuectl_x": "", "A": "QUEUECTL_"}),
        ("cwd", "/"),
    ],
)
def test_values_at_the_edge_are_accepted(key: str, value: object) -> None:
    keys: dict[str, Any] = {"command": "true", key: value}
    assert getattr(NewJob(**keys), key) == value


@pytest.mark.parametrize(
    "texts",
    [
        {"command": "x" * (MAX_JOB_BYTES + 1)},
        {"command": ("echo", "x" * MAX_JOB_BYTES)},
        {"stdin": "é" * (MAX_JOB_BYTES // 2)},
        {"stdin": "x" * (MAX_JOB_BYTES // 2), "env": {"A": "x" * (MAX_JOB_BYTES // 2)}},
        {"tags": ("x" * MAX_JOB_BYTES,)},
        {"cwd": "/" + "x" * MAX_JOB_BYTES},
    ],
    ids=["command", "arguments", "bytes", "together", "tags", "cwd"],
)
def test_a_job_larger_than_1_mib_is_refused(texts: dict[str, Any]) -> None:
    with pytest.raises(InvalidJob, match=r"^the job has \d+ bytes of text: at most 1048576 \(1 MiB\) are allowed$"):
        NewJob(**{"command": "true", **texts})


def test_a_job_of_just_1_mib_is_accepted() -> None:
    job = NewJob("cat", stdin="x" * (MAX_JOB_BYTES - len("cat")))
    assert len(job.stdin) == MAX_JOB_BYTES - 3


def test_no_message_shows_the_value_of_a_variable() -> None:
    for name in ("QUEUECTL_TOKEN", "", "A=B"):
        with pytest.raises(InvalidJob) as refusal:
            NewJob("true", env={name: "hunter2"})
        assert "hunter2" not in str(refusal.value)


def test_a_job_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        NewJob("true").priority = 1  # type: ignore[misc] # what must fail


def test_final_are_completed_dead_and_cancelled() -> None:
    assert set(FINAL_STATES) == {"completed", "dead", "cancelled"}
    assert {state.value for state in JobState} - set(FINAL_STATES) == {"pending", "blocked", "processing", "failed"}


def test_a_claim_names_job_engine_and_token() -> None:
    job = processing()
    assert job.claim == Claim("job1", "engine1", 1)
    assert replace(job, engine_id=None, claim_token=0).claim == Claim("job1", "", 0)
    assert job.created_at == NOW


def test_a_job_cannot_come_after_itself() -> None:
    with pytest.raises(InvalidJob, match="a job cannot wait for itself"):
        NewJob("true", id="a", after=(Dependency("a"),))
