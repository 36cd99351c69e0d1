"""The ends of what running jobs have printed, read on from where the last look ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from queuectl.cli.text import escape
from queuectl.output import START

if TYPE_CHECKING:
    from collections.abc import Iterable

    from queuectl.job import Job
    from queuectl.output import Position, RunOutput
    from queuectl.store.base import JobStore

__all__ = ["Tail", "Tails"]

KEPT = 32_768
"""Bytes of each stream: more than any screen shows of ordinary lines."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of what one run has printed."""

    run: int
    stdout: bytes = b""
    stderr: bytes = b""
    end: Position = START
    last_line: str = ""
    """The last line that is not blank, of the stream that came last; of both, that of stdout."""

    def grown(self, news: RunOutput) -> Tail:
        """Give it with what was printed since."""
        stdout, stderr = (self.stdout + news.stdout)[-KEPT:], (self.stderr + news.stderr)[-KEPT:]
        line = self.last_line
        for is_new, stream in ((news.stderr, stderr), (news.stdout, stdout)):
            if is_new:
                line = next((line for line in reversed(lines_of(stream)) if line.strip()), line)
        return Tail(self.run, stdout, stderr, news.end, line)


def lines_of(stream: bytes) -> list[str]:
    """Give the lines of a stream as a screen can show them: of a line that was written over, what was written last."""
    lines = stream.decode(errors="replace").removesuffix("\n").split("\n") if stream else []
    return [escape(line.rstrip("\r").rpartition("\r")[2]).rstrip() for line in lines]


class Tails(dict[str, Tail]):
    """The tails of the jobs that are looked at, by their ids."""

    async def read(self, store: JobStore, jobs: Iterable[Job]) -> None:
        """Read on for these jobs, and forget the others."""
        wanted = {job.id: job.runs for job in jobs if job.runs}
        for job_id in self.keys() - wanted.keys():
            del self[job_id]
        for job_id, run in wanted.items():
            known = self.get(job_id)
            tail = known if known is not None and known.run == run else Tail(run)
            self[job_id] = tail.grown(await store.read_output(job_id, run, after=tail.end))
