"""Every key of a job reads back as it was given."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from queuectl.job import Job, NewJob
from queuectl.store import open_store
from queuectl.timestamp import from_epoch_ms, to_epoch_ms
from tests.factories import START, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
WORDS = TEXTS.filter(bool)
DURATIONS = st.integers(1, 3_155_760_000_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds))
EXIT_CODES = st.frozensets(st.integers(0, 255), max_size=5)
VARIABLES = WORDS.filter(lambda name: "=" not in name and not name.startswith("QUEUECTL_"))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(8999, 1, 1), timezones=ZONES)  # noqa: DTZ001 - `timezones` adds one

JOBS = st.builds(
    NewJob,
    TEXTS.filter(str.strip) | st.tuples(WORDS, TEXTS) | st.lists(WORDS, min_size=1, max_size=4).map(tuple),
    id=st.none() | NAMES,
    queue=NAMES,
    priority=st.integers(-1_000_000, 1_000_000),
    run_at=st.none() | TIMES,
    timeout=st.none() | DURATIONS,
    max_retries=st.none() | st.integers(0, 1000),
    backoff=st.none() | st.sampled_from(["exponential", "linear", "fixed"]),
    backoff_base=st.none() | st.floats(1, 1e300),
    backoff_max=st.none() | DURATIONS | st.just(timedelta(0)),
    backoff_jitter=st.none() | st.floats(0, 1),
    retry_on=st.none() | EXIT_CODES,
    no_retry_on=EXIT_CODES,
    cwd=st.none() | TEXTS.map("/{}".format),
    env=st.dictionaries(VARIABLES, TEXTS, max_size=4),
    stdin=TEXTS,
    tags=st.lists(WORDS, max_size=4).map(tuple),
)
BATCHES = st.lists(JOBS, min_size=1, max_size=20, unique_by=lambda job: job.id or object())

SAID = [field.name for field in fields(Job) if field.name in {asked.name for asked in fields(NewJob)}]
ROUNDED = {"id", "cwd", "run_at"}
"""What the store fills in, or keeps to the millisecond only."""


@settings(max_examples=25)
@given(BATCHES)
@example([NewJob('["echo", "a"]'), NewJob(("echo a",)), NewJob("{}"), NewJob("'; --"), NewJob("1"), NewJob(("1", ""))])
@example([NewJob("a", retry_on=frozenset()), NewJob("a", max_retries=0), NewJob("a", tags=("b", "a", "b"))])
def test_every_key_reads_back_equal(new_url: Callable[[], str], batch: list[NewJob]) -> None:
    for asked, kept in zip(batch, asyncio.run(_stored(new_url(), batch)), strict=True):
        for name in SAID:
            if name not in ROUNDED:
                assert getattr(kept, name) == getattr(asked, name), name
                assert type(getattr(kept, name)) is type(getattr(asked, name)), name
        assert asked.id in (None, kept.id)
        assert asked.cwd in (None, kept.cwd)
        assert kept.run_at == from_epoch_ms(to_epoch_ms(asked.run_at or START))
        assert kept.run_at.tzinfo is UTC


async def _stored(url: str, batch: list[NewJob]) -> list[Job]:
    """Enqueue a batch, and read it back through another store on the same place."""
    async with open_store(url, clock=Clock()) as store, open_store(url) as other:
        return [await other.get(receipt.id) for receipt in await store.enqueue(batch)]
