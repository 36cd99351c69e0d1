"""`enqueue` in all its forms: what is stored, and what is printed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl import __file__ as package
from queuectl.cli.job_options import options_document
from queuectl.jobspec import KEYS

if TYPE_CHECKING:
    from tests.cli.shell import Shell, Terminal


def test_the_id_stands_alone_on_stdout_and_the_words_on_stderr(terminal: Terminal) -> None:
    result = terminal("enqueue", "--id", "job1", "echo hello")
    assert (result.code, result.out, result.err) == (0, "job1\n", "✓ enqueued job1 in default\n")


def test_quiet_says_nothing(queuectl: Shell) -> None:
    assert queuectl.ok("-q", "enqueue", "true").err == ""
    assert queuectl.ok("enqueue", "true", "--quiet").err == ""


@pytest.mark.parametrize(
    ("args", "command"),
    [
        (["echo hi && false"], "echo hi && false"),
        (["--priority", "1", "echo", "a b"], ["echo", "a b"]),
        (["--", "ls", "-l", "--queue"], ["ls", "-l", "--queue"]),
        (["--tag", "--", "--", "ls", "-l"], ["ls", "-l"]),
        (["--command", "{ echo hi; }"], "{ echo hi; }"),
        (['{"command": "echo json"}'], "echo json"),
        (['  {"command": ["a", "b"]}'], ["a", "b"]),
        (["echo hi", "--queue", "mail"], "echo hi"),
    ],
)
def test_one_word_is_for_the_shell_and_several_are_a_program(
    queuectl: Shell, args: list[str], command: str | list[str]
) -> None:
    queuectl.ok("enqueue", "--id", "job1", *args)
    assert queuectl.show("job1")["command"] == command


@pytest.mark.parametrize(
    "args",
    [
        ["ls", "-l", "/tmp"],
        ["ls", "/tmp", "-l"],
        ["ls", "/tmp", "--queue", "mail"],
        ["a", "--tag", "a", "b"],
        ["ls", "/tmp", "-q"],
        ["echo", "--", "-n"],
        ["--prio", "3", "true"],
        ["sh", "-c", "true"],
    ],
)
def test_an_option_that_may_be_the_commands_own_wants_dashes_before_it(queuectl: Shell, args: list[str]) -> None:
    result = queuectl("enqueue", *args)
    assert result.code == 2
    assert "put -- before the command" in result.err
    assert not Path("queuectl.db").exists()


def test_every_key_has_an_option(queuectl: Shell) -> None:
    options = {
        "id": ["--id", "j"],
        "queue": ["--queue", "mail"],
        "priority": ["--priority", "-5"],
        "run_at": ["--run-after", "2035-01-01T00:00:00Z"],
        "timeout": ["--timeout", "1m30s"],
        "max_retries": ["--max-attempts", "7"],
        "backoff": ["--backoff", "linear"],
        "backoff_base": ["--backoff-base", "1.5"],
        "backoff_max": ["--backoff-max", "10m"],
        "backoff_jitter": ["--backoff-jitter", "0.5"],
        "retry_on": ["--retry-on", "1,2", "--retry-on", "75"],
        "no_retry_on": ["--no-retry-on", "3"],
        "cwd": ["--cwd", "sub"],
        "env": ["--env", "A=1", "--env", "B=x=y"],
        "stdin": ["--stdin", "in"],
        "unique": ["--unique", "daily"],
        "after": ["--after", "other", "--after", "another=any"],
        "concurrency_key": ["--concurrency-key", "k"],
        "concurrency_limit": ["--concurrency-limit", "3"],
        "tags": ["--tag", "t", "--tag", "u"],
    }
    queuectl.ok("enqueue", "-", stdin=b'{"id": "other", "command": "true"}\n{"id": "another", "command": "true"}')
    assert options.keys() | {"command", "delay", "on_conflict"} == KEYS.keys()
    queuectl.ok("enqueue", "true", *(word for words in options.values() for word in words))
    job = queuectl.show("j")
    assert {key: job[key] for key in options} == {
        "id": "j",
        "queue": "mail",
        "priority": -5,
        "run_at": "2035-01-01T00:00:00.000Z",
        "timeout": 90,
        "max_retries": 7,
        "backoff": "linear",
        "backoff_base": 1.5,
        "backoff_max": 600,
        "backoff_jitter": 0.5,
        "retry_on": [1, 2, 75],
        "no_retry_on": [3],
        "cwd": str(Path.cwd() / "sub"),
        "env": {"A": "1", "B": "x=y"},
        "stdin": "in",
        "unique": "daily",
        "after": [{"id": "other", "if": "ok"}, {"id": "another", "if": "any"}],
        "concurrency_key": "k",
        "concurrency_limit": 3,
        "tags": ["t", "u"],
    }


def test_what_a_job_comes_after_may_be_named_by_the_beginning_of_its_id(queuectl: Shell) -> None:
    first = queuectl.ok("enqueue", "true").out.strip()
    queuectl.ok("enqueue", "--id", "second", "--after", first[:6], "true")
    assert queuectl.show("second")["after"] == [{"id": first, "if": "ok"}]
    unknown = queuectl("enqueue", "--after", "nowhere", "true")
    assert (unknown.code, "after names what is no job: nowhere" in unknown.err) == (3, True)


def test_a_taken_unique_key_names_the_job_that_has_it(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "first", "--unique", "k", "true")
    refused = queuectl("enqueue", "--unique", "k", "true", "--json")
    assert (refused.code, refused.error["code"]) == (4, "unique_key_taken")
    assert "is taken by job first" in refused.error["message"]
    ignored = queuectl.ok("enqueue", "--unique", "k", "--on-conflict", "ignore", "true")
    assert (ignored.out, ignored.err) == ("first\n", "= first is already there\n")


def test_jobs_that_wait_for_each_other_are_refused(queuectl: Shell) -> None:
    batch = b'{"id": "a", "command": "true", "after": ["b"]}\n{"id": "b", "command": "true", "after": ["a"]}'
    refused = queuectl("enqueue", "-", stdin=batch)
    assert (refused.code, "would wait for each other" in refused.err) == (2, True)


def test_a_delay_counts_from_now(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "j", "--delay", "1h", "true")
    assert queuectl.show("j")["run_at"] > queuectl.show("j")["created_at"]


def test_the_working_directory_is_the_callers(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "j", "true")
    assert queuectl.show("j")["cwd"] == str(Path.cwd())


def test_a_number_that_is_none_is_left_to_the_keys_own_check() -> None:
    document = options_document(priority="high", backoff_base="nan", retry_on=("1,x",), stdin=None, tags=())
    assert document == {"priority": "high", "backoff_base": "nan", "retry_on": [1, "x"]}


def test_a_batch_prints_its_ids_in_order(queuectl: Shell) -> None:
    lines = b'echo 1\n\n{"command": "echo 2", "id": "two"}\n   \necho 3'
    result = queuectl.ok("enqueue", "--queue", "mail", "-", stdin=lines)
    assert len(result.lines) == 3
    assert result.lines[1] == "two"
    assert result.err == "✓ enqueued 3 jobs\n"
    jobs = queuectl.ok("list", "--json").json
    assert [(job["id"], job["command"], job["queue"]) for job in jobs] == [
        (job_id, f"echo {number}", "mail") for number, job_id in enumerate(result.lines, 1)
    ]


def test_a_batch_may_come_from_a_file(queuectl: Shell) -> None:
    Path("jobs.txt").write_text("true\n")
    assert queuectl.ok("enqueue", "--file", "jobs.txt").err == "✓ enqueued 1 job\n"
    assert queuectl.ok("enqueue", "--file", "-", stdin=b"true\nfalse\n").err == "✓ enqueued 2 jobs\n"
    missing = queuectl("enqueue", "--file", "missing.txt")
    assert (missing.code, "missing.txt" in missing.err) == (2, True)


def test_an_empty_batch_is_no_error(queuectl: Shell) -> None:
    result = queuectl.ok("enqueue", "-", stdin=b"\n\n")
    assert (result.out, result.err) == ("", "✓ enqueued 0 jobs\n")


def test_a_taken_id_is_a_conflict_unless_that_is_to_be_ignored(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "echo first")
    refused = queuectl("enqueue", "--id", "job1", "echo second")
    assert (refused.code, refused.out) == (4, "")
    assert "job1" in refused.err
    ignored = queuectl.ok("enqueue", "--id", "job1", "--on-conflict", "ignore", "echo second")
    assert (ignored.out, ignored.err) == ("job1\n", "= job1 is already there\n")
    batch = queuectl.ok("enqueue", "--on-conflict", "ignore", "-", stdin=b'{"id": "job1", "command": "a"}\nb\n')
    assert batch.err == "✓ enqueued 1 job, 1 more was already there\n"
    assert queuectl.show("job1")["command"] == "echo first"


def test_json_gives_the_whole_job_and_receipts_for_a_batch(queuectl: Shell) -> None:
    one = queuectl.ok("enqueue", "--id", "job1", "true", "--json")
    assert one.json["state"] == "pending"
    assert one.json["max_retries"] == 3
    assert one.err == ""
    batch = queuectl.ok("enqueue", "--json", "-", stdin=b'{"id": "job2", "command": "a"}')
    assert batch.json == [{"id": "job2", "queue": "default", "existing": False}]


@pytest.mark.parametrize("args", [[], ["--command", "a", "b"], ["--file", "-", "b"], ["--command", "a", "--file", "-"]])
def test_there_is_one_command(queuectl: Shell, args: list[str]) -> None:
    result = queuectl("enqueue", *args)
    assert (result.code, "give one of" in result.err) == (2, True)


def test_what_is_slow_to_import_is_not_imported() -> None:
    program = "import sys; from queuectl.cli.command_line import run; run(sys.argv[1:]); print(*sys.modules, sep='\\n')"
    args = [sys.executable, "-c", program, "enqueue", "true"]
    root = str(Path(package).parents[1])
    done = subprocess.run(args, capture_output=True, check=True, env={**os.environ, "PYTHONPATH": root}, text=True)
    imported = set(done.stdout.splitlines())
    assert "queuectl.cli.enqueue" in imported
    slow = {"structlog", "rich", "psutil", "queuectl.engine", "queuectl.cli.run", "queuectl.cli.documents"}
    assert not imported & slow


def test_a_refused_setting_is_seen_before_the_job_is_stored(queuectl: Shell) -> None:
    queuectl.ok("db", "init")
    with closing(sqlite3.connect("queuectl.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO config (key, value) VALUES ('timeout', 'long')")
    result = queuectl("enqueue", "true", "--json")
    assert (result.code, "config unset timeout" in result.error["message"]) == (2, True)
    assert queuectl.ok("status", "--json").json["jobs"]["pending"] == 0


def test_options_and_a_jobs_own_keys_must_not_contradict(queuectl: Shell) -> None:
    result = queuectl("enqueue", "--priority", "1", json.dumps({"command": "true", "priority": 2}))
    assert (result.code, "priority is given in the job and as an option" in result.err) == (2, True)
