"""What is looked for often is found by an index, however many jobs there are."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from queuectl.job import JobState
from queuectl.store.base import JobFilter, Sort
from queuectl.store.migrate import load_migrations
from queuectl.store.sqlite import claims, engines, jobs, sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = 1_700_000_000_000


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for migration in load_migrations("queuectl.store.sqlite"):
        connection.executescript(migration.sql)
    yield connection
    connection.close()


def steps(connection: sqlite3.Connection, where: JobFilter) -> list[str]:
    """Give how SQLite finds the seqs of the newest jobs that fit."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    jobs.find(connection, where, Sort.CREATED, 50)
    connection.set_trace_callback(None)
    [statement] = statements
    return [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


CHORES: dict[str, Callable[[sqlite3.Connection], object]] = {
    "beat": lambda connection: engines.beat(connection, "e1", NOW),
    "claim": lambda connection: claims.claim(
        connection, [0, 1], engine_id="e1", queues=None, turn=claims.QueueTurn(), now=NOW
    ),
    "engines": engines.engines,
    "look": lambda connection: engines.look(connection, "e1", None, 4, NOW),
    "is_idle": lambda connection: engines.is_idle(connection, None, NOW),
    "orphans": lambda connection: engines.orphans(connection, ["e2"]),
    "next_in_line": lambda connection: jobs.next_in_line(connection, 100),
}


@pytest.mark.parametrize("chore", CHORES)
def test_what_is_asked_all_the_time_never_reads_all_jobs(connection: sqlite3.Connection, chore: str) -> None:
    connection.execute("INSERT INTO engines VALUES ('e1', 'h', '', '', 1, '', 1, 30000, NULL, '1', 0, 0, 0, 0)")
    connection.execute(
        "INSERT INTO jobs (id, state, ready, queue, priority, run_at, created_at, updated_at, is_argv, cwd, command)"
        " VALUES ('job1', 'pending', 1, 'mail', 0, 0, 0, 0, 0, '/', 'true')"
    )
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    CHORES[chore](connection)
    connection.set_trace_callback(None)
    # What a trigger does is traced as a comment.
    texts = [text for text in statements if not text.startswith("--")]
    found = [step for text in texts for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {text}")]
    assert not [step for step in found if step == "SCAN jobs"]


HEADS = sql.claims.HEADS.format(queue=sql.claims.NEXT_QUEUE)


@pytest.mark.parametrize("statement", [sql.waiting.COUNT_READY, HEADS], ids=["count", "heads"])
def test_jobs_that_are_not_ready_are_not_read_to_find_those_that_are(
    connection: sqlite3.Connection, statement: str
) -> None:
    names = dict.fromkeys(("queue", "limit"))
    parameters = names if ":limit" in statement else (None,) * statement.count("?")
    plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert any("INDEX jobs_ready (queue=?)" in step for step in plan), plan
    assert not [step for step in plan if "jobs_of_queue" in step]


RARE = [JobState.BLOCKED, JobState.FAILED, JobState.DEAD, JobState.CANCELLED]


@pytest.mark.parametrize("queues", [(), ("mail",)], ids=["", "queue"])
@pytest.mark.parametrize("state", RARE)
def test_a_rare_state_is_found_by_its_index(
    connection: sqlite3.Connection, state: JobState, queues: tuple[str, ...]
) -> None:
    [step] = steps(connection, JobFilter(states=(state,), queues=queues))
    assert "INDEX jobs_notable (state=?)" in step


@pytest.mark.parametrize("queues", [(), ("mail",)], ids=["", "queue"])
def test_running_jobs_are_found_by_theirs(connection: sqlite3.Connection, queues: tuple[str, ...]) -> None:
    step, *_ = steps(connection, JobFilter(states=(JobState.PROCESSING,), queues=queues))
    assert "INDEX jobs_processing" in step


def test_the_jobs_of_a_queue_are_found_by_theirs(connection: sqlite3.Connection) -> None:
    [step] = steps(connection, JobFilter(queues=("mail",)))
    assert "INDEX jobs_of_queue (queue=?)" in step


@pytest.mark.parametrize("states", [(), (JobState.PENDING,), (JobState.FAILED,)], ids=["", "pending", "failed"])
def test_the_jobs_with_a_tag_are_found_by_it_and_in_order(
    connection: sqlite3.Connection, states: tuple[JobState, ...]
) -> None:
    found = steps(connection, JobFilter(states=states, tags=("nightly",)))
    assert "job_tags USING PRIMARY KEY (tag=?)" in found[0]
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in found)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (sql.situation.COUNT_HIGHER, "jobs_ready (queue=? AND priority>?)"),
        (sql.situation.COUNT_EARLIER, "jobs_ready (queue=? AND priority=? AND run_at=? AND seq<?)"),
        (sql.situation.KEY_HOLDERS, "jobs_keyed (concurrency_key=? AND state=?)"),
    ],
    ids=["higher", "earlier", "key"],
)
def test_what_stands_around_a_job_is_counted_in_an_index(
    connection: sqlite3.Connection, statement: str, index: str
) -> None:
    names = dict.fromkeys(("queue", "priority", "run_at", "id", "limit"))
    parameters = names if ":id" in statement else (None,) * statement.count("?")
    plan = [step for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert any(step.endswith(index) for step in plan), plan
