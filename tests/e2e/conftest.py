"""A terminal of one's own: a folder, an environment without settings, and `queuectl` on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Terminal:
    """Runs `queuectl` as a user does, in `folder`, to its end."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, stdin: str = "", expect: int = 0) -> str:
        """Give what the command prints to stdout, when its exit code is as expected."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == expect, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Give all that became of the command."""
        return subprocess.run(
            self.argv(*words),
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def argv(self, *words: str) -> list[str]:
        """Give the command line of a process."""
        return [sys.executable, "-m", "queuectl", *words]

    @property
    def environment(self) -> dict[str, str]:
        """The environment that commands run in."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("QUEUECTL_", "DB_PATH"))}
        return clean | self.env


@pytest.fixture
def queuectl(tmp_path: Path) -> Terminal:
    """Give a terminal in an empty folder."""
    return Terminal(tmp_path)
