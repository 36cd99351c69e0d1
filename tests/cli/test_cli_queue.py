"""`queue`: pausing, limits, and what is shown of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Shell


@pytest.fixture(autouse=True)
def _on_each_kind_of_store(any_kind_of_store: None) -> None:
    """Lead every test here through them."""


def test_a_paused_queue_starts_nothing_until_it_is_resumed(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--queue", "mail", "--id", "a", "true")
    assert queuectl.ok("queue", "pause", "mail").err == "✓ queue mail: paused\n"
    queuectl.ok("run", "--until-idle")
    assert queuectl.show("a")["state"] == "pending"
    assert "pending (paused)" in queuectl.ok("list").out
    assert queuectl.ok("queue", "resume", "mail").err == "✓ queue mail: no limits\n"
    queuectl.ok("run", "--until-idle")
    assert queuectl.show("a")["state"] == "completed"


def test_rules_are_set_shown_and_taken_off(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--queue", "mail", "true")
    document = queuectl.ok("queue", "set", "mail", "--concurrency", "2", "--rate", "30/m", "--json").json
    assert document == {"queue": "mail", "paused": False, "concurrency": 2, "rate": 0.5}
    [shown] = queuectl.ok("queue", "list", "--json").json
    assert shown == {**document, "jobs": {**shown["jobs"], "pending": 1, "completed": 0}}
    assert queuectl.ok("status", "--json").json["queues"] == [shown]
    assert "at most 2 at once, 30/m" in queuectl.ok("queue", "list").out
    assert "at most 2 at once, 30/m" in queuectl.ok("status").out
    assert queuectl.ok("queue", "set", "mail", "--rate", "none").err == "✓ queue mail: at most 2 at once\n"
    assert queuectl.ok("queue", "set", "mail", "--concurrency", "none").err == "✓ queue mail: no limits\n"


def test_queues_are_listed_by_name(queuectl: Shell) -> None:
    queuectl.ok("db", "init")
    assert queuectl.ok("queue", "list").err == "· no queue yet: a queue begins with its first job\n"
    queuectl.ok("queue", "pause", "b")
    queuectl.ok("enqueue", "--queue", "a", "true")
    assert queuectl.ok("queue", "list", "-o", "ids").lines == ["a", "b"]
    assert len(queuectl.ok("queue", "list", "-o", "ndjson").lines) == 2


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["set", "mail"], 2, "say what to set"),
        (["set", "mail", "--concurrency", "many"], 2, "'many' is no whole number; or none for no limit"),
        (["set", "mail", "--concurrency", "0"], 2, "concurrency is 0"),
        (["set", "mail", "--rate", "fast"], 2, "use for example 10/s"),
        (["pause", "no queue"], 2, "the queue is 'no queue'"),
        (["resume", "mial"], 3, "there is no queue 'mial'"),
    ],
)
def test_refusals_name_the_reason(queuectl: Shell, args: list[str], code: int, message: str) -> None:
    queuectl.ok("db", "init")
    result = queuectl("queue", *args)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert queuectl.ok("queue", "list", "--json").json == []
