"""Two ways to run queuectl: inside the test's process, which is fast, and as a process, which is the real thing."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import termios
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import queuectl
from queuectl.cli.command_line import run
from tests.waiting import PATIENCE, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What stands on stdout, as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error that stands on stderr, as JSON."""
        return json.loads(self.err)["error"]

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Shell:
    """Runs command lines in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]) -> None:
        self._monkeypatch = monkeypatch
        self._capture = capture

    def __call__(self, *args: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> Result:
        """Run one command line, with `environ` added to its environment."""
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            for name, value in (environ or {}).items():
                patch.setenv(name, value)
            code = run(args)
        out, err = self._capture.readouterr()
        return Result(code, out.decode(), err.decode())

    def ok(self, *args: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> Result:
        """Run one command line, which must end with 0."""
        result = self(*args, stdin=stdin, environ=environ)
        assert result.code == 0, result.err
        return result

    def show(self, job_id: str) -> Any:
        """Read a job."""
        return self.ok("show", job_id, "--json").json


class Terminal:
    """Runs command lines in processes of their own."""

    root = str(Path(queuectl.__file__).parents[1])
    """Where those find the package under test."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()
            process.communicate()

    def start(
        self,
        *args: str,
        environ: Mapping[str, str] | None = None,
        stdin: int = subprocess.PIPE,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        """Start a process with `environ` added to its environment."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "queuectl", *args],
            env={**os.environ, "PYTHONPATH": self.root, **(environ or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
        self._started.append(process)
        return process

    def __call__(self, *args: str, stdin: bytes = b"") -> Result:
        """Run one command line to its end."""
        process = self.start(*args)
        out, err = process.communicate(stdin, timeout=PATIENCE)
        return Result(process.returncode, out.decode(), err.decode())

    def on_screen(self, *args: str) -> tuple[int, str]:
        """Run one command line with stderr on a terminal; give its exit code and what was shown there."""
        return self._on_a_terminal(*args, columns=80, environ={"TERM": "xterm", "NO_COLOR": "1"})

    def at_width(self, columns: int, *args: str, environ: Mapping[str, str] | None = None) -> list[str]:
        """Run one command line on a terminal that is so wide; give the lines that were shown there."""
        code, shown = self._on_a_terminal(*args, columns=columns, environ=environ, has_stdout=True)
        assert code == 0, shown
        return shown.splitlines()

    def _on_a_terminal(
        self, *args: str, columns: int, environ: Mapping[str, str] | None, has_stdout: bool = False
    ) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, columns))
        stdout = theirs if has_stdout else subprocess.PIPE
        process = self.start(*args, stdout=stdout, stderr=theirs, environ=environ)
        os.close(theirs)
        shown = b""
        # Where nobody has the other end any more, some systems say so with an error.
        with open(ours, "rb", buffering=0) as screen, suppress(OSError):  # noqa: PTH123 - a descriptor
            while data := screen.read(4_096):
                shown += data
        return process.wait(), shown.decode()


def start_engine(shell: Shell, terminal: Terminal) -> None:
    """Start an engine that stays, and wait until it is registered."""
    shell.ok("db", "init")
    terminal.start("run", "-q")
    wait_for(lambda: shell.ok("worker", "list", "-o", "ids").lines != [])
