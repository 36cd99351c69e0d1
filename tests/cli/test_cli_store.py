"""Where the store is, what happens without one, and what `status`, `stats` and `db` say about it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl.job import JobState

if TYPE_CHECKING:
    from tests.cli.shell import Shell, Terminal


def test_the_store_is_where_the_option_or_the_environment_says(queuectl: Shell) -> None:
    places: tuple[tuple[str, list[str], dict[str, str]], ...] = (
        ("a.db", ["--db", "a.db", "enqueue", "true"], {"QUEUECTL_DB": "x.db", "DB_PATH": "x.db"}),
        ("b.db", ["enqueue", "true", "--db", "b.db"], {"QUEUECTL_DB": "x.db"}),
        ("c.db", ["db", "--db", "c.db", "init"], {}),
        ("d.db", ["enqueue", "true"], {"QUEUECTL_DB": "d.db", "DB_PATH": "x.db"}),
        ("e.db", ["enqueue", "true"], {"QUEUECTL_DB": "", "DB_PATH": "e.db"}),
        ("queuectl.db", ["enqueue", "true"], {}),
    )
    for expected, args, environ in places:
        queuectl.ok(*args, environ=environ)
        assert Path(expected).exists()
    assert not Path("x.db").exists()


@pytest.mark.parametrize(
    "args",
    [
        ["status"],
        ["list"],
        ["show", "x"],
        ["logs", "x"],
        ["stats"],
        ["metrics"],
        ["config", "get"],
        ["config", "get", "timeout"],
        ["dlq", "list"],
        ["dlq", "show", "x"],
        ["worker", "list"],
        ["db", "check"],
        ["db", "backup", "copy.db"],
        ["db", "prune", "--dry-run"],
    ],
)
def test_reading_never_makes_a_store(queuectl: Shell, args: list[str]) -> None:
    result = queuectl(*args)
    assert (result.code, result.out) == (5, "")
    assert "queuectl db init" in result.err
    assert not list(Path.cwd().iterdir())
    assert queuectl(*args, "--json").error["code"] == "store_missing"


def test_a_foreign_file_is_left_alone(queuectl: Shell) -> None:
    Path("queuectl.db").write_text("a letter to a friend, and no database\n" * 100)
    before = Path("queuectl.db").read_bytes()
    for args in (["enqueue", "true"], ["list"], ["db", "init"], ["run", "--until-idle"]):
        assert queuectl(*args).code == 5
    assert Path("queuectl.db").read_bytes() == before


def test_a_store_beside_which_nothing_can_be_opened_is_refused(terminal: Terminal) -> None:
    # In a process of its own: a connection that was left open would keep that from ending.
    Path("queuectl.db-lock").mkdir()
    result = terminal("enqueue", "true")
    assert result.code == 5
    assert result.err == "error: queuectl.db-lock cannot be opened: Is a directory\n"


def test_a_kind_of_store_that_there_is_not_yet_is_refused_without_its_password(queuectl: Shell) -> None:
    result = queuectl("list", "--db", "mysql://me:secret@host/db")
    assert (result.code, "secret" in result.err) == (5, False)


@pytest.mark.parametrize("args", [["db", "init"], ["initdb"]])
def test_a_store_is_made_once(queuectl: Shell, args: list[str]) -> None:
    place = Path("queuectl.db").absolute()
    assert queuectl.ok(*args).err == f"✓ created {place}\n"
    assert queuectl.ok(*args).err == f"= {place} is already there\n"
    assert queuectl.ok(*args, "--json").json == {"db": str(place), "created": False}
    assert queuectl.ok("db", "migrate").err == f"✓ the schema of {place} is up to date\n"


def test_status_counts_jobs_by_state_and_queue(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "true")
    queuectl.ok("enqueue", "--queue", "mail", "--delay", "1h", "true")
    queuectl.ok("run", "--until-idle")
    none = dict.fromkeys(JobState, 0)
    no_rules = {"paused": False, "concurrency": None, "rate": None}
    assert queuectl.ok("status", "--json").json == {
        "jobs": none | {"pending": 1, "completed": 1},
        "workers": 0,
        "engines": [],
        "queues": [
            no_rules | {"queue": "default", "jobs": none | {"completed": 1}},
            no_rules | {"queue": "mail", "jobs": none | {"pending": 1}},
        ],
    }
    page = queuectl.ok("status").out
    assert "completed   1\n" in page
    assert "no engine runs" in page
    assert "\nmail " in page


def test_stats_are_figures_over_all_runs(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "-", stdin=b'true\n{"command": "false", "max_retries": 1}')
    assert queuectl("run", "--until-idle").code == 1
    stats = queuectl.ok("stats", "--json").json
    expected = {
        "total_jobs": 2,
        "completed_jobs": 1,
        "dead_jobs": 1,
        "total_runs": 2,
        "total_commands": 2,
        "failed_runs": 1,
        "uptime": 0,
        "oldest_waiting": None,
    }
    assert {key: stats[key] for key in expected} == expected
    assert stats["avg_duration"] == stats["average_runtime"] > 0
    assert stats["p50"] <= stats["p95"] <= stats["p99"] <= stats["max_runtime"]
    assert queuectl.ok("metrics", "--json").json.keys() == stats.keys()
    page = queuectl.ok("stats").out
    assert "jobs        2 (1 completed, 1 dead)\n" in page
    assert "runs        2 (1 failed)\n" in page


def test_stats_of_an_empty_store_have_no_durations(queuectl: Shell) -> None:
    queuectl.ok("db", "init")
    stats = queuectl.ok("stats", "--json").json
    assert (stats["total_jobs"], stats["avg_duration"], stats["p99"]) == (0, None, None)
    assert "durations" not in queuectl.ok("stats").out


def test_a_sound_store_is_said_to_be_so_and_stays_as_it_is(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "true")
    before = Path("queuectl.db").read_bytes()
    result = queuectl.ok("db", "check")
    assert result.out == ""
    assert result.err.startswith(f"· SQLite {sqlite3.sqlite_version}")
    assert result.err.endswith("✓ queuectl.db is sound\n")
    assert queuectl.ok("db", "check", "--json").json == []
    assert Path("queuectl.db").read_bytes() == before


def test_damage_is_told_in_lines(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "--tag", "red", "true")
    with closing(sqlite3.connect("queuectl.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM job_tags")
        connection.execute("DELETE FROM counts")
    result = queuectl("db", "check")
    assert result.code == 1
    assert result.lines == [
        "counts: queue default is said to have 0 pending jobs: it has 1",
        "tags: job job1 cannot be found by its tag red",
    ]
    assert result.err.endswith("✗ queuectl.db is damaged: restore a backup\n")
    as_json = queuectl("db", "check", "--json")
    assert (as_json.code, as_json.err) == (1, "")
    assert as_json.json[1] == {
        "rule": "tags",
        "message": "job job1 cannot be found by its tag red",
        "job_id": "job1",
    }


def test_what_is_no_store_cannot_be_checked(queuectl: Shell) -> None:
    Path("queuectl.db").write_bytes(b"x" * 5000)
    assert queuectl("db", "check").code == 5


def test_a_backup_is_a_store(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "true")
    place = Path("copy.db").absolute()
    result = queuectl.ok("db", "backup", "copy.db")
    assert (result.out, result.err) == (f"{place}\n", "✓ backed up queuectl.db\n")
    assert queuectl.ok("list", "-o", "ids", "--db", "copy.db").lines == ["job1"]
    assert queuectl.ok("db", "check", "--db", "copy.db").code == 0


def test_a_file_that_is_there_is_replaced_only_by_force(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "true")
    Path("copy.db").write_text("precious")
    assert queuectl("db", "backup", "copy.db", "--json").error["code"] == "place_taken"
    assert queuectl("db", "backup", "copy.db").code == 4
    assert Path("copy.db").read_text() == "precious"
    answer = queuectl.ok("db", "backup", "copy.db", "--force", "--json").json
    assert answer == {"backup": str(Path("copy.db").absolute())}


def test_where_nothing_can_be_written_no_backup_is_made(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "true")
    for place in ("nowhere/copy.db", "queuectl.db/copy.db"):
        assert queuectl("db", "backup", place).code == 5
    assert queuectl("db", "backup", "queuectl.db", "--force").code == 2


def test_pruning_deletes_what_is_older_than_said(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "-", stdin=b'true\ntrue\n{"command": "false", "max_retries": 1, "id": "dead"}')
    queuectl("run", "--until-idle")
    assert queuectl.ok("db", "prune").err == "✓ pruned 0 jobs\n"
    assert queuectl.ok("db", "prune", "--older-than", "0", "--dry-run").err == "✓ would prune 2 jobs\n"
    assert queuectl.ok("db", "prune", "--older-than", "0", "--json").json == {"pruned": 2, "dry_run": False}
    assert queuectl.ok("list", "-o", "ids").lines == ["dead"]


def test_pruning_keeps_to_the_setting(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "true")
    queuectl.ok("config", "set", "retention", "none")
    queuectl.ok("run", "--until-idle")
    assert "all jobs are kept" in queuectl.ok("db", "prune").err
    queuectl.ok("config", "set", "retention", "0")
    assert queuectl.ok("db", "prune").err == "✓ pruned 1 job\n"


def test_in_a_directory_that_was_deleted_nothing_is_a_fault(
    queuectl: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for args in (["enqueue", "true"], ["run", "--until-idle"], ["worker", "start", "--detach"], ["list"]):
        nowhere = queuectl(*args)
        assert (nowhere.code, "queuectl.db is nowhere" in nowhere.err) == (5, True)
    whole = ("--db", str(tmp_path / "jobs.db"))
    for args, message in (
        (["enqueue", "--cwd", "x", "true"], "use an absolute path"),
        (["enqueue", "true"], "deleted"),
    ):
        refused = queuectl(*whole, *args)
        assert (refused.code, message in refused.err) == (2, True)
    queuectl.ok(*whole, "enqueue", "--cwd", "/", "true")
    queuectl.ok(*whole, "run", "--until-idle")
