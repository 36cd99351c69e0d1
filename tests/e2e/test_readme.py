"""The README says what is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl.cli.exits import ExitCode
from queuectl.jobspec import KEYS
from queuectl.settings import SETTINGS

if TYPE_CHECKING:
    from tests.e2e.conftest import Terminal

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_the_python_example_runs(queuectl: Terminal) -> None:
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    queuectl("enqueue", "--id", "first", "echo from the shell")
    queuectl("run", "--until-idle")
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=queuectl.folder, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"enqueued \w{12}\nfirst 0 from the shell\n\n", done.stdout)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_described(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", KEYS)
def test_every_key_of_a_job_is_named(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_explained(code: ExitCode) -> None:
    [table] = re.findall(r"## Exit codes\n(.*?)\n## ", README, re.DOTALL)
    assert re.search(rf"^\|[^|]*\b{int(code)}\b", table, re.MULTILINE)
