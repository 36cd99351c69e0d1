"""Which process is which, and whether it is still there. Nothing here depends on the machine's wall clock."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

from queuectl.registration import ProcessIdentity

__all__ = ["is_gone", "is_here", "is_of_another_boot", "start_of", "this_process"]


def this_process() -> ProcessIdentity:
    """Name the process that calls this."""
    boot_id, pid_namespace = _machine()
    return ProcessIdentity(
        host=os.uname().nodename,
        boot_id=boot_id,
        pid_namespace=pid_namespace,
        pid=os.getpid(),
        start=start_of(os.getpid()) or "",
    )


def start_of(pid: int) -> str | None:
    """Give when a process started, in the machine's own terms; None where there is none of that id.

    On Linux these are clock ticks since the boot. A zombie still has its start.

    Raises:
        OSError: the process is there, or may be, and could not be looked at.
    """
    try:
        return _look_at(pid)[1]
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_here(process: ProcessIdentity) -> bool:
    """Tell whether a process runs, or ran, where this one does: same boot of the machine, same ids for processes."""
    return process.boot_id != "" and (process.boot_id, process.pid_namespace) == _machine()


def is_gone(process: ProcessIdentity) -> bool:
    """Tell whether a process has provably ended: it was here, and is no more. A zombie has ended."""
    if not is_here(process):
        return False
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # Another user's, but there.
    try:
        is_zombie, start = _look_at(process.pid)
    except OSError:
        # Hidden from us, or gone this very moment: then the next look will tell.
        return False
    return is_zombie or start != process.start


def is_of_another_boot(process: ProcessIdentity) -> bool:
    """Tell whether a process belongs to another boot than this one, of this machine or another."""
    boot_id, _ = _machine()
    return "" not in {process.boot_id, boot_id} and process.boot_id != boot_id


@cache
def _machine() -> tuple[str, str]:
    """Give the boot id and the PID namespace; two empty strings where they cannot be told."""
    try:
        if sys.platform == "linux":
            boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            return boot_id, str(Path("/proc/self/ns/pid").readlink())
        return _boot_session(), ""
    except OSError:
        return "", ""


def _boot_session() -> str:
    import subprocess  # noqa: PLC0415 - only macOS needs it

    # The time of the boot, which psutil knows, moves with the wall clock; this does not.
    command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _look_at(pid: int) -> tuple[bool, str]:
    """Tell whether a process is a zombie, and when it started.

    Raises:
        FileNotFoundError, ProcessLookupError: there is none of that id.
        OSError: it could not be looked at.
    """
    if sys.platform == "linux":
        # The second field is the program's name in brackets, which may itself hold brackets and blanks.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return fields[0] in {b"Z", b"X"}, fields[19].decode()
    return _look_with_psutil(pid)


def _look_with_psutil(pid: int) -> tuple[bool, str]:
    import psutil  # noqa: PLC0415 - its import takes a while, and Linux does without

    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE, repr(process.create_time())
    except psutil.ZombieProcess:
        return True, ""
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(str(error)) from error
    except psutil.AccessDenied as error:
        raise PermissionError(str(error)) from error
