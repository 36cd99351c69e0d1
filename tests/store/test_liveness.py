from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from queuectl.store import liveness
from queuectl.store.liveness import is_gone, is_here, is_of_another_boot, start_of, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from queuectl.registration import ProcessIdentity

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def identity_of(pid: int) -> ProcessIdentity:
    return replace(this_process(), pid=pid, start=start_of(pid) or "")


def end_unreaped(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def test_a_process_names_itself_the_same_each_time_and_is_not_gone() -> None:
    me = this_process()

    assert me == this_process()
    assert me.pid == os.getpid()
    assert all((me.host, me.boot_id, me.start))
    assert is_here(me)
    assert not is_gone(me)


@linux_only
def test_the_start_is_counted_in_ticks_since_the_boot(sleeper: subprocess.Popen[bytes]) -> None:
    started = int(start_of(sleeper.pid) or "") / os.sysconf("SC_CLK_TCK")

    assert started == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=5)


@linux_only
def test_a_program_whose_name_looks_like_the_file_it_stands_in(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    shutil.copy(shutil.which("sleep") or "", program)

    with subprocess.Popen([program, "60"]) as process:
        start = start_of(process.pid)
        gone = is_gone(identity_of(process.pid))
        process.kill()

    assert int(start or "") >= int(this_process().start)
    assert not gone


def test_a_process_that_was_reaped_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identity_of(sleeper.pid)
    assert not is_gone(identity)

    sleeper.kill()
    sleeper.wait()

    assert start_of(sleeper.pid) is None
    assert is_gone(identity)


def test_a_zombie_is_gone_though_it_still_has_its_start(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identity_of(sleeper.pid)

    end_unreaped(sleeper)

    assert start_of(sleeper.pid) == identity.start
    assert is_gone(identity)


def test_another_process_under_the_same_id_is_not_the_same(sleeper: subprocess.Popen[bytes]) -> None:
    assert is_gone(replace(identity_of(sleeper.pid), start="1"))


@pytest.mark.parametrize("elsewhere", [{"boot_id": "another"}, {"boot_id": ""}, {"pid_namespace": "pid:[1]"}])
def test_nothing_is_said_about_processes_elsewhere(sleeper: subprocess.Popen[bytes], elsewhere: dict[str, str]) -> None:
    identity = replace(identity_of(sleeper.pid), **elsewhere)  # type: ignore[arg-type] # only texts are replaced
    end_unreaped(sleeper)

    assert not is_here(identity)
    assert not is_gone(identity)


def test_another_boot_is_told_from_an_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    me = this_process()

    assert not is_of_another_boot(me)
    assert is_of_another_boot(replace(me, boot_id="another"))
    assert not is_of_another_boot(replace(me, boot_id=""))
    monkeypatch.setattr(liveness, "_machine", lambda: ("", ""))
    assert not is_of_another_boot(me)


def test_a_machine_that_cannot_be_named_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "_machine", lambda: ("", ""))

    assert not is_here(this_process())
    assert not is_gone(replace(this_process(), start="1"))


def test_the_process_of_another_user_is_there(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError(pid, number)

    identity = identity_of(sleeper.pid)
    monkeypatch.setattr(os, "kill", refuse)

    assert not is_gone(identity)
    assert is_gone(replace(identity, start="1"))


def test_a_process_that_is_hidden_from_us_is_not_taken_for_gone(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hide(pid: int) -> tuple[bool, str]:
        raise FileNotFoundError(pid)

    identity = identity_of(sleeper.pid)
    monkeypatch.setattr(liveness, "_look_at", hide)

    assert not is_gone(identity)


def test_where_there_is_no_proc_psutil_tells_the_same(sleeper: subprocess.Popen[bytes]) -> None:
    is_zombie, start = liveness._look_with_psutil(sleeper.pid)
    assert not is_zombie
    assert float(start) == psutil.Process(sleeper.pid).create_time()

    end_unreaped(sleeper)
    assert liveness._look_with_psutil(sleeper.pid)[0]

    sleeper.wait()
    with pytest.raises(ProcessLookupError):
        liveness._look_with_psutil(sleeper.pid)


@linux_only
def test_psutil_is_not_loaded_for_it() -> None:
    script = (
        "import sys; from queuectl.store.liveness import *; is_gone(this_process());"
        "sys.exit('psutil' in sys.modules or 'subprocess' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
