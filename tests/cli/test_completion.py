"""Completion: asked for as a shell does it, and in a shell that there is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl.settings import SETTINGS
from tests.cli.test_startup import FOR_EVERY_COMMAND, loaded_by

if TYPE_CHECKING:
    from tests.cli.shell import Shell, Terminal


def complete(queuectl: Shell, line: str, **environ: str) -> dict[str, str]:
    """Ask, as zsh does, what the last word of a command line may become; give each answer with its help."""
    count = len(line.split(" ")) - 1
    asked = {"_QUEUECTL_COMPLETE": "zsh_complete", "COMP_WORDS": line, "COMP_CWORD": str(count)}
    result = queuectl.ok(environ=asked | environ)
    assert result.err == ""
    lines = result.out.splitlines()
    if not any(lines):
        return {}
    assert set(lines[::3]) == {"plain"}
    return dict(zip(lines[1::3], lines[2::3], strict=True))


@pytest.fixture
def _jobs(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "--queue", "mail", "--tag", "red", "echo one\necho two")
    queuectl.ok("enqueue", "--id", "job2", "--max-retries", "1", "--", "false", "it fails")
    queuectl("run", "--until-idle", "--queue", "default")


def test_commands_are_completed_with_their_help(queuectl: Shell) -> None:
    assert complete(queuectl, "queuectl st") == {
        "status": "jobs by state, engines, queues",
        "stats": "runs, failures, durations, throughput",
    }
    assert list(complete(queuectl, "queuectl dlq ")) == ["list", "purge", "retry", "show"]
    assert "initdb" not in complete(queuectl, "queuectl ")


def test_pages_of_the_manual_are_completed(queuectl: Shell) -> None:
    assert complete(queuectl, "queuectl help e").keys() == {"enqueue", "explain", "edit", "environment", "exit-codes"}
    assert complete(queuectl, "queuectl help queue ").keys() == {"list", "pause", "resume", "set"}
    assert complete(queuectl, "queuectl help queue set ") == {}


def test_options_are_completed(queuectl: Shell) -> None:
    assert complete(queuectl, "queuectl list --st").keys() == {"--state"}
    assert {"--db", "--json", "--version"} <= complete(queuectl, "queuectl --").keys()
    assert complete(queuectl, "queuectl list --sort f").keys() == {"finished"}
    assert complete(queuectl, "queuectl -o ").keys() == {"table", "json", "ndjson", "ids"}


@pytest.mark.usefixtures("_jobs")
def test_ids_are_completed_with_what_they_are(queuectl: Shell) -> None:
    both = {"job1": r"pending: echo one\necho two", "job2": "dead: false 'it fails'"}
    assert complete(queuectl, "queuectl show ") == both
    assert complete(queuectl, "queuectl logs job") == both
    assert complete(queuectl, "queuectl explain job") == both
    assert complete(queuectl, "queuectl show x") == {}
    assert complete(queuectl, "queuectl --db nowhere.db show ") == {}
    assert complete(queuectl, "queuectl --db queuectl.db show ") == both
    assert complete(queuectl, "queuectl enqueue --id ") == {}


@pytest.mark.usefixtures("_jobs")
def test_only_jobs_that_a_command_is_for_are_offered_and_each_once(queuectl: Shell) -> None:
    assert complete(queuectl, "queuectl retry ").keys() == {"job2"}
    assert complete(queuectl, "queuectl retry job2 ") == {}
    assert complete(queuectl, "queuectl dlq show ").keys() == {"job2"}
    assert complete(queuectl, "queuectl cancel ").keys() == {"job1"}
    assert complete(queuectl, "queuectl enqueue --after ").keys() == {"job1", "job2"}


@pytest.mark.usefixtures("_jobs")
def test_queues_tags_and_states_are_completed(queuectl: Shell) -> None:
    assert complete(queuectl, "queuectl list --queue ").keys() == {"default", "mail"}
    assert complete(queuectl, "queuectl run --queue m").keys() == {"mail"}
    assert complete(queuectl, "queuectl list --tag ").keys() == {"red"}
    assert complete(queuectl, "queuectl list --state c").keys() == {"completed", "cancelled"}
    assert complete(queuectl, "queuectl list --state dead,pe").keys() == {"dead,pending"}


def test_settings_and_their_values_are_completed(queuectl: Shell) -> None:
    assert complete(queuectl, "queuectl config get ").keys() == SETTINGS.keys()
    assert complete(queuectl, "queuectl config set max-r") == {"max-retries": SETTINGS["max_retries"].help}
    assert complete(queuectl, "queuectl config set backoff ").keys() == {"exponential", "linear", "fixed"}
    assert complete(queuectl, "queuectl config set timeout ").keys() == {"none"}
    assert complete(queuectl, "queuectl config set lease ").keys() == {"30s"}
    assert complete(queuectl, "queuectl enqueue --backoff l").keys() == {"linear"}


def test_engines_are_completed(queuectl: Shell, terminal: Terminal) -> None:
    engine = terminal.start("run", "--db", "queuectl.db", "--json")
    assert engine.stderr is not None
    engine.stderr.readline()
    [(engine_id, told)] = complete(queuectl, "queuectl worker stop ").items()
    assert told.startswith(f"process {engine.pid} on ")
    assert engine_id == queuectl.ok("worker", "list", "-o", "ids").lines[0]


@pytest.mark.parametrize("line", ["queuectl nothing x", "queuectl show ", "queuectl config set nothing ", "queuectl"])
@pytest.mark.parametrize("content", [None, b"no store at all" * 400])
def test_an_error_says_nothing_and_makes_nothing(queuectl: Shell, line: str, content: bytes | None) -> None:
    if content:
        Path("queuectl.db").write_bytes(content)
    complete(queuectl, line, QUEUECTL_BUSY_TIMEOUT="no time")
    assert [path.name for path in Path.cwd().iterdir()] == (["queuectl.db"] if content else [])


def test_a_shell_that_asks_oddly_gets_no_answer(queuectl: Shell) -> None:
    for asked in ("zsh_complete", "tcsh_complete", "nonsense"):
        result = queuectl.ok(environ={"_QUEUECTL_COMPLETE": asked})
        assert (result.out, result.err) == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_reads(queuectl: Shell, shell: str) -> None:
    script = queuectl.ok("completion", shell).out
    assert f"_QUEUECTL_COMPLETE={shell}_complete" in script
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here to read its script")
    subprocess.run([shell, "-n"], input=script, text=True, check=True, capture_output=True)


def test_another_shell_is_refused(queuectl: Shell) -> None:
    assert queuectl("completion", "tcsh").code == 2


@pytest.mark.usefixtures("_jobs")
def test_bash_completes_a_command_line(queuectl: Shell, terminal: Terminal) -> None:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    program = Path("bin/queuectl")
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m queuectl "$@"\n')
    program.chmod(0o755)
    script = f"""
        {queuectl.ok("completion", "bash").out}
        COMP_WORDS=(queuectl show jo) COMP_CWORD=2
        _queuectl_completion queuectl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environ = os.environ | {"PATH": f"{program.parent.absolute()}:{os.environ['PATH']}", "PYTHONPATH": terminal.root}
    ended = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert (ended.stdout.split(), ended.stderr) == (["job2", "job1"], "")


def test_commands_are_completed_without_loading_any(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_QUEUECTL_COMPLETE": "bash_complete", "COMP_WORDS": "queuectl s", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    loaded = loaded_by()
    own = {"queuectl.cli.completion", "queuectl.cli.render"}
    assert {name for name in loaded if name.startswith("queuectl.cli.")} == FOR_EVERY_COMMAND | own
