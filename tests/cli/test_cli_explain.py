"""`explain`: the words for each reason, and that what it says to do helps."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, get_args

import pytest

from queuectl import reasons
from queuectl.cli.advice import Adviser
from queuectl.cli.invocation import Invocation
from queuectl.job import Condition, Dependency, JobState, NewJob
from queuectl.outcome import Exited
from queuectl.retry import RetryPolicy
from queuectl.situation import MOST_COUNTED, Prerequisite
from queuectl.store import open_store
from queuectl.store.liveness import this_process
from queuectl.transition import Action
from tests.factories import SECOND, START, add, new_engine, run_next, take

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from queuectl.reasons import Reason
    from queuectl.store.base import Store
    from tests.cli.shell import Shell

LATER, EARLIER = START + 90 * SECOND, START - timedelta(minutes=3)


def prerequisite(job_id: str, state: JobState = JobState.PENDING, condition: Condition = Condition.OK) -> Prerequisite:
    return Prerequisite(job_id, condition, state)


WORDS: list[tuple[Reason, str, str]] = [
    (reasons.Scheduled(LATER), "it is due in 1m30s, at ", "edit job1 --delay 0"),
    (reasons.Retrying(LATER, 2, "exit code 3"), "attempt 2 failed (exit code 3), and the next is due in 1m30s", "edit"),
    (reasons.Held(), "it is held by hand", "release job1"),
    (
        reasons.AwaitsJobs((prerequisite("a"), prerequisite("b", condition=Condition.ANY)), 3),
        "it waits for jobs a (pending, has to complete), b (pending, has to end) and 3 more",
        "explain a",
    ),
    (
        reasons.AwaitsDeadJobs((prerequisite("a", JobState.DEAD),)),
        "it waits for job a, which had to complete and is dead: a dead job keeps",
        "retry a",
    ),
    (reasons.QueuePaused("mail"), "queue mail is paused", "queue resume mail"),
    (reasons.QueueFull("mail", 2, 2), "queue mail is full: 2 of at most 2 jobs run", "set mail --concurrency 3"),
    (
        reasons.RateUsedUp("mail", 0.5, LATER),
        "the rate of queue mail, 30/m, is used up: the next job starts in 1m30s at the earliest",
        "queue set mail --rate 1/s",
    ),
    (
        reasons.KeyFull("the db", 12, 2, ("a", "b")),
        "its concurrency key 'the db' is full: jobs a, b and 10 more run, and it starts only beside fewer than 2",
        "edit job1 --concurrency-limit 13",
    ),
    (reasons.NoEngine(None, None), "no engine runs", "queuectl run"),
    (reasons.NoEngine("e1", EARLIER), "engine e1 was last heard of 3m ago, and no other runs", "queuectl run"),
    (
        reasons.QueueNotServed("mail", ("api", "web")),
        "no engine serves queue mail: those that run serve api, web",
        "run --queue mail",
    ),
    (reasons.EnginesDraining("mail", ("e1",)), "all engines that serve queue mail are draining: e1", "run"),
    (
        reasons.JobsAhead(3, MOST_COUNTED),
        "others go before it: 3 with a higher priority and 10,000 or more of its own priority that came earlier",
        "edit job1 --priority N",
    ),
    (reasons.WorkersBusy(4), "all 4 workers are busy", "queuectl run"),
    (reasons.Ready(), "nothing keeps it from being started, at any moment", "wait job1"),
    (
        reasons.Running(EARLIER, 2, 1, "e1", "here\x1b", 7),
        r"it began 3m ago as run 2, attempt 1, on engine e1 at here\x1b",
        "logs -f job1",
    ),
    (reasons.Cancelling(), "it is to be cancelled, and has not ended yet", "wait job1"),
    (
        reasons.EngineLost("e1", None, is_anyone_there=False),
        "engine e1, which ran it, is gone, and no other has taken it over yet",
        "queuectl run",
    ),
    (
        reasons.EngineLost("e1", EARLIER, is_anyone_there=True),
        "engine e1, which ran it, was last heard of 3m ago, and no other has taken it over yet",
        "wait job1",
    ),
    (reasons.Completed(EARLIER), "it completed 3m ago, at ", "retry job1"),
    (reasons.Dead(EARLIER, 1, "exit code 3"), "after 1 attempt: exit code 3", "logs job1; try it again with: queuectl"),
    (reasons.Cancelled(EARLIER, "by hand"), "it was cancelled 3m ago, at ", "retry job1"),
]


@pytest.mark.parametrize(("reason", "message", "do"), WORDS, ids=lambda value: getattr(value, "code", ""))
def test_each_reason_is_put_into_words(reason: Reason, message: str, do: str) -> None:
    advice = Adviser("job1", START, lambda words: f"queuectl {words}")(reason)
    assert message in advice.message
    assert do in advice.do
    assert advice.message.isprintable()


def test_no_reason_is_forgotten_and_each_has_a_code_of_its_own() -> None:
    kinds = set(get_args(reasons.Reason))
    assert {type(reason) for reason, _, _ in WORDS} == kinds
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert not any(field.name in {"code", "message", "do"} for kind in kinds for field in fields(kind))


@pytest.mark.usefixtures("any_kind_of_store")
def test_the_reasons_are_printed_with_what_to_do(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "job1", "--delay", "8h", "true")
    state, due, edit, nobody, start = queuectl.ok("explain", "job1").lines
    assert state == "job1: pending (scheduled)"
    assert due.startswith("it is due in 7h59m, at ")
    assert edit == "  run it now with: queuectl edit job1 --delay 0"
    assert (nobody, start) == ("no engine runs", "  start one with: queuectl run")
    assert queuectl("explain", "nothing").code == 3


@pytest.mark.usefixtures("any_kind_of_store")
def test_json_has_the_codes_and_what_is_true_of_each(queuectl: Shell) -> None:
    [job_id] = queuectl.ok("enqueue", "--max-retries", "1", "exit 3").lines
    nobody = {"code": "no_engine", "silent": None, "heard_at": None, "message": "no engine runs"}
    expected = {"id": job_id, "state": "pending", "reasons": [{**nobody, "do": "start one with: queuectl run"}]}
    assert queuectl.ok("explain", job_id[:6], "--json").json == expected
    queuectl("run", "--until-idle", "-q")
    document = queuectl.ok("explain", job_id, "--json").json
    [reason] = document["reasons"]
    assert (document["state"], reason["code"], reason["attempts"], reason["error"]) == (
        "dead",
        "dead",
        1,
        "exit code 3",
    )
    assert reason["at"] == queuectl.show(job_id)["finished_at"]


def test_other_jobs_are_named_as_in_a_job(queuectl: Shell) -> None:
    queuectl.ok("enqueue", "--id", "a", "--delay", "1h", "true")
    queuectl.ok("enqueue", "--id", "job1", "--after", "a=any", "true")
    first, _ = queuectl.ok("explain", "job1", "--json").json["reasons"]
    assert first["jobs"] == [{"id": "a", "if": "any", "state": "pending"}]


def test_the_store_is_named_as_it_was_but_for_its_password(queuectl: Shell) -> None:
    queuectl.ok("--db", "a b.db", "enqueue", "--id", "job1", "true")
    assert queuectl.ok("--db", "a b.db", "explain", "job1").lines[-1] == "  start one with: queuectl --db 'a b.db' run"
    assert Invocation(db="postgresql://me:secret@host/x").line("run") == "queuectl --db postgresql://me@host/x run"


# ── What to do ───────────────────────────────────────────────────────────────


async def scheduled(store: Store) -> None:
    await store.enqueue([NewJob("true", id="job1", run_at=store.now() + timedelta(hours=1))])


async def retrying(store: Store) -> None:
    await add(store, "job1")
    await run_next(store, "engine-1", Exited(3), policy=RetryPolicy(base=300))


async def held(store: Store) -> None:
    await add(store, "job1")
    await store.apply(Action.HOLD, ["job1"])


async def awaits_dead_jobs(store: Store) -> None:
    await add(store, "job0")
    await run_next(store, "engine-1", Exited(3))
    await store.enqueue([NewJob("true", id="job1", after=(Dependency("job0"),))])


async def queue_paused(store: Store) -> None:
    await add(store, "job1", queue="mail")
    await store.set_queue("mail", {"paused": True})


async def queue_full(store: Store) -> None:
    await store.set_queue("default", {"concurrency": 1})
    await add(store, "job0", "job1")
    await take(store, "engine-1")


async def key_full(store: Store) -> None:
    await store.enqueue([NewJob("true", id=job_id, concurrency_key="k") for job_id in ("job0", "job1")])
    await take(store, "engine-1")


async def jobs_ahead(store: Store) -> None:
    await add(store, "job0", "job1")


async def dead(store: Store) -> None:
    await add(store, "job1")
    await run_next(store, "engine-1", Exited(3))


async def cancelled(store: Store) -> None:
    await add(store, "job1")
    await store.apply(Action.CANCEL, ["job1"])


def why(queuectl: Shell) -> dict[str, Any]:
    """Explain job1, and give the reasons by their codes."""
    return {reason["code"]: reason for reason in queuectl.ok("explain", "job1", "--json").json["reasons"]}


@pytest.mark.parametrize(
    "arrange",
    [
        *(scheduled, retrying, held, awaits_dead_jobs, queue_paused, queue_full, key_full, jobs_ahead, dead, cancelled),
    ],
)
def test_the_reason_is_gone_when_one_has_done_what_is_said(
    queuectl: Shell, arrange: Callable[[Store], Awaitable[None]]
) -> None:
    asyncio.run(_with_engine(arrange))
    code = arrange.__name__
    *_, line = why(queuectl)[code]["do"].split("with: queuectl ")
    queuectl.ok(*shlex.split(line.replace("--priority N", "--priority 9")))
    assert code not in why(queuectl)


async def _with_engine(arrange: Callable[[Store], Awaitable[None]]) -> None:
    """Arrange something in a store in which an engine is registered, and its process is there."""
    async with open_store("queuectl.db") as store:
        await store.register_engine(new_engine("engine-1", process=this_process()))
        await arrange(store)
