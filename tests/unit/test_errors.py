from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl import errors
from queuectl.errors import InvalidInput, OutcomeUnknown, QueuectlError, quote

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, QueuectlError)]


def test_every_error_has_a_code_of_its_own() -> None:
    assert len({error.code for error in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_stands_in_the_drawn_tree_and_is_public(error: type[QueuectlError]) -> None:
    assert errors.__doc__ is not None
    assert error.__name__ in errors.__doc__.split()
    assert error.__name__ in errors.__all__


def test_an_unknown_outcome_names_the_jobs() -> None:
    assert OutcomeUnknown("lost", ["a", "b"]).ids == ("a", "b")
    assert OutcomeUnknown("lost").ids == ()
    assert not issubclass(OutcomeUnknown, InvalidInput)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", "'a'"),
        ("a\nb\x1b[31m\udcff", r"'a\nb\x1b[31m\udcff'"),
        ("x" * 61, f"'{'x' * 60}…'"),
        (5, "5"),
        pytest.param(10**5000, "a number with too many digits", id="5000 digits"),
        (("a", "b"), "('a', 'b')"),
    ],
)
def test_a_value_is_quoted(value: object, shown: str) -> None:
    assert quote(value) == shown


@given(st.text() | st.integers() | st.lists(st.text()))
def test_a_quoted_value_is_short_and_can_be_printed_on_one_line(value: object) -> None:
    assert len(quote(value)) < 700
    assert len(quote(value).splitlines()) == 1
    quote(value).encode()
