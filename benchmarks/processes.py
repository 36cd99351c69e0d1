"""The programs that are measured, each as a whole process: its start and its end count."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.benchmark import NothingMeasured

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["environment", "queuectl", "running_engine", "timed", "xargs"]


def queuectl(store: Path | str, *words: str) -> list[str]:
    """Give the command line of a queuectl command."""
    return [sys.executable, "-m", "queuectl", "--db", str(store), *words]


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give an environment with these of queuectl's settings and no others."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("QUEUECTL_")}
    # An installed program is compiled; one that is run from its sources is so from its second start on, unless this
    # forbids it: then each start would be one of the compiler as well.
    clean.pop("PYTHONDONTWRITEBYTECODE", None)
    return clean | {f"QUEUECTL_{name.upper()}": text for name, text in (settings or {}).items()}


def timed(command: Sequence[str], *, lines: bytes = b"", settings: Mapping[str, str] | None = None) -> float:
    """Run a command to its end, with `lines` on its standard input, and give the seconds that took.

    Raises:
        NothingMeasured: its exit code was not 0.
    """
    env = environment(settings)
    began = time.monotonic()
    done = subprocess.run(command, input=lines, stdout=subprocess.DEVNULL, env=env, check=False)
    seconds = time.monotonic() - began
    if done.returncode:
        raise NothingMeasured(f"{' '.join(command[:6])} … ended with {done.returncode}")
    return seconds


def xargs(command: str, jobs: int, workers: int) -> float:
    """Run a shell command so often with `xargs -P`, which keeps nothing, and give the seconds that took."""
    words = ["xargs", "-0", "-P", str(workers), "-n", "1", "sh", "-c"]
    return timed(words, lines=f"{command}\0".encode() * jobs)


@contextmanager
def running_engine(
    store: Path, *words: str, settings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start `queuectl run` with these options; at the end let it drain, and wait for it."""
    command = queuectl(store, "run", "-q", *words)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment(settings)) as engine:
        try:
            yield engine
        finally:
            engine.terminate()
