"""`list` and `dlq list`: which jobs, in which order, in which shape."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from queuectl.outcome import Exited
from queuectl.retry import RetryPolicy
from queuectl.store import open_store
from tests.factories import new_engine, run_next

if TYPE_CHECKING:
    from tests.cli.shell import Shell


@pytest.fixture
def jobs(queuectl: Shell) -> Shell:
    """A store with a completed job, a dead one, and one that waits for its retry."""
    batch = (
        {"id": "done", "command": "true", "tags": ["a", "b"]},
        {"id": "dead", "command": "exit 3", "max_retries": 1, "tags": ["a"]},
    )
    queuectl.ok("enqueue", "-", stdin=b"\n".join(json.dumps(job).encode() for job in batch))
    queuectl("run", "--until-idle")
    queuectl.ok("enqueue", "--id", "retrying", "--max-retries", "2", "exit 4")
    asyncio.run(_fail_once())
    return queuectl


async def _fail_once() -> None:
    async with open_store("queuectl.db") as store:
        await store.register_engine(new_engine("engine"))
        await run_next(store, "engine", Exited(4), policy=RetryPolicy(base=300))
        await store.deregister_engine("engine")


@pytest.fixture
def five(queuectl: Shell) -> Shell:
    """A store with five jobs that wait, p1 to p5."""
    batch = [{"id": f"p{n}", "command": f"echo {n}", "priority": -n, "queue": f"q{n % 2}"} for n in range(1, 6)]
    queuectl.ok("enqueue", "-", stdin=b"\n".join(json.dumps(job).encode() for job in batch))
    return queuectl


def ids(shell: Shell, *args: str) -> list[str]:
    return shell.ok("list", "-o", "ids", *args).lines


def test_the_newest_are_listed_the_oldest_of_them_first(five: Shell) -> None:
    assert ids(five) == ["p1", "p2", "p3", "p4", "p5"]
    assert ids(five, "--limit", "2") == ["p4", "p5"]
    assert ids(five, "--limit", "2", "--sort", "priority") == ["p2", "p1"]


def test_fifty_jobs_are_listed_unless_all_are_asked_for(queuectl: Shell) -> None:
    stored = queuectl.ok("enqueue", "-", stdin=b"true\n" * 1203).lines
    assert ids(queuectl) == stored[-50:]
    assert ids(queuectl, "--limit", "0") == stored
    assert [line.split()[0] for line in queuectl.ok("list", "--limit", "0").lines] == ["ID", *stored]


def test_filters_go_together(five: Shell) -> None:
    five.ok("enqueue", "--id", "tagged", "--queue", "q1", "--tag", "a", "--tag", "b", "--delay", "1h", "true")
    assert ids(five, "--queue", "q1") == ["p1", "p3", "p5", "tagged"]
    assert ids(five, "--queue", "q0", "--queue", "q1", "--tag", "a", "--tag", "b") == ["tagged"]
    assert ids(five, "--state", "dead,failed", "--state", "completed") == []
    assert len(ids(five, "--state", "pending")) == 6
    assert len(ids(five, "--since", "1h")) == 6
    assert ids(five, "--since", "2100-01-01") == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--state", "pendin"], "there is no state 'pendin': did you mean pending?"),
        (["--state", "xyz"], "the states are pending, blocked"),
        (["--since", "yesterday"], "or a duration back from now"),
        (["--sort", "size"], "--sort"),
        (["--limit", "-1"], "--limit"),
    ],
)
def test_a_wrong_filter_is_explained(five: Shell, args: list[str], message: str) -> None:
    result = five("list", *args)
    assert (result.code, message in result.err) == (2, True)


def test_json_is_an_array_and_ndjson_a_job_a_line(five: Shell) -> None:
    array = five.ok("list", "--json").json
    assert [job["id"] for job in array] == ["p1", "p2", "p3", "p4", "p5"]
    assert array == five.ok("list", "-o", "json").json == five.ok("list", environ={"QUEUECTL_OUTPUT": "json"}).json
    assert array == [json.loads(line) for line in five.ok("list", "-o", "ndjson").lines]
    assert array[0] | {"output": ""} == five.show("p1")


def test_an_empty_list_is_empty_and_says_what_to_do(queuectl: Shell) -> None:
    queuectl.ok("db", "init")
    result = queuectl.ok("list")
    assert result.out == ""
    assert "queuectl enqueue" in result.err
    assert queuectl.ok("dlq", "list").err == "· no such jobs\n"
    assert queuectl.ok("list", "--json").json == []
    assert queuectl.ok("list", "-o", "ndjson").out == ""
    assert queuectl.ok("worker", "list", "--json").json == []


def test_a_table_in_a_pipe_is_plain_whole_and_has_no_trailing_blanks(queuectl: Shell) -> None:
    command = "echo " + "x" * 1000
    queuectl.ok("enqueue", "--id", "job1", command)
    queuectl.ok("enqueue", "--id", "j", "--delay", "1d", "true")
    header, first, second = queuectl.ok("list").lines
    assert first.endswith(command)
    assert second.split(maxsplit=6)[:3] == ["j", "pending", "(scheduled)"]
    assert header.index("COMMAND") == first.index("echo") == second.index("true")
    assert not any(line != line.rstrip() or "\x1b" in line for line in (header, first, second))


def test_what_a_terminal_would_obey_is_escaped(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "--tag", "\x1b[2J", "--env", "A=\x9b\r", "--", "echo", "\x1b[31m\n\u202eabc")
    for result in (queuectl.ok("list"), queuectl.ok("show", "job1"), queuectl.ok("show", "job1", "--json")):
        assert not set(result.out) & set("\x1b\x9b\r\u202e")
    assert r"\x1b[31m\n\u202eabc" in queuectl.ok("list").out


def test_states_have_words_beside_them(jobs: Shell) -> None:
    rows = {line.split()[0]: line for line in jobs.ok("list").lines[1:]}
    assert " completed " in rows["done"]
    assert " dead " in rows["dead"]
    assert " failed (retrying) " in rows["retrying"]
    assert " due in " in rows["retrying"]
    assert " 1/2 " in rows["retrying"]


def test_the_dead_letter_queue_is_a_list_of_its_own(jobs: Shell) -> None:
    assert jobs.ok("dlq", "list", "-o", "ids").lines == ["dead"]
    assert [job["id"] for job in jobs.ok("dlq", "list", "--json", "--tag", "a").json] == ["dead"]
    assert jobs.ok("dlq", "list", "--tag", "b").out == ""
    assert jobs.ok("dlq", "show", "dead", "--json").json["error"].startswith("exit code 3")
    refused = jobs("dlq", "show", "done")
    assert (refused.code, "it is completed" in refused.err) == (4, True)
