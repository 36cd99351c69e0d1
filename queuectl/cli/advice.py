"""The words for each reason why a job does not run: a sentence that is true of it, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, assert_never

from queuectl import reasons
from queuectl.cli.text import counted, escape, in_time, listed, moment_text
from queuectl.errors import quote
from queuectl.queue_rules import format_rate
from queuectl.situation import MOST_COUNTED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from queuectl.reasons import JobsAhead, Ready, Reason, WorkersBusy
    from queuectl.situation import Prerequisite

    _OfItsTurn: TypeAlias = JobsAhead | WorkersBusy | Ready

__all__ = ["Advice", "Adviser"]


class Advice(NamedTuple):
    """What is said about a reason."""

    message: str
    """What is so, as a sentence without a full stop."""
    do: str
    """What a user can do about it, with the command line for it."""

    def __str__(self) -> str:
        """Write both in a line."""
        return f"{self.message}; {self.do}"


class Adviser:
    """Puts reasons of one job into words."""

    def __init__(self, job_id: str, now: datetime, line: Callable[[str], str]) -> None:
        """Take the time by the store's clock, and what makes a whole command line of a command's words."""
        self._id = job_id
        self._now = now
        self._line = line

    def __call__(self, reason: Reason) -> Advice:
        """Say what is so, and what to do."""
        match reason:
            case reasons.Running() | reasons.Cancelling() | reasons.EngineLost():
                return self._underway(reason)
            case reasons.Completed() | reasons.Dead() | reasons.Cancelled():
                return self._final(reason)
            case reasons.Scheduled() | reasons.Retrying() | reasons.Held():
                return self._of_the_job(reason)
            case reasons.AwaitsJobs() | reasons.AwaitsDeadJobs():
                return self._of_other_jobs(reason)
            case reasons.QueuePaused() | reasons.QueueFull() | reasons.RateUsedUp() | reasons.KeyFull():
                return self._of_limits(reason)
            case _:
                return self._of_engines(reason)

    def _of_the_job(self, reason: reasons.Scheduled | reasons.Retrying | reasons.Held) -> Advice:
        match reason:
            case reasons.Scheduled(run_at):
                return Advice(f"it is due {self._at(run_at)}", self._do("run it now", f"edit {self._id} --delay 0"))
            case reasons.Retrying(run_at, attempts, error):
                why = f" ({escape(error)})" if error else ""
                message = f"attempt {attempts} failed{why}, and the next is due {self._at(run_at)}"
                return Advice(message, self._do("try it now", f"edit {self._id} --delay 0"))
            case reasons.Held():
                return Advice("it is held by hand", self._do("let go of it", f"release {self._id}"))
            case _:
                assert_never(reason)

    def _of_other_jobs(self, reason: reasons.AwaitsJobs | reasons.AwaitsDeadJobs) -> Advice:
        match reason:
            case reasons.AwaitsJobs(jobs, more):
                named = [f"{other.id} ({other.state}, {_CONDITIONS[other.condition]})" for other in jobs]
                message = f"it waits for {listed(named, more, 'job')}"
                first = jobs[0].id if jobs else self._id
                return Advice(message, self._do(f"see why {first} has not ended", f"explain {first}"))
            case reasons.AwaitsDeadJobs(jobs):
                message = (
                    f"it waits for {listed([other.id for other in jobs], 0, 'job')}, which had to complete and"
                    f" {'is' if len(jobs) == 1 else 'are'} dead: a dead job keeps those that come after it waiting"
                    " until it is retried or purged"
                )
                return Advice(message, self._do("try again", f"retry {_ids(jobs)}"))
            case _:
                assert_never(reason)

    def _of_limits(
        self, reason: reasons.QueuePaused | reasons.QueueFull | reasons.RateUsedUp | reasons.KeyFull
    ) -> Advice:
        match reason:
            case reasons.QueuePaused(queue):
                return Advice(f"queue {queue} is paused", self._do("resume it", f"queue resume {queue}"))
            case reasons.QueueFull(queue, processing, concurrency):
                message = f"queue {queue} is full: {processing} of at most {counted(concurrency, 'job')} run"
                return Advice(message, self._do("let more run", f"queue set {queue} --concurrency {processing + 1}"))
            case reasons.RateUsedUp(queue, rate, next_start):
                message = (
                    f"the rate of queue {queue}, {format_rate(rate)}, is used up: "
                    f"the next job starts {in_time(next_start, self._now)} at the earliest"
                )
                return Advice(message, self._do("let more start", f"queue set {queue} --rate {format_rate(2 * rate)}"))
            case reasons.KeyFull(key, processing, limit, jobs):
                message = (
                    f"its concurrency key {quote(key)} is full: {listed(jobs, processing - len(jobs), 'job')}"
                    f" {'runs' if processing == 1 else 'run'}, and it starts only beside fewer than {limit}"
                )
                wish = f"edit {self._id} --concurrency-limit {processing + 1}"
                return Advice(message, self._do("let it run beside them", wish))
            case _:
                assert_never(reason)

    def _of_engines(
        self, reason: reasons.NoEngine | reasons.QueueNotServed | reasons.EnginesDraining | _OfItsTurn
    ) -> Advice:
        match reason:
            case reasons.NoEngine(None):
                return Advice("no engine runs", self._do("start one", "run"))
            case reasons.NoEngine(silent, heard_at):
                heard = f"engine {silent} was last heard of {in_time(heard_at, self._now)}" if heard_at else ""
                return Advice(f"{heard}, and no other runs", self._do("start one", "run"))
            case reasons.QueueNotServed(queue, served):
                message = f"no engine serves queue {queue}: those that run serve {', '.join(served)}"
                return Advice(message, self._do("start one", f"run --queue {queue}"))
            case reasons.EnginesDraining(queue, engines):
                message = f"all engines that serve queue {queue} are draining: {', '.join(engines)}"
                return Advice(message, self._do("start another", "run"))
            case _:
                return self._of_its_turn(reason)

    def _of_its_turn(self, reason: _OfItsTurn) -> Advice:
        match reason:
            case reasons.JobsAhead(higher, earlier):
                ahead = [f"{_counted_so_far(higher)} with a higher priority"] if higher else []
                ahead += [f"{_counted_so_far(earlier)} of its own priority that came earlier"] if earlier else []
                message = f"others go before it: {' and '.join(ahead)}"
                return Advice(message, self._do("move it forward", f"edit {self._id} --priority N"))
            case reasons.WorkersBusy(workers):
                busy = "the one worker that could take it is" if workers == 1 else f"all {workers} workers are"
                return Advice(f"{busy} busy", self._do("run more at once, start another engine", "run"))
            case reasons.Ready():
                message = "nothing keeps it from being started, at any moment"
                return Advice(message, self._do("wait for it", f"wait {self._id}"))
            case _:
                assert_never(reason)

    def _underway(self, reason: reasons.Running | reasons.Cancelling | reasons.EngineLost) -> Advice:
        match reason:
            case reasons.Running(since, run, attempt, engine, host):
                message = f"it began {in_time(since, self._now)} as run {run}, attempt {attempt}, on engine {engine}"
                message += f" at {escape(host)}"
                return Advice(message, self._do("see what it prints", f"logs -f {self._id}"))
            case reasons.Cancelling():
                message = "it is to be cancelled, and has not ended yet"
                return Advice(message, self._do("wait for that", f"wait {self._id}"))
            case reasons.EngineLost(engine, heard_at, is_anyone_there):
                fate = f"was last heard of {in_time(heard_at, self._now)}" if heard_at else "is gone"
                message = f"engine {engine}, which ran it, {fate}, and no other has taken it over yet"
                if is_anyone_there:
                    return Advice(message, self._do("wait until one does", f"wait {self._id}"))
                return Advice(message, self._do("start one", "run"))
            case _:
                assert_never(reason)

    def _final(self, reason: reasons.Completed | reasons.Dead | reasons.Cancelled) -> Advice:
        match reason:
            case reasons.Completed(at):
                return Advice(f"it completed {self._at(at)}", self._do("run it again", f"retry {self._id}"))
            case reasons.Dead(at, attempts, error):
                message = f"it died {self._at(at)}, after {counted(attempts, 'attempt')}: {escape(error or '')}"
                see, again = self._do("see what it printed", f"logs {self._id}"), f"retry {self._id}"
                return Advice(message, f"{see}; {self._do('try it again', again)}")
            case reasons.Cancelled(at, error):
                message = f"it was cancelled {self._at(at)}" + (f": {escape(error)}" if error else "")
                return Advice(message, self._do("run it after all", f"retry {self._id}"))
            case _:
                assert_never(reason)

    def _at(self, moment: datetime | None) -> str:
        return "" if moment is None else f"{in_time(moment, self._now)}, at {moment_text(moment)}"

    def _do(self, what: str, words: str) -> str:
        return f"{what} with: {self._line(words)}"


_CONDITIONS = {"ok": "has to complete", "any": "has to end", "notok": "has to fail"}


def _ids(jobs: Sequence[Prerequisite]) -> str:
    return " ".join(other.id for other in jobs)


def _counted_so_far(count: int) -> str:
    return f"{count:,}" if count < MOST_COUNTED else f"{count:,} or more"
