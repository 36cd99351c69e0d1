from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from queuectl.engine import leftovers
from queuectl.engine.leftovers import kill_leftovers
from queuectl.store.liveness import start_of
from tests.engine.commands import JOB, lives
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from queuectl.job import Job

SLEEP = "sleep 60"


def marks(job: Job) -> dict[str, str]:
    return {
        "QUEUECTL_JOB_ID": job.id,
        "QUEUECTL_ENGINE_ID": job.engine_id or "",
        "QUEUECTL_CLAIM": str(job.claim_token),
    }


@contextmanager
def running(line: str, job: Job | None, *, pids: int = 1) -> Iterator[list[int]]:
    """Run a line in a session of its own, with a job's marks, and give the numbers it prints, each a process's id."""
    env = {"PATH": os.environ["PATH"]} | (marks(job) if job else {})
    command = ["/bin/sh", "-c", line]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        found = [int(process.stdout.readline()) for _ in range(pids)]
        try:
            yield found
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for pid in filter(lives, found):
                os.kill(pid, signal.SIGKILL)


def with_process(job: Job, pid: int) -> Job:
    """Give the job as it is once its engine has reported the process."""
    return replace(job, pid=pid, pid_start=start_of(pid))


async def test_what_carries_the_marks_is_dead_when_the_answer_comes() -> None:
    with running(f"trap '' TERM; {SLEEP} & echo $$; {SLEEP}; {SLEEP}", JOB) as (shell,):
        assert (await kill_leftovers([JOB]))[JOB.id] >= 2

        assert not lives(shell)
        assert not session_lives(shell)


def session_lives(session: int) -> bool:
    return any(lives(pid) and os.getsid(pid) == session for pid in psutil.pids())


async def test_what_left_the_session_is_found_by_its_environment() -> None:
    with running(f"setsid sh -c 'echo $$; exec {SLEEP}' & wait", JOB) as (daemon,):
        assert os.getsid(daemon) == daemon

        assert await kill_leftovers([JOB]) == {JOB.id: 2}

        assert not lives(daemon)


async def test_what_dropped_its_environment_is_found_by_the_session_of_one_that_did_not() -> None:
    with running(f"env -i sh -c 'echo $$; exec {SLEEP}' & wait", JOB) as (bare,):
        assert await kill_leftovers([JOB]) == {JOB.id: 2}

        assert not lives(bare)


async def test_what_dropped_its_environment_is_found_by_the_process_that_was_reported() -> None:
    with running(f"echo $$; {SLEEP} & echo $!; wait", None, pids=2) as (leader, child):
        assert await kill_leftovers([JOB]) == {JOB.id: 0}

        assert await kill_leftovers([with_process(JOB, leader)]) == {JOB.id: 2}

        assert not lives(leader)
        assert not lives(child)


async def test_who_started_one_that_begins_in_the_midst_of_a_look_is_let_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    words = shlex.join(f"{name}={value}" for name, value in marks(JOB).items())
    begins = f"sh -c 'echo $$; read -r _ < {gate}; exec setsid env {words} {SLEEP}'"
    with running(f"echo $$; {begins} & wait; {SLEEP}", None, pids=2) as (starter, command):
        read = leftovers._mark_in

        def begin_first(process: psutil.Process) -> tuple[str | None, ...]:
            if process.pid == command and os.getsid(command) == starter:
                gate.write_text("go\n")
                wait_for(lambda: JOB.id in read(process))
            return read(process)

        monkeypatch.setattr(leftovers, "_mark_in", begin_first)

        assert await kill_leftovers([JOB]) == {JOB.id: 1}

        assert not lives(command)
        assert lives(starter)


async def test_one_that_is_stopped_is_killed_too() -> None:
    with running("echo $$; kill -STOP $$", JOB) as (stopped,):
        assert await kill_leftovers([JOB]) == {JOB.id: 1}

        assert not lives(stopped)


async def test_one_that_forks_all_the_time_is_killed_to_the_last() -> None:
    with running(f"{SLEEP} & echo $$; while :; do {SLEEP} & env -i true; done", JOB) as (shell,):
        assert (await kill_leftovers([JOB]))[JOB.id] >= 2

        assert not session_lives(shell)


async def test_another_process_under_the_reported_id_is_let_be() -> None:
    with running(f"echo $$; {SLEEP}; true", None) as (leader,):
        reused = replace(with_process(JOB, leader), pid_start="1")

        assert await kill_leftovers([reused]) == {JOB.id: 0}

        assert lives(leader)


async def test_one_that_leads_no_session_is_not_the_reported_process() -> None:
    with running(f"{SLEEP} & echo $!; wait", None) as (child,):
        assert await kill_leftovers([with_process(JOB, child)]) == {JOB.id: 0}

        assert lives(child)


@pytest.mark.parametrize(
    "other", [replace(JOB, id="job2"), replace(JOB, engine_id="e2"), replace(JOB, claim_token=JOB.claim_token + 1)]
)
async def test_other_executions_are_let_be(other: Job) -> None:
    with running(f"echo $$; {SLEEP}; true", other) as (theirs,), running(f"echo $$; {SLEEP}; true", JOB) as (ours,):
        killed = await kill_leftovers([JOB])

        assert killed[JOB.id] >= 1
        assert not lives(ours)
        assert lives(theirs)


async def test_many_jobs_at_once() -> None:
    jobs = [replace(JOB, id=f"job{number}") for number in range(3)]
    with running(f"echo $$; exec {SLEEP}", jobs[0]), running(f"echo $$; exec {SLEEP}", jobs[2]):
        assert await kill_leftovers(jobs) == {"job0": 1, "job1": 0, "job2": 1}


async def test_no_jobs_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "pids", None)

    assert await kill_leftovers([]) == {}


def test_an_engine_that_a_job_started_kills_neither_itself_nor_its_own_session() -> None:
    script = """
import asyncio
from queuectl.engine.leftovers import kill_leftovers
from tests.engine.commands import JOB
print(asyncio.run(kill_leftovers([JOB]))[JOB.id])
"""
    marked = [f"{name}={value}" for name, value in marks(JOB).items()]
    engine = shlex.join([sys.executable, "-c", script])
    line = f"env {shlex.join(marked)} {SLEEP} & env {shlex.join(marked)} {engine}; echo spared"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    answer = subprocess.run(
        ["/bin/sh", "-c", line], env=env, capture_output=True, text=True, check=False, start_new_session=True
    )

    assert answer.stdout.split() == ["1", "spared"], answer.stderr


async def test_the_event_loop_goes_on_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    looking, going_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow_look() -> Iterator[None]:
        loop.call_soon_threadsafe(looking.set)
        asyncio.run_coroutine_threadsafe(going_on.wait(), loop).result()
        return iter(())

    monkeypatch.setattr(leftovers, "_processes", slow_look)
    hunt = asyncio.create_task(kill_leftovers([JOB]))
    await looking.wait()
    going_on.set()

    assert await hunt == {JOB.id: 0}


async def test_one_that_does_not_die_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_PATIENCE", 0.1)
    monkeypatch.setattr(leftovers, "_kill", lambda _: False)
    with running(f"echo $$; exec {SLEEP}", JOB) as (immortal,):
        assert await kill_leftovers([JOB]) == {JOB.id: 0}

        assert lives(immortal)


async def test_a_look_that_fails_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(psutil, "pids", fail)

    with pytest.raises(OSError, match="Too many open files"):
        await kill_leftovers([JOB])
