"""The fast way to read a line of a batch says what the careful one says, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from queuectl.jobtext import _read_plain, parse_json

# Few names, so that some come twice; and all that a count of quotation marks might stumble over.
NAMES = st.sampled_from(["a", "b", '"', "", '\\"', "é"])
TEXTS = st.text(st.sampled_from('ab"\\\u0022\n\0é€😀\ud800{}[]:,'), max_size=6)
SCALARS = TEXTS | st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**30)
PAIRS = st.deferred(lambda: st.lists(st.tuples(NAMES, VALUES), max_size=4).map(Pairs))
VALUES: st.SearchStrategy[Any] = SCALARS | st.lists(SCALARS, max_size=3) | PAIRS


class Pairs(list[tuple[str, Any]]):
    """A JSON object as it is written: a name may come twice."""


def write(value: object, separators: tuple[str, str], *, ascii_only: bool) -> str:
    between, after_name = separators
    if isinstance(value, Pairs):
        written = (
            json.dumps(name, ensure_ascii=ascii_only) + after_name + write(value, separators, ascii_only=ascii_only)
            for name, value in value
        )
        return "{" + between.join(written) + "}"
    return json.dumps(value, ensure_ascii=ascii_only, separators=separators)


LINES = st.builds(
    lambda pairs, separators, ascii_only: write(pairs, separators, ascii_only=ascii_only).encode(
        errors="surrogatepass"
    ),
    PAIRS,
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :\r")]),
    st.booleans(),
)


def assert_same(line: bytes) -> None:
    document = _read_plain(line)
    # As text, since 1, 1.0 and true are equal and not the same.
    assert document is None or repr(document) == repr(parse_json(line))


@given(LINES)
@example(rb'{"a": "\u0022\u0022", "b": 1, "b": 2}')
@example(b'{"a": {"b": 1, "b": 1}}')
def test_what_is_read_fast_is_read_right(line: bytes) -> None:
    assert_same(line)


@given(LINES, st.data())
def test_what_is_spoilt_is_read_right_or_not_at_all(line: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(line)))
    spoilt = line[:at] + data.draw(st.binary(max_size=2)) + line[data.draw(st.integers(at, len(line))) :]
    assert_same(b"{" + spoilt)


@pytest.mark.parametrize(
    "line",
    [
        b'{"command": "a"}',
        b'{"command": ["a", "b c"], "env": {"A": "1"}, "tags": []}',
        rb'{"command": "echo \"hi\" \\\" > \/dev\/null\n", "priority": -5}',
        '{"command": "écho €", "backoff_base": 2.5}'.encode(),
    ],
)
def test_what_people_write_is_read_fast(line: bytes) -> None:
    assert _read_plain(line) == json.loads(line)
