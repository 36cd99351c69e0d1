"""What `check` finds in a SQLite store that someone, or something, has written into."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from queuectl.errors import StoreDamaged
from queuectl.store import open_store
from tests.store.sqlite.furnished import furnish

if TYPE_CHECKING:
    from pathlib import Path

    from queuectl.store.base import Finding


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.db"
    await furnish(path)
    return path


def write(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement)


async def check(path: Path) -> list[Finding]:
    async with open_store(path, read_only=True) as store:
        return await store.check()


async def test_a_store_with_something_of_everything_is_sound(path: Path) -> None:
    before = path.read_bytes()
    assert await check(path) == []
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "rule", "message"),
    [
        ("UPDATE counts SET jobs = jobs + 1 WHERE (queue, state) = ('default', 'dead')", "counts", "it has "),
        ("DELETE FROM counts WHERE (queue, state) = ('default', 'dead')", "counts", "0 dead jobs"),
        ("UPDATE jobs SET finished_at = 1 WHERE id = 'pending'", "state", "job pending is pending"),
        ("UPDATE jobs SET finished_at = NULL WHERE id = 'completed'", "state", "it has not finished"),
        ("UPDATE jobs SET ready = 1 WHERE id = 'completed'", "state", "it is ready to be claimed"),
        ("UPDATE jobs SET ended_at = NULL WHERE id = 'completed'", "state", "half of the end"),
        ("UPDATE jobs SET engine_id = NULL WHERE id = 'processing'", "state", "nobody holds it"),
        ("UPDATE jobs SET runs = 0 WHERE id = 'processing'", "state", "it has not begun"),
        ("UPDATE jobs SET runs = runs + 1 WHERE id = 'completed'", "runs", "of the 3 earlier ones 2 are kept"),
        ("UPDATE runs SET run = 9 WHERE run = 2", "runs", "as number 9"),
        ("UPDATE jobs SET claim_token = 1", "tokens", "claim token 1 was given to "),
        ("UPDATE claim_tokens SET last = 2", "tokens", "is above the last that was given, 2"),
        ("DELETE FROM claim_tokens", "tokens", "is not known"),
        ("UPDATE jobs SET worker = 1, engine_id = 'e' WHERE state = 'processing'", "workers", "worker 1 of engine e"),
        ("UPDATE runs SET job_seq = 990 + job_seq", "orphans", "there are runs of job number 99"),
        ("UPDATE output SET job_seq = 990 + job_seq", "orphans", "there is output of job number 99"),
        ("UPDATE output SET run = 50 WHERE run = 1", "orphans", "there is output of run 50 of job"),
        ("DELETE FROM job_tags WHERE tag = 'eu'", "tags", "job every-key cannot be found by its tag eu"),
        ("UPDATE job_tags SET job_seq = 999 WHERE tag = 'eu'", "tags", "tag eu leads to job number 999"),
        ("UPDATE jobs SET unmet = 3 WHERE id = 'pending'", "edges", "job pending is said to wait for 3 others"),
        ("INSERT INTO edges VALUES (1, 9, 'completed', 'any', 'open')", "edges", "waits for job completed, which is"),
        ("INSERT INTO edges VALUES (1, 9, 'gone', 'any', 'open')", "edges", "waits for job gone, which there is not"),
        ("INSERT INTO edges VALUES (999, 1, 'gone', 'any', 'met')", "edges", "job number 999, which there is not"),
        ("UPDATE jobs SET concurrency_key = 'k' WHERE state = 'processing'", "keys", "at most 1 may be"),
        ("UPDATE jobs SET tags = '[' WHERE id = 'every-key'", "rows", "cannot be read"),
        ("UPDATE jobs SET env = 'x' WHERE id = 'every-key'", "rows", "cannot be read"),
        ("UPDATE jobs SET cwd = CAST(x'FF2F' AS TEXT) WHERE id = 'pending'", "rows", "cannot be read"),
        ("UPDATE runs SET started_at = 1 << 60", "rows", "cannot be read"),
        ("UPDATE jobs SET state = 'gone' WHERE id = 'pending'", "integrity", "CHECK constraint failed in jobs"),
        ("UPDATE sqlite_master SET sql = sql || ' AND 0' WHERE name = 'jobs_ready'", "integrity", "jobs_ready"),
    ],
)
async def test_what_contradicts_itself_is_found(path: Path, statement: str, rule: str, message: str) -> None:
    write(path, statement)
    findings = await check(path)
    assert any(finding.rule == rule and message in finding.message for finding in findings), findings
    assert all(finding.message.isprintable() for finding in findings)


async def test_a_finding_names_the_job_that_it_is_about(path: Path) -> None:
    write(path, "UPDATE jobs SET finished_at = 1 WHERE id = 'pending'")
    assert ("state", "pending") in [(finding.rule, finding.job_id) for finding in await check(path)]


async def test_of_a_damaged_page_the_rest_is_looked_at_all_the_same(path: Path) -> None:
    write(path, "UPDATE counts SET jobs = jobs + 1 WHERE (queue, state) = ('default', 'dead')")
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18])
    leaf = 0x0D
    [start, *_] = [
        start
        for start in range(0, len(content), size)
        if content[start] == leaf and b"every-key" in content[start : start + size]
    ]
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    rules = {finding.rule for finding in await check(path)}
    assert {"integrity", "rows", "counts"} <= rules


async def test_of_a_flood_of_breaches_a_hundred_are_told(path: Path) -> None:
    write(
        path,
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500) "
        "INSERT INTO job_tags SELECT 'x', 1000 + n FROM n",
    )
    assert len(await check(path)) == 100


async def test_what_cannot_be_read_at_all_is_refused(path: Path) -> None:
    write(path, "UPDATE sqlite_master SET sql = 'CREATE TABLE jobs (' || sql WHERE name = 'jobs'")
    with pytest.raises(StoreDamaged):
        await check(path)
