"""Each test has a directory of its own, and no settings from outside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.shell import Shell, Terminal
from tests.engine.engines import Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("QUEUECTL_") or name in {"COLUMNS", "DB_PATH", "NO_COLOR"}:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def any_kind_of_store(new_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch, _clean_environment: None) -> None:
    """Have commands use a store of each kind in turn."""
    monkeypatch.setenv("QUEUECTL_DB", new_url())


@pytest.fixture
def queuectl(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Shell:
    """Runs command lines in this process."""
    return Shell(monkeypatch, capfdbinary)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Runs command lines in processes of their own, and ends what is left of them."""
    with Terminal() as terminal:
        yield terminal


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """The named pipe ``gate``, from which commands read a line to wait for it."""
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.close()
