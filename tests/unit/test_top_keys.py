"""Keys, as terminals send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.cli.top.keys import Key, KeyDecoder


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        (b"jk", ["j", "k"]),
        (b"\x1b[A\x1bOB", [Key.UP, Key.DOWN]),
        (b"\x1b[5~\x1b[6~\x1b[1~\x1b[F", [Key.PAGE_UP, Key.PAGE_DOWN, Key.HOME, Key.END]),
        (b"\r\n\t\x1b[Z\x7f\x08", [Key.ENTER, Key.ENTER, Key.TAB, Key.BACK_TAB, Key.BACKSPACE, Key.BACKSPACE]),
        ("größe".encode(), list("größe")),
        (b"\x1bq", [Key.ESCAPE, "q"]),
        (b"\x1b\x1b[A", [Key.ESCAPE, Key.UP]),
        (b"\x1b[1;5C\x00\x01x", ["x"]),
    ],
)
def test_keys_are_told_apart(sent: bytes, keys: list[str]) -> None:
    decoder = KeyDecoder()
    assert list(decoder.feed(sent)) == keys
    assert not decoder.is_waiting


def test_an_escape_alone_is_known_by_what_does_not_follow() -> None:
    decoder = KeyDecoder()
    assert list(decoder.feed(b"\x1b")) == []
    assert decoder.is_waiting
    assert list(decoder.flush()) == [Key.ESCAPE]
    assert list(decoder.flush()) == []


@given(st.lists(st.sampled_from([b"j", b"\x1b[A", b"\x1bOF", b"\x1b[5~", "ß".encode(), b"\r"])), st.data())
def test_pieces_of_any_length_make_the_same_keys(sent: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(sent)
    cut = data.draw(st.integers(0, len(whole)))
    decoder = KeyDecoder()
    assert [*decoder.feed(whole[:cut]), *decoder.feed(whole[cut:])] == list(KeyDecoder().feed(whole))
