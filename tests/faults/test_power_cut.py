"""The power goes, at every moment: what was acknowledged is there again, whatever else the disk has kept.

Once, all that queuectl asks of the disk is recorded, together with what it tells its users. From that come the files
that a power cut would have left after each step: with nothing, all, or some sectors of what was not synced.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import pytest

from queuectl.errors import StoreError
from queuectl.job import JobState
from queuectl.store import open_store
from tests.engine.commands import linux_only
from tests.factories import all_jobs
from tests.faults.disk import Disk
from tests.faults.scale import SCALE
from tests.faults.watched import Create, Sync, Write, watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from queuectl.job import Job
    from tests.faults.watched import Change

pytestmark = linux_only

IMAGES = 100 * SCALE
"""How many of the cuts are looked at."""
SHARES = (0, 0.5, 0.9, 1)
"""How much of what was not synced survives."""

FOLDER, STORE = "disk", "queue.db"
STDIN = "in " * 1_000
"""Makes a job fill most of a page of the file."""
BATCH = [f"batch{n}" for n in range(12)]
LATER = [f"later{n}" for n in range(24)]
EVERYTHING = {"first", "last", *BATCH, *LATER, *(f"client{n}" for n in range(6))}
"""The ids of all the jobs that clients ask for."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What users have been told up to some moment."""

    stored: frozenset[str] = frozenset()
    completed: frozenset[str] = frozenset()


Cut: TypeAlias = "tuple[Mapping[str, bytes], Promise]"
"""The files that are left, and what had been promised."""


@dataclass(slots=True)
class Recording:
    """What queuectl has asked of the disk, and what it had told its users before each step."""

    folder: Path
    steps: list[tuple[Change, Promise]] = field(default_factory=list)
    _told: dict[str, bytes] = field(default_factory=dict)
    promise: Promise = Promise()

    def __call__(self, change: Change) -> int:
        name = change.path.name
        if name.startswith("told") and isinstance(change, Write):
            self._told[name] = self._told.get(name, b"") + change.data
            self.promise = _promise_of(b"".join(self._told.values()).decode())
        elif name in {STORE, f"{STORE}-wal", f"{STORE}-journal"} or change == Sync(self.folder):
            self.steps.append((change, self.promise))
        return 0

    def count(self, kind: type[Change], name: str) -> int:
        return sum(isinstance(change, kind) and change.path.name == name for change, _ in self.steps)

    def cuts(self, *shares: float, deaf_to: str = "") -> Iterator[Cut]:
        """Give what a power cut would leave after each step, for each share of what was not synced that survives.

        Syncs of what is named `deaf_to` have done nothing.
        """
        chance = random.Random(19)
        disk = Disk(self.folder, deaf_to=deaf_to)
        for n, (change, _) in enumerate(self.steps):
            disk.take(change)
            # Words that are said after a step are said before the next.
            promise = self.steps[n + 1][1] if n + 1 < len(self.steps) else self.promise
            for share in shares:
                yield disk.after_power_cut(lambda share=share: chance.random() < share), promise  # type: ignore[misc]


