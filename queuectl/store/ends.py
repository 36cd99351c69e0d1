"""The end of a run, as it is to be stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from queuectl.job import FINAL_STATES, JobState
from queuectl.outcome import Exited, Interrupted, Signalled, SpawnFailed, TimedOut
from queuectl.output import NO_OUTPUT
from queuectl.store.base import Execution
from queuectl.transition import Complete, Release, Retry, if_cancelled

if TYPE_CHECKING:
    from datetime import datetime

    from queuectl.job import Claim, Job
    from queuectl.transition import Transition

__all__ = ["End", "given_back"]


@dataclass(frozen=True, slots=True)
class End:
    """What became of a claimed job's run, and of the job."""

    claim: Claim
    execution: Execution
    transition: Transition

    @property
    def exit_code(self) -> int | None:
        """The exit code, or what a shell would give as one; None where there is none."""
        outcome = self.execution.outcome
        return outcome.exit_code if isinstance(outcome, (Exited, SpawnFailed)) else None

    @property
    def signal(self) -> int | None:
        """The signal that ended it; None where none did."""
        outcome = self.execution.outcome
        return outcome.signal if isinstance(outcome, Signalled) else None

    @property
    def is_by_itself(self) -> bool:
        """Whether the execution ended by itself, so that its exit code is the job's."""
        return isinstance(self.execution.outcome, (Exited, Signalled, TimedOut, SpawnFailed))

    @property
    def error(self) -> str | None:
        """Why it did not succeed."""
        return None if isinstance(self.transition, Complete) else self.transition.error

    @property
    def cancel_error(self) -> str | None:
        """Why the job is over if a user has asked to cancel it; None where it succeeded, which stands."""
        cancelled = if_cancelled(self.transition)
        return None if isinstance(cancelled, Complete) else cancelled.error

    @property
    def run_at(self) -> datetime | None:
        """When the job is due again; None where that stays as it was."""
        return self.transition.run_at if isinstance(self.transition, Retry) else None

    @property
    def is_ready(self) -> bool:
        """Whether the job may be claimed at once."""
        return self.transition.state is JobState.PENDING

    @property
    def is_final(self) -> bool:
        """Whether the job is over."""
        return self.transition.state in FINAL_STATES


def given_back(job: Job) -> End:
    """Make the end of a run whose engine stops while it holds the job."""
    outcome = Interrupted("given back when its engine stopped")
    execution = Execution(outcome=outcome, duration=None, output=NO_OUTPUT)
    return End(job.claim, execution, Release(job.attempts, job.crashes, outcome.reason))
