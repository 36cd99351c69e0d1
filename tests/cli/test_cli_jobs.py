"""`show` and `logs`: one job, and what it printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queuectl.jobspec import KEYS

if TYPE_CHECKING:
    from tests.cli.shell import Shell, Terminal


@pytest.fixture(autouse=True)
def _on_each_kind_of_store(any_kind_of_store: None) -> None:
    """Lead every test here through them."""


PRINTS = r"printf 'out\n\377'; printf 'err %s\n' $QUEUECTL_RUN >&2; exit 3"


@pytest.fixture
def ran(queuectl: Shell) -> Shell:
    """A store with a job that ran twice, was put back by hand in between, and is dead."""
    queuectl.ok("enqueue", "--id", "job1", "--max-retries", "1", PRINTS)
    assert queuectl("run", "--until-idle").code == 1
    queuectl.ok("retry", "job1")
    assert queuectl("run", "--until-idle").code == 1
    return queuectl


def test_a_jobs_json_has_every_key(ran: Shell) -> None:
    job = ran.show("job1")
    of_its_life = {
        *("state", "attempts", "runs", "crashes", "created_at", "updated_at", "started_at", "finished_at"),
        *("worker", "engine", "exit_code", "error", "output", "held", "unmet", "cancelling"),
    }
    assert job.keys() == (KEYS.keys() - {"delay", "on_conflict"}) | of_its_life
    expected = {"state": "dead", "attempts": 1, "runs": 2, "exit_code": 3, "output": "out\n\ufffd", "max_retries": 1}
    assert {key: job[key] for key in expected} == expected
    assert job["finished_at"].endswith("Z")


def test_what_a_job_leaves_open_follows_the_settings(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    queuectl.ok("config", "set", "timeout", "1m30s")
    assert queuectl.show("job1")["timeout"] == 90
    assert queuectl.ok("show", "job1", "--json", environ={"QUEUECTL_MAX_RETRIES": "9"}).json["max_retries"] == 9


def test_the_page_of_a_job_shows_its_runs_and_its_output(ran: Shell) -> None:
    page = ran.ok("show", "job1").out
    assert page.startswith("id        job1\n")
    assert "state     dead, ended " in page
    assert "error     exit code 3" in page
    assert page.count("exited 3") == 2
    assert "stdout of run 2:\n  out\n" in page
    assert "stderr of run 2:\n  err 2\n" in page


def test_the_page_shows_the_end_of_long_output(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "seq 100; printf '\\033[31m'")
    queuectl.ok("run", "--until-idle")
    page = queuectl.ok("show", "job1").out
    assert "the last 10 of 101 lines:\n  92\n" in page
    assert page.endswith("  100\n  \\x1b[31m\n")


@pytest.mark.usefixtures("ran")
def test_logs_are_printed_byte_for_byte(terminal: Terminal) -> None:
    process = terminal.start("logs", "job1")
    out, err = process.communicate()
    assert out == b"out\n\xff" + b"err 2\n"
    assert err.decode() == "· run 2; there are 1 earlier run, see --run\n"
    only_stdout, _ = terminal.start("logs", "job1", "--stdout").communicate()
    assert only_stdout == b"out\n\xff"


def test_a_run_can_be_chosen(ran: Shell) -> None:
    assert ran.ok("logs", "job1", "--run", "1", "--stderr").out == "err 1\n"
    latest = ran.ok("logs", "job1", "--attempt", "1", "--stderr")
    assert (latest.out, latest.err) == ("err 2\n", "")
    assert [run["run"] for run in ran.ok("logs", "job1", "--run", "1", "--json").json] == [1]
    for args in (["--run", "3"], ["--attempt", "2"], ["--run", "0"]):
        unknown = ran("logs", "job1", *args)
        assert (unknown.code, "it has 2 runs" in unknown.err) == (3, True)
    assert ran("logs", "job1", "--run", "1", "--attempt", "1").code == 2


def test_logs_in_json_are_all_runs(ran: Shell) -> None:
    first, second = ran.ok("logs", "job1", "--json").json
    assert first.keys() >= {"job_id", "engine", "error", "finished_at", "started_at", "created_at", "worker"}
    expected = {"run": 2, "attempt": 1, "outcome": "exited", "exit_code": 3, "signal": None}
    assert {key: second[key] for key in expected} == expected
    assert (second["stdout"], second["stderr"]) == ("out\n\ufffd", "err 2\n")
    assert second["created_at"] == second["finished_at"]
    assert isinstance(second["duration"], (int, float))


@pytest.mark.parametrize(
    ("prints", "tail", "shown"),
    [
        ("printf '1\\n2\\n3\\n'", "2", "2\n3\n"),
        ("printf '1\\n2\\n3'", "2", "2\n3"),
        ("printf '1\\n2\\n'", "5", "1\n2\n"),
        ("printf '1\\n'", "0", ""),
        ("true", "3", ""),
    ],
)
def test_the_tail_is_counted_in_lines(queuectl: Shell, prints: str, tail: str, shown: str) -> None:
    queuectl.ok("enqueue", "--id", "job1", prints)
    queuectl.ok("run", "--until-idle")
    assert queuectl.ok("logs", "job1", "--tail", tail).out == shown


def test_a_job_that_has_not_run_has_no_logs(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    result = queuectl.ok("logs", "job1")
    assert (result.out, result.err) == ("", "· the job has not run yet\n")
    assert queuectl.ok("logs", "job1", "--json").json == []
    assert queuectl("logs", "job1", "--run", "1").code == 3
    assert queuectl.show("job1")["output"] == ""


def test_the_beginning_of_a_generated_id_will_do(queuectl: Shell) -> None:
    job_id = queuectl.ok("enqueue", "true").lines[0]
    assert queuectl.show(job_id[:5])["id"] == job_id
    queuectl.ok("run", "--until-idle")
    queuectl.ok("logs", job_id[:4])
    queuectl.ok("retry", job_id[:4])


@pytest.mark.parametrize("args", [["show", "nix"], ["logs", "nix"], ["retry", "nix"], ["dlq", "show", "nix"]])
def test_an_unknown_job_is_exit_3(queuectl: Shell, args: list[str]) -> None:
    queuectl.ok("db", "init")
    result = queuectl(*args)
    assert (result.code, "nix" in result.err) == (3, True)
