"""One sitting at a terminal, in all the ways in which people who know other queues use one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.conftest import Terminal


def test_a_session(queuectl: Terminal) -> None:
    # $ queuectl initdb
    queuectl("initdb")
    assert (queuectl.folder / "queuectl.db").stat().st_mode & 0o777 == 0o600

    # $ queuectl enqueue "echo hello"                 a plain command; its id is all that is printed
    hello = queuectl("enqueue", "echo hello").strip()

    # $ queuectl enqueue '{"id": "job1", …}'          a job as JSON
    assert queuectl("enqueue", '{"id": "job1", "command": "echo from json", "priority": 5}') == "job1\n"

    # $ queuectl enqueue --command "{ echo braces; }" a command that begins like JSON
    braces = queuectl("enqueue", "--command", "{ echo braces; }").strip()

    # $ queuectl enqueue -- sh -c 'echo "$0"' "two  words"   a program with its arguments, no shell between
    words = queuectl("enqueue", "--", "printf", "%s", "two  words").strip()

    # $ queuectl config set backoff_base 3 ; config set max-retries 2 ; config set delay-base 1000
    queuectl("config", "set", "backoff_base", "3")
    queuectl("config", "set", "max-retries", "2")
    assert queuectl("config", "get", "max_retries") == "2\n"
    queuectl("config", "set", "delay-base", "1000")
    assert queuectl("config", "get", "backoff_base") == "1\n"

    # $ queuectl enqueue "exit 7"                      fails for good
    bad = queuectl("enqueue", "exit 7").strip()

    # $ queuectl enqueue --run-after 2099-01-01T00:00 … ; '{"run_at": …}'    not before its time
    tomorrow = (datetime.now().astimezone() + timedelta(days=1)).isoformat()
    later = queuectl("enqueue", "--run-after", "2099-01-01T00:00", "echo later").strip()
    queuectl("enqueue", json.dumps({"id": "tomorrow", "command": "echo then", "run_at": tomorrow}))

    # $ queuectl worker start --count 3                in the foreground, here until nothing is left
    queuectl("run", "--workers", "3", "--until-idle", expect=1)

    # $ queuectl logs …
    assert queuectl("logs", hello) == "hello\n"
    assert queuectl("logs", "job1") == "from json\n"
    assert queuectl("logs", braces) == "braces\n"
    assert queuectl("logs", words) == "two  words"

    # $ queuectl list --state pending --json
    waiting = json.loads(queuectl("list", "--state", "pending", "--json"))
    assert [job["id"] for job in waiting] == [later, "tomorrow"]
    assert waiting[0]["run_at"].startswith(("2098-12-31T", "2099-01-01T"))

    # $ queuectl dlq list ; dlq show
    [dead] = json.loads(queuectl("dlq", "list", "--json"))
    assert (dead["id"], dead["attempts"], dead["max_retries"], dead["exit_code"]) == (bad, 2, 2, 7)
    assert "exit code 7" in queuectl("dlq", "show", bad)

    # $ queuectl worker start --count 3 --detach ; worker list ; worker stop
    engine = queuectl("worker", "start", "--count", "3", "--detach").strip()
    try:
        [live] = json.loads(queuectl("worker", "list", "--json"))
        assert (live["id"], live["workers"]) == (engine, 3)
        assert json.loads(queuectl("status", "--json"))["workers"] == 3
    finally:
        queuectl("worker", "stop")
    assert json.loads(queuectl("worker", "list", "--json")) == []

    # $ queuectl dlq retry … ; run --until-idle        another chance, in vain
    assert queuectl("dlq", "retry", bad).strip() == bad
    assert json.loads(queuectl("show", bad, "--json"))["state"] == "pending"
    queuectl("run", "--until-idle", expect=1)

    # $ queuectl stats ; metrics
    stats = json.loads(queuectl("stats", "--json"))
    assert (stats["total_jobs"], stats["completed_jobs"], stats["dead_jobs"]) == (7, 4, 1)
    assert (stats["total_runs"], stats["failed_runs"]) == (8, 4)
    assert json.loads(queuectl("metrics", "--json"))["total_runs"] == 8

    # $ queuectl dlq purge ; status
    queuectl("dlq", "purge")
    assert json.loads(queuectl("status", "--json"))["jobs"] == {
        "pending": 2,
        "blocked": 0,
        "processing": 0,
        "failed": 0,
        "completed": 4,
        "dead": 0,
        "cancelled": 0,
    }


def test_the_store_is_named_behind_the_command_before_it_or_by_the_environment(queuectl: Terminal) -> None:
    queuectl("enqueue", "true", "--id", "behind", "--db", "one.db")
    queuectl("--db", "one.db", "enqueue", "true", "--id", "before")
    queuectl.env["DB_PATH"] = "one.db"
    queuectl("enqueue", "true", "--id", "db-path")
    queuectl.env["QUEUECTL_DB"] = "two.db"
    queuectl("enqueue", "true", "--id", "goes-first")

    assert queuectl("list", "-o", "ids", "--db", "one.db").split() == ["behind", "before", "db-path"]
    assert queuectl("list", "-o", "ids").split() == ["goes-first"]
    assert not (queuectl.folder / "queuectl.db").exists()
