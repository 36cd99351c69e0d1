"""huey as a peer: a queue in SQLite whose consumer runs shell commands. Imported by huey's own consumer.

HUEY_FILE=huey.db HUEY_FSYNC=1 python -m huey.bin.huey_consumer benchmarks.peer_huey.QUEUE
"""

from __future__ import annotations

import os
import subprocess

from huey import SqliteHuey

__all__ = ["QUEUE", "enqueue"]

QUEUE = SqliteHuey(filename=os.environ["HUEY_FILE"], fsync=bool(int(os.environ["HUEY_FSYNC"])))


def run(command: str) -> tuple[int, bytes]:
    """Run a command through a shell; what comes back is stored as the task's result."""
    done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode, done.stdout


TASK = QUEUE.task(name="run")(run)


def enqueue(command: str, jobs: int) -> None:
    """Enqueue the same command so many times."""
    for _ in range(jobs):
        TASK(command)
