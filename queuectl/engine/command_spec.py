"""From a claimed job to what is run: its command line and the environment that the command sees."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queuectl import failpoints
from queuectl.store.place import without_password

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from queuectl.job import Job
    from queuectl.settings import Settings

__all__ = ["CommandSpec", "spec_of", "without_own"]

SHELL = "/bin/sh"
_OWN = re.compile(rf"QUEUECTL_.*(TOKEN|PASSWORD)|{failpoints.VARIABLE}$", re.IGNORECASE)
"""Names of variables that are for queuectl itself: what it is entrusted with, and what is to befall it."""

_PLACES = {"QUEUECTL_DB", "DB_PATH"}
"""Names of variables that tell where the store is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """What is to be run, and within which bounds."""

    argv: tuple[str, ...]
    """The program and its arguments. One without a slash is searched for in the ``PATH`` of `env`."""
    cwd: str | None
    """None for the directory of this process."""
    env: Mapping[str, str] = field(repr=False)
    """The whole environment."""
    stdin: str = field(repr=False)
    timeout: timedelta | None
    """None for no limit."""
    kill_grace: timedelta
    """From SIGTERM to SIGKILL."""
    max_output: int
    """Bytes of each stream that are kept."""


def spec_of(job: Job, settings: Settings, *, base_env: Mapping[str, str]) -> CommandSpec:
    """Say how to run a job that has just been claimed.

    `base_env` is the engine's own environment, from `without_own`: on top of it the command sees the job's own
    variables, then those that tell it which execution it is.
    """
    return CommandSpec(
        argv=(SHELL, "-c", job.command) if isinstance(job.command, str) else job.command,
        cwd=job.cwd,
        env={**base_env, **job.env, **_identity(job, settings)},
        stdin=job.stdin,
        timeout=settings.timeout_of(job),
        kill_grace=settings.kill_grace,
        max_output=settings.max_output,
    )


def without_own(env: Mapping[str, str]) -> dict[str, str]:
    """Copy an environment without what is for queuectl itself and not for what it runs: secrets, armed failpoints.

    The store's place stays there, without its password.
    """
    own = {name: without_password(env[name]) for name in _PLACES & env.keys()}
    return {name: value for name, value in env.items() if not _OWN.match(name)} | own


def _identity(job: Job, settings: Settings) -> dict[str, str]:
    # QUEUECTL_MAX_RETRIES is also the name of a setting; here it speaks of this job, and goes before that.
    return {
        "QUEUECTL_JOB_ID": job.id,
        "QUEUECTL_RUN": str(job.runs),
        "QUEUECTL_ATTEMPT": str(job.attempts + 1),
        "QUEUECTL_MAX_RETRIES": str(settings.max_retries_of(job)),
        "QUEUECTL_QUEUE": job.queue,
        "QUEUECTL_WORKER": str(job.worker),
        "QUEUECTL_ENGINE_ID": str(job.engine_id),
        "QUEUECTL_CLAIM": str(job.claim_token),
    }
