"""`cancel`, `hold`, `release`, `edit`, `delete`: who is meant, what is said, and what becomes of the jobs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl.store import open_store
from tests.engine.engines import Gate
from tests.factories import add, end, new_engine, take
from tests.waiting import PATIENCE, wait_for

if TYPE_CHECKING:
    from tests.cli.shell import Shell, Terminal

ACTIONS = {
    "cancel": ("cancelled", "a", "cancelled"),
    "hold": ("held", "a", "blocked"),
    "release": ("released", "h", "pending"),
    "edit": ("edited", "a", "pending"),
    "delete": ("deleted", "a", None),
}
"""What is said of a job, one that allows it, and what that is then."""


@pytest.fixture
def some(queuectl: Shell, any_kind_of_store: None) -> Shell:  # noqa: ARG001 - it names the place
    """A store, of each kind in turn, with two jobs that wait, a held one, and one that has completed."""
    queuectl.ok("enqueue", "--id", "done", "true")
    queuectl.ok("run", "--until-idle")
    batch = (
        {"id": "a", "command": "true", "queue": "mail", "tags": ["x"]},
        {"id": "b", "command": "true", "queue": "mail"},
        {"id": "h", "command": "true", "queue": "mail", "tags": ["x"]},
    )
    queuectl.ok("enqueue", "-", stdin=b"\n".join(json.dumps(job).encode() for job in batch))
    queuectl.ok("hold", "h")
    return queuectl


def changes(action: str) -> list[str]:
    return ["--priority", "5"] if action == "edit" else []


def states(queuectl: Shell) -> dict[str, str]:
    return {job["id"]: job["state"] for job in queuectl.ok("list", "--json").json}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_job_is_named_by_its_id(some: Shell, action: str) -> None:
    done, job_id, state = ACTIONS[action]
    result = some.ok(action, job_id, *changes(action))
    assert (result.out, result.err) == (f"{job_id}\n", f"✓ 1 job is {done}\n")
    assert states(some).get(job_id) == state


@pytest.mark.parametrize("action", ACTIONS)
def test_jobs_are_named_by_filters(some: Shell, action: str) -> None:
    done, _, _ = ACTIONS[action]
    before = states(some)
    would = some.ok(action, "--queue", "mail", *changes(action), "--dry-run", "--json").json
    assert states(some) == before
    result = some.ok(action, "--queue", "mail", *changes(action), "--json")
    assert result.json == {done: would[done], "dry_run": False}
    assert would["dry_run"] is True
    assert set(would[done]) == ({"h"} if action == "release" else {"a", "b", "h"})
    assert some.ok(action, "--queue", "nowhere", *changes(action), "-q").out == ""


@pytest.mark.parametrize("action", ACTIONS)
def test_refusals_name_the_reason(some: Shell, action: str) -> None:
    before = states(some)
    words = changes(action)
    for args, code, message in (
        ([], 2, "give ids, or filters"),
        (["a", "--state", "pending"], 2, "not both"),
        (["--dry-run"], 2, "give ids, or filters"),
        (["a", "nobody"], 3, "there is no job 'nobody'"),
    ):
        result = some(action, *args, *words)
        assert (result.code, result.out) == (code, "")
        assert message in result.err
    if action != "delete":
        result = some(action, "done", *words)
        assert (result.code, f"cannot {action} job done: it is completed; allowed for" in result.err) == (4, True)
    assert states(some) == before


@pytest.mark.parametrize("action", ["retry", *ACTIONS])
def test_neither_a_refusal_nor_a_dry_run_makes_a_store(queuectl: Shell, action: str) -> None:
    words = changes(action)
    assert queuectl(action, *words).code == 2
    missing = queuectl(action, "a", *words, "--dry-run")
    assert (missing.code, "there is no store" in missing.err) == (5, True)
    assert list(Path().iterdir()) == []


def test_a_prefix_of_a_generated_id_will_do(queuectl: Shell) -> None:
    job_id = queuectl.ok("enqueue", "true").out.strip()
    for action in ("hold", "release", "cancel", "delete"):
        assert queuectl.ok(action, job_id[:5]).out == f"{job_id}\n"


def test_a_waiting_job_says_what_for(some: Shell) -> None:
    some.ok("enqueue", "--id", "after", "--after", "a", "--after", "b=any", "true")
    table = {line.split()[0]: line for line in some.ok("list").lines}
    assert "blocked (held)" in table["h"]
    assert "blocked (waiting)" in table["after"]
    assert "waits for 2 jobs" in table["after"]
    page = some.ok("show", "after").out
    assert "a (ok), b (any)" in page
    refused = some("release", "after")
    assert (refused.code, "it is not held, it waits for other jobs" in refused.err) == (4, True)


def test_what_is_edited_is_seen(some: Shell) -> None:
    some.ok("edit", "a", "--queue", "other", "--tag", "y", "--timeout", "2m", "--command", "echo hi", "--delay", "1h")
    job = some.show("a")
    assert (job["queue"], job["tags"], job["timeout"], job["command"]) == ("other", ["y"], 120, "echo hi")
    assert job["run_at"] > job["created_at"]
    assert some.show("b")["queue"] == "mail"
    nothing = some("edit", "a")
    assert (nothing.code, "say what to change" in nothing.err) == (2, True)
    wrong = some("edit", "a", "--priority", "high")
    assert (wrong.code, 'priority is the string "high"' in wrong.err) == (2, True)


@pytest.mark.parametrize("option", ["--id", "--unique", "--after", "--on-conflict"])
def test_what_a_job_keeps_for_good_is_no_option(some: Shell, option: str) -> None:
    result = some("edit", "a", option, "x")
    assert (result.code, f"No such option '{option}'" in result.err) == (2, True)


def running(terminal: Terminal, queuectl: Shell, folder: Path, command: str, *, grace: str = "100ms") -> None:
    """Start an engine, and a job in it that has said that it runs."""
    queuectl.ok("config", "set", "kill-grace", grace)
    terminal.start("run", "--workers", "2")
    queuectl.ok("enqueue", "--id", "job1", command)
    wait_for((folder / "started").exists)


def test_a_running_job_is_stopped_and_waited_for(terminal: Terminal, queuectl: Shell, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    ends_later = "trap 'read line < gate; exit 1' TERM; touch started; while :; do sleep 0.1; done"
    running(terminal, queuectl, tmp_path, ends_later, grace="10m")
    cancelling = terminal.start("cancel", "job1")
    assert cancelling.stderr is not None
    assert cancelling.stderr.readline().decode() == "· waiting for 1 running job to stop\n"
    gate.open()
    out, err = cancelling.communicate(timeout=PATIENCE)
    gate.close()
    assert (out, err.decode()) == (b"job1\n", "✓ 1 job is cancelled\n")
    assert states(queuectl) == {"job1": "cancelled"}


def test_a_running_job_need_not_be_waited_for(terminal: Terminal, queuectl: Shell, tmp_path: Path) -> None:
    running(terminal, queuectl, tmp_path, "touch started; exec sleep 1000")
    assert queuectl.ok("cancel", "job1", "--no-wait").out == "job1\n"
    wait_for(lambda: states(queuectl) == {"job1": "cancelled"})


async def test_a_success_that_comes_first_is_a_conflict(terminal: Terminal, tmp_path: Path) -> None:
    url = str(tmp_path / "queuectl.db")
    async with open_store(url) as store:
        await store.register_engine(new_engine("engine-1"))
        await add(store, "job1")
        job = await take(store, "engine-1")
        cancelling = terminal.start("--db", url, "cancel", "job1")
        async with asyncio.timeout(PATIENCE):
            while not (await store.get("job1")).cancelling:
                await store.wait_for_change(0.1)
        await end(store, job)
    out, err = cancelling.communicate(timeout=PATIENCE)
    assert (cancelling.returncode, out) == (4, b"")
    assert b"too late to cancel job1: completed before it was stopped" in err
