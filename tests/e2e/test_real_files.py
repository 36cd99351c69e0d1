"""Work that nobody made up: real files, hashed and compiled; every output and exit code as when run directly."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from queuectl import FINAL_STATES, JobFilter, open_store

if TYPE_CHECKING:
    from tests.e2e.conftest import Terminal

FILES = int(os.environ.get("QUEUECTL_TEST_FILES", "24"))
"""How many; set it to some thousands for a long run."""


def real_files(count: int) -> list[Path]:
    """Give sources of the standard library, one that is no Python among them."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    return [*sorted(stdlib.rglob("*.py"))[: count - 1], Path(sys.executable)]


def commands_for(files: list[Path], copies: Path) -> dict[str, list[str]]:
    """Give commands by job id: each file hashed, and a copy of it compiled."""
    copies.mkdir()
    commands = {}
    for number, file in enumerate(files):
        copy = copies / f"{number}.py"
        shutil.copyfile(file, copy)
        commands[f"hash-{number}"] = ["sha256sum", str(file)]
        commands[f"compile-{number}"] = [sys.executable, "-m", "py_compile", str(copy)]
    return commands


def run_directly(command: list[str]) -> tuple[int, bytes, bytes]:
    """Give exit code, stdout and stderr of a command."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


async def stored_results(store_path: Path) -> dict[str, tuple[int | None, bytes, bytes]]:
    """Give exit code, stdout and stderr of each job's last run."""
    async with open_store(store_path, read_only=True) as store:
        jobs = [job async for job in store.list_jobs(JobFilter())]
        assert {job.state for job in jobs} <= FINAL_STATES
        outputs = {job.id: await store.read_output(job.id, job.runs) for job in jobs}
        return {job.id: (job.exit_code, outputs[job.id].stdout, outputs[job.id].stderr) for job in jobs}


def enqueue_all(queuectl: Terminal, commands: dict[str, list[str]]) -> None:
    """Store one job for each command, one attempt each."""
    lines = (json.dumps({"id": name, "command": command, "max_retries": 1}) for name, command in commands.items())
    assert queuectl("enqueue", "-", stdin="\n".join(lines)).split() == list(commands)


def kill_engine_after(queuectl: Terminal, finished: int) -> None:
    """Run an engine until it has finished so many jobs, then kill it outright."""
    command = queuectl.argv("run", "--workers", "8", "--until-idle")
    with subprocess.Popen(
        command, cwd=queuectl.folder, env=queuectl.environment, stderr=subprocess.PIPE, text=True
    ) as engine:
        assert engine.stderr is not None
        ends = (line for line in engine.stderr if '"event": "job ' in line)
        for _ in range(finished):
            next(ends)
        os.kill(engine.pid, signal.SIGKILL)


async def test_results_are_those_of_running_directly(queuectl: Terminal, tmp_path: Path) -> None:
    commands = commands_for(real_files(FILES), tmp_path / "copies")
    enqueue_all(queuectl, commands)

    queuectl("run", "--workers", "8", "--until-idle", expect=1)  # The program's binary is no Python source.

    results = await stored_results(queuectl.folder / "queuectl.db")
    assert results == {name: run_directly(command) for name, command in commands.items()}


async def test_results_are_the_same_when_the_engine_is_killed_in_the_middle(queuectl: Terminal, tmp_path: Path) -> None:
    commands = commands_for(real_files(FILES), tmp_path / "copies")
    enqueue_all(queuectl, commands)

    kill_engine_after(queuectl, FILES // 2)
    queuectl("run", "--workers", "8", "--until-idle", expect=1)

    results = await stored_results(queuectl.folder / "queuectl.db")
    assert results == {name: run_directly(command) for name, command in commands.items()}
    jobs = json.loads(queuectl("list", "--json", "--limit", "0"))
    assert {job["attempts"] for job in jobs} == {1}
    assert any(job["runs"] == 2 for job in jobs)
