"""What is refused as a job: with exit code 2, in plain words, and before a store is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Shell, Terminal

MIB = 1 << 20
REFUSALS = [
    (b"{command: 1}", "not JSON"),
    (b'{"command": "a"} b', "not JSON"),
    (b'{"command": "a", "command": "b"}', "is given twice: keep one"),
    (b'{"command": "a", "priority": NaN}', "NaN"),
    (b'{"command": "a", "comand": "b"}', "unknown key 'comand': did you mean command?"),
    (b'{"command": "a", "max_attempts": 1, "max_retries": 1}', "max_retries"),
    (b'{"id": "a"}', "command is missing"),
    (b'{"command": 7}', "command is 7: use a string, or an array of strings"),
    (b'{"command": "a", "priority": "high"}', 'priority is the string "high": use an integer'),
    (b'{"command": "a", "priority": 1000001}', "from -1000000 to 1000000"),
    (b'{"command": "a", "max_retries": 1001}', "from 0 to 1000"),
    (b'{"command": "a", "timeout": "soon"}', "timeout is"),
    (b'{"command": "a", "timeout": 0}', "timeout"),
    (b'{"command": "a", "run_at": "tomorrow"}', "run_at"),
    (b'{"command": "a", "run_at": "2035-01-01", "delay": 5}', "run_at and delay are both given"),
    (b'{"command": "a", "backoff": "random"}', "backoff is 'random'"),
    (b'{"command": "a", "backoff_base": 0.5}', "backoff_base"),
    (b'{"command": "a", "backoff_jitter": 2}', "from 0 to 1"),
    (b'{"command": "a", "retry_on": [256]}', "0 to 255"),
    (b'{"command": "a", "cwd": "sub"}', "absolute path"),
    (b'{"command": "a", "env": {"QUEUECTL_DB": "x"}}', "queuectl's own"),
    (b'{"command": "a", "id": "a b"}', "id is 'a b'"),
    (b'{"command": "a", "queue": ""}', "queue is ''"),
    (b'{"command": "a\\u0000b"}', "NUL byte"),
    (b'{"command": " "}', "empty"),
    (b'{"command": []}', "empty"),
    (b'{"command": "\xff"}', "not UTF-8"),
    (b'{"command": "' + b"x" * MIB + b'"}', "1 MiB"),
    (b"[1]" + b"\xff", "not UTF-8"),
]


@pytest.mark.parametrize(("line", "message"), REFUSALS, ids=[message for _, message in REFUSALS])
def test_a_batch_is_refused_whole_with_the_number_of_the_line(queuectl: Shell, line: bytes, message: str) -> None:
    result = queuectl("enqueue", "-", stdin=b"echo fine\n\n" + line + b"\necho fine\n")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: line 3: ")
    assert message in result.err
    assert len(result.err) < 500
    assert not Path("queuectl.db").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--priority", "high", "true"], 'priority is the string "high": use an integer'),
        (["--id", "a b", "true"], "id is 'a b'"),
        (["--env", "A", "true"], "use NAME=VALUE"),
        (["--env", "QUEUECTL_X=1", "true"], "queuectl's own"),
        (["--delay", "1h", "--run-at", "2035-01-01", "true"], "run_at and delay are both given"),
        (["--timeout", "soon", "true"], "a duration"),
        (["--backoff-base", "nan", "true"], "backoff_base"),
        (["--on-conflict", "replace", "true"], "refuse or ignore"),
        (["--retry-on", "1;2", "true"], "retry_on"),
        (["--after", "a=maybe", "true"], "ok, any or notok"),
        (["--concurrency-limit", "0", "true"], "concurrency_limit is 0"),
        (["--unique", "", "true"], "unique is ''"),
        ([""], "empty"),
        (["{ echo hi; }"], "use --command"),
        (['{"command": "a"} b'], "use --command"),
    ],
)
def test_an_option_is_refused_as_the_key_is(queuectl: Shell, args: list[str], message: str) -> None:
    result = queuectl("enqueue", *args)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert not Path("queuectl.db").exists()


def test_a_process_refuses_in_one_line(terminal: Terminal) -> None:
    result = terminal("enqueue", '{"command": "a", "pririty": 1}')
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: unknown key 'pririty': did you mean priority?\n"


def test_a_refusal_is_json_where_that_is_asked_for(terminal: Terminal) -> None:
    result = terminal("enqueue", "--json", '{"command": 1}')
    assert (result.code, result.error["code"]) == (2, "invalid_job")
    assert result.error["message"].startswith("command is 1: ")


@pytest.mark.parametrize(
    "args", [["show"], ["logs"], ["retry"], ["dlq", "show"], ["list", "--queue"], ["dlq", "list", "--tag"], ["enqueue"]]
)
def test_words_that_are_no_utf_8_are_refused(queuectl: Shell, args: list[str]) -> None:
    queuectl.ok("enqueue", "true")
    result = queuectl(*args, "caf\udce9")
    assert result.code == 2
    assert "'caf\\udce9' is not UTF-8" in result.err


def test_ids_are_shown_so_that_they_do_no_harm(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "true")
    assert queuectl("show", "\x1b[31m").err.startswith(r"error: there is no job '\x1b[31m': ")


@pytest.mark.parametrize("args", [["list", "--state"], ["worker", "stop"], ["enqueue", "true", "--env"]])
def test_long_words_are_not_repeated_whole(queuectl: Shell, args: list[str]) -> None:
    queuectl.ok("enqueue", "true")
    result = queuectl(*args, "x" * 5000)
    assert result.code in {2, 3}
    assert len(result.err) < 400


@pytest.mark.parametrize(
    "args", [["list", "--limit", "9" * 5000], ["list", "--" + "x" * 5000], ["list", "--x\x1b[31m"]]
)
def test_what_the_library_repeats_is_escaped_and_cut(queuectl: Shell, args: list[str]) -> None:
    result = queuectl(*args)
    assert result.code == 2
    message, _hint = result.err.splitlines()
    assert message.isprintable()
    assert len(message) < 1100


@pytest.mark.parametrize(
    ("limit", "words"), [("-1", "not in the range x>=0"), (str(1 << 63), "too large"), ("9" * 20, "too large")]
)
def test_a_limit_that_no_store_can_count_to_is_refused(queuectl: Shell, limit: str, words: str) -> None:
    queuectl.ok("enqueue", "true")
    result = queuectl("list", "--limit", limit)
    assert (result.code, f"{limit} is {words}" in result.err) == (2, True)


@pytest.mark.parametrize("option", ["--run", "--attempt", "--tail"])
def test_any_number_may_be_asked_for(queuectl: Shell, option: str) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    assert queuectl("logs", "job1", option, "9" * 20).code in {0, 3}
