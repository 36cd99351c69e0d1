"""Which job a user means, by an id or by the beginning of a generated one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from queuectl.errors import AmbiguousId, JobNotFound
from queuectl.job import NewJob
from queuectl.output import RunOutput
from queuectl.transition import Action
from tests.factories import add

if TYPE_CHECKING:
    from queuectl.store.base import Store

LOOKS_GENERATED = [f"abcd0000000{number}" for number in range(6)]


async def test_a_whole_id_is_itself(store: Store) -> None:
    await add(store, "my-job")
    assert await store.resolve("my-job") == "my-job"


async def test_a_beginning_of_4_characters_serves_for_a_generated_id(store: Store) -> None:
    (receipt,) = await store.enqueue([NewJob("true")])
    for length in range(4, 13):
        assert await store.resolve(receipt.id[:length]) == receipt.id


@pytest.mark.parametrize("length", [0, 1, 2, 3])
async def test_a_shorter_beginning_serves_for_nothing(store: Store, length: int) -> None:
    (receipt,) = await store.enqueue([NewJob("true")])
    with pytest.raises(JobNotFound):
        await store.resolve(receipt.id[:length])


async def test_ids_that_a_user_chose_are_named_whole(store: Store) -> None:
    await add(store, "nightly-backup")
    with pytest.raises(JobNotFound, match="nightly"):
        await store.resolve("nightly")


async def test_an_exact_id_wins_over_those_that_begin_so(store: Store) -> None:
    await add(store, *LOOKS_GENERATED, "abcd")
    assert await store.resolve("abcd") == "abcd"


async def test_an_ambiguous_beginning_names_its_candidates(store: Store) -> None:
    await add(store, *LOOKS_GENERATED[:3])
    with pytest.raises(AmbiguousId) as caught:
        await store.resolve("abcd")
    assert all(job_id in str(caught.value) for job_id in LOOKS_GENERATED[:3])


async def test_no_more_than_5_candidates_are_named(store: Store) -> None:
    await add(store, *LOOKS_GENERATED)
    with pytest.raises(AmbiguousId) as caught:
        await store.resolve("abcd0000000")
    assert sum(job_id in str(caught.value) for job_id in LOOKS_GENERATED) == 5


async def test_ids_that_a_user_chose_make_nothing_ambiguous(store: Store) -> None:
    await add(store, LOOKS_GENERATED[0], "abcd-mine", "abcd00000000x")
    assert await store.resolve("abcd0") == LOOKS_GENERATED[0]


@pytest.mark.parametrize(
    "text", ["ABCD0000", "abcz", "%%%%", "____", "abc%", "abc_", "abc*", "????", "[a-z]bcd", "'abcd"]
)
async def test_what_begins_no_id_finds_none(store: Store, text: str) -> None:
    await add(store, LOOKS_GENERATED[0])
    with pytest.raises(JobNotFound):
        await store.resolve(text)


@pytest.mark.parametrize("text", ["", "abc\udcffd", "abcd" * 100, "ﬁ"])
async def test_a_text_that_no_id_can_be_is_just_not_found(store: Store, text: str) -> None:
    await add(store, LOOKS_GENERATED[0])
    with pytest.raises(JobNotFound):
        await store.resolve(text)
    with pytest.raises(JobNotFound):
        await store.get(text)
    with pytest.raises(JobNotFound):
        await store.list_runs(text)
    with pytest.raises(JobNotFound):
        await store.apply(Action.RETRY, [text])
    assert await store.read_output(text, 1) == RunOutput()


@pytest.mark.parametrize("text", ["abcd0000", "ABCD00000000", "abcd00000000 ", "nothing"])
async def test_get_wants_exactly_the_id(store: Store, text: str) -> None:
    await add(store, LOOKS_GENERATED[0])
    assert (await store.get(LOOKS_GENERATED[0])).id == LOOKS_GENERATED[0]
    with pytest.raises(JobNotFound):
        await store.get(text)
