"""An engine in a process of its own, which outlives the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import asyncclick as click

import queuectl
from queuectl.cli.render import emit, print_document
from queuectl.duration import format_duration
from queuectl.errors import StoreReadOnly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from queuectl.cli.invocation import Invocation
    from queuectl.registration import EngineRecord
    from queuectl.store.base import Store

__all__ = ["start_in_background"]

LOOK_AGAIN = 0.2
"""Seconds: a process that fails at its start changes nothing in the store."""
LOG_TAIL = 2_000
"""Bytes of the log that are shown when the start fails."""


async def start_in_background(invocation: Invocation, **options: Any) -> int:
    """Start an engine, wait until it is registered, and print its id.

    Of one that ends before it is seen there, the end of its log is shown, and its exit code given.
    """
    async with invocation.store() as store:
        log = invocation.log
        known = {engine.id for engine in await store.engines()}
        with _open_log(log) as file:
            log_start = file.tell()
            process = _spawn([*_program(), *_arguments(invocation, **options)], invocation.url, file)
        engine = await _wait_until_registered(store, process, known)
    if engine is None:
        click.echo(_read_from(log, log_start), err=True, nl=False)
        # As a shell counts: a process that signal N ended has the code 128 + N.
        return process.returncode if process.returncode >= 0 else 128 - process.returncode
    if invocation.is_json:
        print_document({"engine": engine.id, "pid": process.pid, "log": str(log)})
    else:
        emit(engine.id)
    invocation.say(f"engine {engine.id} runs in the background, pid {process.pid}, log {log}")
    return 0


def _program() -> Sequence[str]:
    # Python puts the current directory first on its path for -m, and what lies there could stand in for a module.
    is_here = Path(queuectl.__file__).parents[1] == Path.cwd()
    return [sys.executable, *([] if is_here else ["-P"]), "-m", "queuectl"]


def _arguments(
    invocation: Invocation,
    *,
    workers: int | None,
    queues: Sequence[str],
    until_idle: bool,
    drain_timeout: timedelta | None,
    trust_store: bool,
) -> Sequence[str]:
    """Give the command line of the engine."""
    return [
        "run",
        *([] if workers is None else ["--workers", str(workers)]),
        *(word for queue in queues for word in ("--queue", queue)),
        *(["--until-idle"] if until_idle else []),
        *([] if drain_timeout is None else ["--drain-timeout", format_duration(drain_timeout)]),
        *(["--trust-store"] if trust_store else []),
        *(["--json"] if invocation.is_json else []),
        *(["--quiet"] if invocation.quiet else []),
        *(["--verbose"] * invocation.verbosity),
    ]


def _open_log(path: Path) -> IO[bytes]:
    """Open a file to be written at its end, and read by its owner alone."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError as error:
        raise StoreReadOnly(f"the log {path} cannot be written: {error.strerror}") from error


def _spawn(command: Sequence[str], store: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that no terminal ends it."""
    # Not on the command line, which everyone on the machine can read: a URL may have a password.
    environ = {**os.environ, "QUEUECTL_DB": store}
    return subprocess.Popen(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


async def _wait_until_registered(
    store: Store, process: subprocess.Popen[bytes], known: set[str]
) -> EngineRecord | None:
    """Give the engine of a process, or None if that ends without one; `known` are those that were there before."""
    while process.poll() is None:
        for engine in await store.engines():
            if engine.id not in known and engine.process.pid == process.pid:
                return engine
        await store.wait_for_change(LOOK_AGAIN)
    return None


def _read_from(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(max(start, file.seek(0, os.SEEK_END) - LOG_TAIL))
        return file.read().decode(errors="replace")
