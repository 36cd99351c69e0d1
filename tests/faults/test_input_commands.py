"""Command lines, environments and settings of any kind: done, or refused with exit 2 in a line, and nothing changed."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import queuectl
from queuectl.cli.command_line import run
from queuectl.settings import SETTINGS
from queuectl.store import open_store
from tests.factories import add, all_jobs
from tests.faults.hostile import ARGUMENTS, LINES
from tests.faults.scale import SCALE

LONGEST_LINE = 3_000
OPTIONS = (
    *("--id", "--queue", "--priority", "--run-at", "--run-after", "--delay", "--timeout", "--max-retries"),
    *("--max-attempts", "--backoff", "--backoff-base", "--backoff-max", "--backoff-jitter", "--retry-on"),
    *("--no-retry-on", "--cwd", "--env", "--stdin", "--tag", "--on-conflict"),
    *("--unique", "--after", "--concurrency-key", "--concurrency-limit"),
)
RULES = ("--concurrency", "--rate")
COMMANDS_ON_IDS = (
    *("show", "logs", "retry", "dlq show", "dlq retry", "worker stop"),
    *("cancel", "hold", "release", "delete", "edit --priority 1", "queue pause", "queue resume"),
)
FILTERS = ("--state", "--queue", "--tag", "--since", "--limit", "--sort", "-o")
KEYS = st.sampled_from([*SETTINGS, "max-retries", "MAX_RETRIES", "timeouts"]) | ARGUMENTS
REFUSED, NOT_FOUND, CONFLICT = 2, 3, 4


@dataclass(frozen=True)
class Answer:
    """What became of a command line."""

    code: int
    out: bytes
    err: str


@dataclass(frozen=True)
class Place:
    """A store for command lines."""

    path: Path

    def __call__(self, *args: str, stdin: bytes = b"", environ: dict[str, str] | None = None) -> Answer:
        """Run a command line in this process, as `main` does in its own."""
        streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace") for _ in range(2)]
        with (
            mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
            mock.patch.object(sys, "stdout", streams[0]),
            mock.patch.object(sys, "stderr", streams[1]),
            mock.patch.dict(os.environ, environ or {}),
        ):
            code = run(["--db", str(self.path), *args])
        out, err = (_written(stream) for stream in streams)
        return Answer(code, out, err.decode())

    def jobs(self) -> list[str]:
        async def read() -> list[str]:
            async with open_store(self.path, read_only=True) as store:
                return [job.id for job in await all_jobs(store)]

        return asyncio.run(read())


def _written(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("commands") / "jobs.db")

    async def fill() -> None:
        async with open_store(place.path) as store:
            await add(store, "first", "second")

    asyncio.run(fill())
    return place


def check(answer: Answer, *codes: int) -> None:
    """See that a command is done, or refused with one of these exit codes, in words."""
    assert answer.code in {0, *codes}, answer
    lines = answer.err.splitlines()
    if answer.code:
        assert lines[0].startswith("error: ")
        # Below a wrong usage stands where to read on.
        assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("Try 'queuectl "))
        assert not answer.out
    assert all(line.isprintable() and len(line) <= LONGEST_LINE for line in lines), lines


@settings(max_examples=25 * SCALE)
@given(st.lists(st.tuples(st.sampled_from(OPTIONS), ARGUMENTS), max_size=3), ARGUMENTS)
def test_options_of_a_job(place: Place, options: list[tuple[str, str]], word: str) -> None:
    before = place.jobs()
    answer = place("-q", "enqueue", *(f"{name}={value}" for name, value in options), "--", "echo", word)
    check(answer, REFUSED, NOT_FOUND, CONFLICT)
    new = [job for job in place.jobs() if job not in before]
    assert new == answer.out.decode().split() or (not new and "ignore" in dict(options).values())
    if new:
        shown: dict[str, Any] = json.loads(place("--json", "show", *new).out)
        assert shown["command"] == ["echo", word]
        assert shown["stdin"] == dict(options).get("--stdin", "")


@settings(max_examples=10 * SCALE)
@given(ARGUMENTS)
def test_a_single_word(place: Place, word: str) -> None:
    check(place("-q", "enqueue", "--command", word), REFUSED)
    check(place("-q", "enqueue", f"{{{word}"), REFUSED)


@settings(max_examples=15 * SCALE)
@given(st.lists(st.tuples(st.sampled_from(OPTIONS), ARGUMENTS), min_size=1, max_size=2))
def test_changes_of_a_job(place: Place, options: list[tuple[str, str]]) -> None:
    before = place("--json", "show", "first").out
    answer = place("edit", "first", *(f"{name}={value}" for name, value in options))
    check(answer, REFUSED, CONFLICT)
    assert answer.code == 0 or place("--json", "show", "first").out == before


@settings(max_examples=10 * SCALE)
@given(ARGUMENTS, st.lists(st.tuples(st.sampled_from(RULES), ARGUMENTS), min_size=1, max_size=2))
def test_rules_of_a_queue(place: Place, name: str, rules: list[tuple[str, str]]) -> None:
    check(place("queue", "set", *(f"{option}={value}" for option, value in rules), "--", name), REFUSED)
    check(place("queue", "list"))


@settings(max_examples=15 * SCALE)
@given(st.lists(LINES, max_size=4))
def test_a_batch(place: Place, lines: list[bytes]) -> None:
    before = len(place.jobs())
    answer = place("-q", "enqueue", "-", stdin=b"\n".join(lines))
    check(answer, REFUSED, NOT_FOUND, CONFLICT)
    # Those that are there already are named too.
    assert before <= len(place.jobs()) <= before + (0 if answer.code else len(answer.out.split()))


@settings(max_examples=20 * SCALE)
@given(KEYS, ARGUMENTS)
def test_a_setting(place: Place, key: str, value: str) -> None:
    answer = place("config", "set", "--", key, value)
    check(answer, REFUSED)
    if answer.code == 0:
        kept = place("config", "get", key)
        check(kept)
        check(place("config", "set", "--", key, kept.out.decode().strip()))
        assert place("config", "get", key).out == kept.out
        check(place("config", "unset", key))


@settings(max_examples=15 * SCALE)
@given(st.sampled_from([*SETTINGS, "output"]), ARGUMENTS)
def test_a_variable_of_the_environment(place: Place, name: str, value: str) -> None:
    check(place("config", "get", environ={f"QUEUECTL_{name.upper()}": value}), REFUSED)


@settings(max_examples=20 * SCALE)
@given(st.lists(st.tuples(st.sampled_from(FILTERS), ARGUMENTS), max_size=3))
def test_filters_of_a_list(place: Place, filters: list[tuple[str, str]]) -> None:
    check(place("list", *(word for pair in filters for word in pair)), REFUSED)


@settings(max_examples=20 * SCALE)
@given(st.sampled_from(COMMANDS_ON_IDS), ARGUMENTS)
def test_ids(place: Place, command: str, word: str) -> None:
    check(place(*command.split(), "--", word), REFUSED, NOT_FOUND, CONFLICT)


@settings(max_examples=2 * SCALE)
@given(st.sampled_from(OPTIONS), ARGUMENTS)
def test_a_process_of_its_own_answers_likewise(place: Place, option: str, value: str) -> None:
    args = ["--db", str(place.path), "-q", "enqueue", f"{option}={value}", "--", "true"]
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "queuectl", *args],
        env=os.environ | {"PYTHONPATH": str(Path(queuectl.__file__).parents[1])},
        capture_output=True,
        check=False,
    )
    check(Answer(ended.returncode, ended.stdout, ended.stderr.decode()), REFUSED, NOT_FOUND, CONFLICT)
