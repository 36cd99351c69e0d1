"""`retry`, `dlq retry`, `dlq purge`: what is due again, and what is gone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Shell


@pytest.fixture(autouse=True)
def _on_each_kind_of_store(any_kind_of_store: None) -> None:
    """Lead every test here through them."""


@pytest.fixture
def dead(queuectl: Shell) -> Shell:
    """A store with two dead jobs, one completed, and one that waits."""
    batch = (
        {"id": "d1", "command": "false", "max_retries": 1, "queue": "mail"},
        {"id": "d2", "command": "false", "max_retries": 1, "tags": ["x"]},
        {"id": "done", "command": "true"},
        {"id": "future", "command": "true", "delay": "1d"},
    )
    queuectl.ok("enqueue", "-", stdin=b"\n".join(json.dumps(job).encode() for job in batch))
    assert queuectl("run", "--until-idle").code == 1
    return queuectl


def test_jobs_are_made_due_by_id(dead: Shell) -> None:
    result = dead.ok("retry", "d1", "done")
    assert (result.lines, result.err) == (["d1", "done"], "✓ 2 jobs are due again\n")
    job = dead.show("d1")
    assert (job["state"], job["attempts"], job["runs"], job["error"]) == ("pending", 0, 1, None)
    assert dead.ok("list", "--state", "dead", "-o", "ids").lines == ["d2"]


def test_all_must_allow_it(dead: Shell) -> None:
    result = dead("retry", "d1", "future")
    assert (result.code, result.out) == (4, "")
    assert dead.show("d1")["state"] == "dead"


def test_filters_take_what_allows_it(dead: Shell) -> None:
    assert dead.ok("retry", "--tag", "x", "--dry-run").err == "✓ 1 job would be due again\n"
    assert dead.show("d2")["state"] == "dead"
    assert dead.ok("retry", "--queue", "default", "--state", "dead,pending").lines == ["d2"]
    assert dead.ok("retry", "--state", "dead", "--json").json == {"retried": ["d1"], "dry_run": False}


@pytest.mark.parametrize("args", [["retry"], ["retry", "d1", "--state", "dead"], ["retry", "--dry-run"]])
def test_ids_or_filters(dead: Shell, args: list[str]) -> None:
    result = dead(*args)
    assert (result.code, "give ids, or filters" in result.err) == (2, True)


def test_the_dead_letter_queue_gives_back_dead_jobs_alone(dead: Shell) -> None:
    refused = dead("dlq", "retry", "d1", "done")
    assert (refused.code, "job done is not in the dead letter queue: it is completed" in refused.err) == (4, True)
    assert dead.ok("dlq", "retry", "d1").lines == ["d1"]
    assert dead.ok("dlq", "retry", "--all").lines == ["d2"]
    assert dead.ok("dlq", "retry", "--all", "--json").json == {"retried": [], "dry_run": False}


@pytest.mark.parametrize("args", [["dlq", "retry"], ["dlq", "retry", "--all", "d1"]])
def test_ids_or_all(dead: Shell, args: list[str]) -> None:
    assert dead(*args).code == 2


def test_purging_deletes_dead_jobs(dead: Shell) -> None:
    assert dead.ok("dlq", "purge", "--older-than", "1d").err == "✓ purged 0 dead jobs\n"
    result = dead.ok("dlq", "purge", "--json")
    assert (result.json, result.err) == ({"purged": 2}, "")
    assert dead.ok("list", "-o", "ids").lines == ["done", "future"]