def _promise_of(told: str) -> Promise:
    """Read what clients print, an id a line, and the log of engines."""
    lines = [line for line in told.splitlines(keepends=True) if line.endswith("\n")]
    completed = [line for line in lines if '"event": "job completed"' in line]
    return Promise(
        stored=frozenset(line.strip() for line in lines) & EVERYTHING,
        completed=frozenset(line.split('"')[3] for line in completed),
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Record a store's life from its making: clients, a batch, and two engines, one of them beside clients."""
    folder = tmp_path_factory.mktemp("recorded") / FOLDER
    folder.mkdir()
    batch, later = folder / "batch.ndjson", folder / "later.ndjson"
    for file, jobs in ((batch, BATCH), (later, LATER)):
        file.write_text("".join(f'{{"id": "{job}", "command": "true", "stdin": "{STDIN}"}}\n' for job in jobs))
    made = Recording(folder)
    with watched(folder, checkpoint_every=8) as queuectl:
        queuectl.judge = made
        engine = ("-v", "run", "--until-idle", "--workers", "2")

        def run(*lines: Sequence[str]) -> None:
            for code, told in queuectl.run(*(("--db", STORE, "-q", *line) for line in lines)):
                assert code == 0, told

        run(_enqueue("first"))
        run(("enqueue", "--file", str(batch)), engine, *(_enqueue(f"client{n}") for n in range(6)))
        # On a busy machine the others are in the way of the log whenever it is to be moved: nobody is beside this one.
        run(("enqueue", "--file", str(later)))
        run(engine)
        run(_enqueue("last"))
    return made


def _enqueue(job: str) -> Sequence[str]:
    return ("enqueue", "--id", job, "--stdin", STDIN, "true")


def test_the_recording_is_of_all_that_matters(recording: Recording) -> None:
    assert recording.promise == Promise(frozenset(EVERYTHING), frozenset(EVERYTHING - {"last"}))
    log = f"{STORE}-wal"
    beginnings = [change for change, _ in recording.steps if isinstance(change, Write) and change.offset == 0]
    written_over = sum(change.path.name == log for change in beginnings) - recording.count(Create, log)
    assert written_over > 0, "an engine has moved the log into the file, and begun it anew"
    assert recording.count(Sync, f"{STORE}-wal") > 20
    assert recording.count(Sync, recording.folder.name), "entries of the folder are synced"


async def test_what_was_acknowledged_survives_a_power_cut(recording: Recording, tmp_path: Path) -> None:
    cuts = _strictest(recording.cuts(*SHARES))
    for n, (files, promise) in enumerate(random.Random(20).sample(cuts, min(IMAGES, len(cuts)))):
        assert await broken(files, promise, tmp_path / str(n)) == []


@pytest.mark.parametrize("deaf_to", [STORE, f"{STORE}-wal", FOLDER])
async def test_each_sync_is_needed_for_that(recording: Recording, tmp_path: Path, deaf_to: str) -> None:
    """The test of the test: it sees what is lost where the file, its log, or its folder's entries are not synced."""
    for n, (files, promise) in enumerate(_strictest(recording.cuts(0, deaf_to=deaf_to))):
        found = await broken(files, promise, tmp_path / str(n))
        if any(complaint.startswith("lost: ") for complaint in found):
            return
    pytest.fail("nothing is lost")


def _strictest(images: Iterator[Cut]) -> list[Cut]:
    """Keep of equal images the last one, for which the most had been promised."""
    return list({tuple(sorted(files.items())): (files, promise) for files, promise in images}.values())


async def broken(files: Mapping[str, bytes], promise: Promise, folder: Path) -> list[str]:
    """Open what a power cut has left as any command would, and say in which way it breaks what was promised."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        async with open_store(folder / STORE) as store:
            jobs = {job.id: job for job in await all_jobs(store)}
    except StoreError as error:
        return [f"cannot be opened: {error}"]
    with closing(sqlite3.connect(folder / STORE)) as connection:
        [integrity] = connection.execute("PRAGMA integrity_check").fetchone()
    completed = {job.id for job in jobs.values() if job.state is JobState.COMPLETED}
    return [
        *([f"damaged: {integrity}"] if integrity != "ok" else []),
        *(f"lost: {job}" for job in promise.stored - jobs.keys()),
        *(f"not completed any more: {job}" for job in promise.completed & jobs.keys() - completed),
        *(f"phantom: {job}" for job in jobs.keys() - EVERYTHING),
        *(f"not whole: {job.id}" for job in jobs.values() if not _is_whole(job)),
        *("half a batch" for batch in (BATCH, LATER) if 0 < len(jobs.keys() & set(batch)) < len(batch)),
    ]


def _is_whole(job: Job) -> bool:
    return job.command == "true" and job.stdin == STDIN
