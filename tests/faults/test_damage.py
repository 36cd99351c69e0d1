"""Damaged files: what can be read is read, the rest is refused in plain words, and nothing is written over it."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from queuectl.cli.command_line import run
from queuectl.new_job import NewJob
from queuectl.store import open_store
from tests.factories import add, all_jobs, new_engine, printed, run_next
from tests.faults.scale import SCALE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ROUNDS = 2 * SCALE
"""How often each kind of damage is done, each time elsewhere."""
PAGE = 4096
READING: Sequence[Sequence[str]] = (
    ("status",),
    ("list", "--limit", "0"),
    ("show", "job1"),
    ("logs", "job0"),
    ("stats",),
    ("config", "get"),
    ("worker", "list"),
)
WRITING: Sequence[Sequence[str]] = (("enqueue", "true"), ("config", "set", "timeout", "9s"), ("retry", "job0"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make a store with something in every table, and all of it in the file."""
    path = tmp_path_factory.mktemp("sound") / "sound.db"
    asyncio.run(fill(path))
    assert not path.with_name("sound.db-wal").exists()
    return path.read_bytes()


async def fill(path: Path) -> None:
    async with open_store(path) as store:
        await store.register_engine(new_engine("engine1"))
        await store.enqueue([NewJob("true", id=f"job{n}", stdin="in" * 200, tags=("t",)) for n in range(40)])
        for _ in range(8):
            await run_next(store, "engine1", output=printed(b"out" * 100))
        await store.set_setting("timeout", "5s")


@pytest.fixture
def path(tmp_path: Path, sound: bytes) -> Path:
    """Give a copy of that store, to be damaged."""
    path = tmp_path / "jobs.db"
    path.write_bytes(sound)
    path.chmod(0o600)
    return path


def flip(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def flip_many(content: bytearray, chance: random.Random) -> None:
    for _ in range(200):
        flip(content, chance)


def truncate(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def blank(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content) // PAGE) * PAGE
    content[start : start + PAGE] = bytes(PAGE)


def scramble(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content) // PAGE) * PAGE
    content[start : start + PAGE] = chance.randbytes(PAGE)


DAMAGES = (flip, flip_many, truncate, blank, scramble)


def answer(capfd: pytest.CaptureFixture[str], path: Path, *args: str) -> int:
    """Run a command on a damaged store: it is done, or refused in one printable line."""
    code = run(["--db", str(path), "-q", *args])
    _, err = capfd.readouterr()
    assert code in {0, 2, 3, 4, 5}, err
    if code:
        line = err.removesuffix("\n")
        assert line.startswith("error: ")
        assert line.isprintable()
        assert len(line) < 500
    return code


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_read_or_refused_and_stays_as_it_is(
    path: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[bytearray, random.Random], None],
    seed: int,
) -> None:
    content = bytearray(path.read_bytes())
    damage(content, random.Random(seed))
    path.write_bytes(content)
    for args in READING:
        answer(capfd, path, *args)
        assert path.read_bytes() == content, args
    for args in WRITING:
        answer(capfd, path, *args)


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_check_says_what_it_finds_and_leaves_the_file_as_it_is(
    path: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[bytearray, random.Random], None],
    seed: int,
) -> None:
    sound = path.read_bytes()
    content = bytearray(sound)
    damage(content, random.Random(seed))
    path.write_bytes(content)
    code = run(["--db", str(path), "-q", "db", "check"])
    out, err = capfd.readouterr()
    assert code in {0, 1, 5}, err
    assert (code == 1) is bool(out)
    assert (code == 5) is bool(err)
    # One bit may stand where nobody can tell, or in a page that is not in use.
    assert code or damage is not truncate or content == sound
    assert all(line.isprintable() and len(line) < 1000 for line in (out + err).splitlines())
    assert path.read_bytes() == content


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("damage", [flip, truncate, scramble])
async def test_of_a_damaged_log_the_commits_before_the_damage_are_read(
    path: Path, tmp_path: Path, damage: Callable[[bytearray, random.Random], None], seed: int
) -> None:
    later = [f"later{n}" for n in range(10)]
    damaged = tmp_path / "damaged.db"
    log = tmp_path / "damaged.db-wal"
    async with open_store(path) as store:
        for job in later:
            await add(store, job)
        shutil.copy(path, damaged)
        shutil.copy(f"{path}-wal", log)
    content = bytearray(log.read_bytes())
    damage(content, random.Random(seed))
    log.write_bytes(content)
    async with open_store(damaged, read_only=True) as store:
        jobs = [job.id for job in await all_jobs(store)]
    assert jobs[:40] == [f"job{n}" for n in range(40)]
    assert jobs[40:] == later[: len(jobs) - 40]
    with closing(sqlite3.connect(damaged)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.fixture
def scrambled(path: Path) -> Path:
    """Destroy the page that job20 stands on."""
    content = bytearray(path.read_bytes())
    is_leaf = 0x0D
    [start] = [
        start
        for start in range(0, len(content), PAGE)
        if content[start] == is_leaf and b"job20" in content[start : start + PAGE]
    ]
    content[start : start + PAGE] = b"\xff" * PAGE
    path.write_bytes(content)
    return path


def test_an_engine_stops_where_a_page_of_jobs_is_damaged(scrambled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--db", str(scrambled), "run", "--until-idle", "--workers", "2"]) == 5
    _, err = capfd.readouterr()
    last = err.splitlines()[-1]
    assert (
        last
        == f"error: {scrambled} is damaged (database disk image is malformed): restore a backup; it was left as it is"
    )
    assert "Traceback" not in err


def test_what_lies_beside_the_damaged_page_can_still_be_read(
    scrambled: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = scrambled.read_bytes()
    assert answer(capfd, scrambled, "show", "job0") == 0
    assert answer(capfd, scrambled, "show", "job39") == 0
    assert answer(capfd, scrambled, "list", "--limit", "0") == 5
    assert scrambled.read_bytes() == before
