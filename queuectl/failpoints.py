"""Places where a test lets this process die, hang or stop, to show that nothing is lost there.

The environment arms them: ``QUEUECTL_FAILPOINTS=command-exited=kill,committed=sleep:5@3`` kills the process with
SIGKILL where a command has ended and its end is not yet stored, and holds it for five seconds after its third commit.
Unarmed, a failpoint is a call of a function that does nothing. This is the one module at the bottom that touches the
process itself: the store and the engine both pass through it, and the pure modules do not know it.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import time
from enum import StrEnum
from typing import TYPE_CHECKING

from queuectl.errors import InvalidSetting, quote

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VARIABLE", "Failpoint", "arm", "reach"]

VARIABLE = "QUEUECTL_FAILPOINTS"
"""The variable that arms failpoints: ``name=action``, several with commas between. Commands do not inherit it.

An action is ``kill`` (SIGKILL), ``stop`` (SIGSTOP) or ``sleep:SECONDS``, which holds the thread that comes by: the
event loop or, inside a transaction, the one that has the write lock. Each acts once, at the first hit or at the N-th
with ``@N``.
"""


class Failpoint(StrEnum):
    """Every failpoint, in the order of a store's, an engine's and a job's life."""

    FILE_CREATED = "file-created"
    """The store's file is there, and empty."""
    MIGRATING = "migrating"
    """A statement of a migration was run, or the whole of it where it is run at once. There is a hit for each."""
    MIGRATED = "migrated"
    """A migration is committed, and not all is done that makes a store. There is a hit for each."""
    ENQUEUING = "enqueuing"
    """Jobs are inserted and not committed."""
    COMMITTED = "committed"
    """A transaction is committed and nobody was answered, nor woken. There is a hit for each of the process."""
    ENGINE_REGISTERED = "engine-registered"
    """The engine is known to the store and has not done anything else."""
    CLAIMING = "claiming"
    """Jobs are taken and not committed."""
    JOB_CLAIMED = "job-claimed"
    """A worker holds a job, whose command was not started."""
    COMMAND_SPAWNED = "command-spawned"
    """The command runs, and neither the engine nor the store knows its process."""
    COMMAND_EXITED = "command-exited"
    """The command has ended, and its end was not handed in."""
    FINISHING = "finishing"
    """The ends of runs are recorded and not committed."""
    ENGINE_FENCED = "engine-fenced"
    """A dead engine is taken off. Where it had only fallen silent, its jobs are not looked at yet."""
    LEFTOVERS_KILLED = "leftovers-killed"
    """What dead engines left running was killed, their jobs are where they were."""
    RESCUING = "rescuing"
    """A job of a dead engine is moved on and not committed."""
    DRAIN_BEGUN = "drain-begun"
    """The engine drains, and waits for its commands."""
    DRAIN_FORCED = "drain-forced"
    """The engine's commands were told to stop."""
    DEREGISTERING = "deregistering"
    """The engine has done everything but to take itself off."""
    PRUNING = "pruning"
    """Old jobs are deleted and not committed."""
    CHECKPOINT_BEGUN = "checkpoint-begun"
    """The log is about to be moved into the file, under the lock."""
    CHECKPOINT_DONE = "checkpoint-done"
    """The log was moved, the lock is still held."""


_TRAP = r"(?P<name>[^=]+)=(?P<action>kill|stop|sleep:(?P<seconds>\d+(\.\d+)?))(@(?P<hit>[1-9]\d*))?"
_TO_REST = 0.3
"""Seconds for a write to come to its end, on a busy machine too."""
_USE = "use name=kill, name=stop or name=sleep:SECONDS, with @N behind it for the N-th hit"


def arm(text: str) -> Callable[[Failpoint], None]:
    """Make the function that is called at each failpoint, from the text of `VARIABLE`.

    Raises:
        InvalidSetting: there is no such failpoint, or no such action.
    """
    traps = dict(_read(word) for word in text.split(",") if word.strip())
    if not traps:
        return _pass_by

    def spring(failpoint: Failpoint) -> None:
        if trap := traps.get(failpoint):
            trap(failpoint)

    return spring


def _read(word: str) -> tuple[Failpoint, Callable[[Failpoint], None]]:
    found = re.fullmatch(_TRAP, word.strip(), re.ASCII)
    if found is None:
        raise InvalidSetting(f"{VARIABLE} has {quote(word.strip())}: {_USE}")
    name = found["name"]
    if name not in {*Failpoint}:
        raise InvalidSetting(
            f"{VARIABLE} names the failpoint {quote(name)}, which does not exist: there are {', '.join(Failpoint)}"
        )
    return Failpoint(name), _trap(found["action"], float(found["seconds"] or 0), int(found["hit"] or 1))


def _trap(action: str, seconds: float, hit: int) -> Callable[[Failpoint], None]:
    """Make what counts the hits of a failpoint, and acts if it is the one."""
    hits = itertools.count(1)

    def reached(failpoint: Failpoint) -> None:
        if next(hits) != hit:
            return
        # Not through the log: nothing of the process is to be used that may be in the middle of something.
        os.write(2, f"failpoint {failpoint}: {action}\n".encode())
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == "stop":
            # A process that is suspended amid a write keeps all others from writing. So its other threads may end what
            # they are at; nothing new is given to them meanwhile.
            time.sleep(_TO_REST)
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            time.sleep(seconds)

    return reached


def _pass_by(_failpoint: Failpoint, /) -> None:
    pass


reach: Callable[[Failpoint], None] = arm(os.environ.get(VARIABLE, ""))
"""Called at each failpoint. It does nothing unless the environment of this process has armed that one."""
