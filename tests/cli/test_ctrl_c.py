"""Ctrl-C and SIGTERM in the moments in which no command runs yet, or none any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from queuectl.cli.interrupt import interruptible
from tests.cli.shell import Terminal

_SIGNALLED = """
import signal, sys
from importlib.abc import MetaPathFinder

_, module, number, ignored, *sys.argv[1:] = sys.argv

class Finder(MetaPathFinder):
    def find_spec(self, name, *_):
        if name == module:
            print("came to it", flush=True)
            signal.raise_signal(int(number))

sys.meta_path.insert(0, Finder())
if ignored:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
from queuectl.__main__ import main
main()
"""
"""What the script of an installed package does, with a signal in the middle of an import."""


def signalled(number: signal.Signals, module: str, *args: str, is_ignored: bool = False) -> tuple[int, str, str]:
    """Run a command line that gets a signal as it imports a module; give its exit code and what it printed."""
    ended = subprocess.run(
        [sys.executable, "-P", "-c", _SIGNALLED, module, str(int(number)), "ignored" if is_ignored else "", *args],
        env={**os.environ, "PYTHONPATH": Terminal.root},
        capture_output=True,
        check=False,
        text=True,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("module", ["queuectl.cli", "asyncio", "asyncclick", "queuectl.cli.errors"])
def test_ctrl_c_ends_it_without_a_word_while_it_loads(module: str) -> None:
    assert signalled(signal.SIGINT, module, "show") == (130, "came to it\n", "")


def test_ctrl_c_that_is_ignored_stays_so() -> None:
    code, out, _ = signalled(signal.SIGINT, "asyncclick", "--version", is_ignored=True)
    assert (code, out.partition("\n")[0]) == (0, "came to it")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        within = signal.getsignal(signal.SIGINT)
    assert (within, signal.signal(signal.SIGINT, before)) == (signal.SIG_IGN, signal.SIG_IGN)


def test_sigterm_ends_it_by_that_signal_while_it_loads() -> None:
    assert signalled(signal.SIGTERM, "asyncclick", "list") == (-signal.SIGTERM, "came to it\n", "")
