"""Jobs from outside: each is refused in words that help, or stored and read back as it was."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuectl.cli.documents import job_document
from queuectl.duration import format_duration, parse_duration
from queuectl.errors import InvalidDuration, InvalidInput, InvalidTime, JobNotFound, UniqueKeyTaken
from queuectl.jobspec import parse_document
from queuectl.jobtext import parse_batch, parse_json
from queuectl.settings import Settings
from queuectl.store import open_store
from queuectl.timestamp import format_time, parse_time
from queuectl.transition import Action
from tests.factories import add
from tests.faults.hostile import EXISTING, LINES, SOUND_JOBS, SOUND_VALUES, VALUES, WORDS
from tests.faults.scale import SCALE

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from queuectl.job import Job
    from queuectl.new_job import NewJob
    from queuectl.store.base import Store

NOW = datetime(2030, 1, 31, 8, tzinfo=UTC)
LONGEST_MESSAGE = 3_000
"""Characters: ten problems with one job."""


@dataclass(frozen=True)
class Keeper:
    """A store, and the loop that it lives in: examples are no coroutines."""

    runner: asyncio.Runner
    store: Store

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def count(self) -> int:
        return sum(sum(of.jobs.values()) for of in self.run(self.store.counts()))


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    with asyncio.Runner() as runner:
        opened = open_store(tmp_path_factory.mktemp("kept") / "jobs.db")
        keeper = Keeper(runner, runner.run(opened.__aenter__()))
        runner.run(add(keeper.store, *EXISTING))
        yield keeper
        runner.run(opened.__aexit__(None, None, None))


IDS = itertools.count()


def check_message(error: Exception, says: str = "") -> None:
    """See that a refusal is one line that can be printed, of a length that can be read, and that it `says` that."""
    message = str(error)
    assert message.isprintable(), message
    assert 0 < len(message) <= LONGEST_MESSAGE
    assert re.search(says, message), message


def check_kept(keeper: Keeper, new: NewJob) -> None:
    """Store a job under an id of its own, and read it back: by itself, and from the document of `show`."""
    new = replace(new, id=f"job{next(IDS)}", cwd=new.cwd or "/")
    try:
        keeper.run(keeper.store.enqueue([new]))
    except JobNotFound as error:
        check_message(error)
        assert not {other.id for other in new.after} <= {*EXISTING}
        return
    job: Job = keeper.run(keeper.store.get(new.id or ""))
    expected = {of.name: getattr(new, of.name) for of in fields(new) if of.name not in {"on_conflict", "delay"}}
    found = {name: getattr(job, name) for name in expected}
    expected["run_at"] = new.due(job.created_at)
    assert found == expected
    shown = json.loads(json.dumps(job_document(job, Settings())))
    given = {name: value for name, value in shown.items() if name in {*SOUND_VALUES, "id"} and value is not None}
    again = parse_document(given)
    assert again == replace(
        new,
        run_at=job.run_at,
        delay=None,
        **{name: getattr(again, name) for name in _OPEN if getattr(new, name) is None},
    )
    # Its unique key is free for the next.
    keeper.run(keeper.store.apply(Action.DELETE, [job.id]))


_OPEN = ("timeout", "max_retries", "backoff", "backoff_base", "backoff_max", "backoff_jitter")
"""What a job may leave to the settings, and `show` fills in."""


@settings(max_examples=250 * SCALE)
@given(LINES)
def test_a_line_is_refused_in_words_or_kept(keeper: Keeper, line: bytes) -> None:
    try:
        job = parse_document(parse_json(line))
    except InvalidInput as error:
        check_message(error)
    else:
        check_kept(keeper, job)


@settings(max_examples=150 * SCALE)
@given(st.sampled_from(sorted(SOUND_VALUES)), VALUES)
def test_a_refused_value_is_blamed_on_its_key(keeper: Keeper, name: str, value: object) -> None:
    text = json.dumps({"command": "true"} | {name: value})
    try:
        job = parse_document(parse_json(text))
    except InvalidInput as error:
        check_message(error, f"{name} |{name}:|JSON")
    else:
        check_kept(keeper, job)


@settings(max_examples=60 * SCALE)
@given(SOUND_JOBS)
def test_a_sound_job_is_kept(keeper: Keeper, document: dict[str, object]) -> None:
    check_kept(keeper, parse_document(parse_json(json.dumps(document))))


@settings(max_examples=60 * SCALE)
@given(st.lists(LINES, max_size=6))
def test_a_batch_is_kept_whole_or_not_at_all(keeper: Keeper, lines: list[bytes]) -> None:
    before = keeper.count()
    try:
        jobs = [replace(job, id=f"job{next(IDS)}") for job in parse_batch(lines)]
    except InvalidInput as error:
        check_message(error, r"line \d+: ")
        jobs = []
    if jobs:
        try:
            receipts = keeper.run(keeper.store.enqueue(jobs))
        except (JobNotFound, UniqueKeyTaken) as error:
            check_message(error)
            jobs = []
        else:
            assert [receipt.id for receipt in receipts] == [job.id for job in jobs]
    assert keeper.count() == before + len(jobs)
    keeper.run(keeper.store.apply(Action.DELETE, [str(job.id) for job in jobs]))


@settings(max_examples=120 * SCALE)
@given(WORDS | st.text(max_size=30) | st.from_regex(r"[0-9.]{1,5}(d|h|m|s|ms)?[0-9]{0,3}(m|s|ms)?", fullmatch=True))
def test_a_duration_is_refused_in_words_or_written_as_it_was_read(text: str) -> None:
    try:
        duration = parse_duration(text)
    except InvalidDuration as error:
        check_message(error)
    else:
        assert parse_duration(format_duration(duration)) == duration


@settings(max_examples=120 * SCALE)
@given(
    WORDS
    | st.text(max_size=30)
    | st.datetimes().map(str)
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,Z+-]{0,14}", fullmatch=True)
)
def test_a_time_is_refused_in_words_or_written_as_it_was_read(text: str) -> None:
    try:
        moment = parse_time(text)
    except InvalidTime as error:
        check_message(error)
    else:
        assert parse_time(format_time(moment)) == moment
