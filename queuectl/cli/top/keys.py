"""What terminals send for keys."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Key", "KeyDecoder"]


class Key(StrEnum):
    """A key that writes nothing. Others are the character that they write."""

    UP = "up"
    DOWN = "down"
    PAGE_UP = "page up"
    PAGE_DOWN = "page down"
    HOME = "home"
    END = "end"
    ENTER = "enter"
    ESCAPE = "escape"
    TAB = "tab"
    BACK_TAB = "back tab"
    BACKSPACE = "backspace"


_KEYS: Mapping[str, Key] = {
    **dict.fromkeys(("\x1b[A", "\x1bOA"), Key.UP),
    **dict.fromkeys(("\x1b[B", "\x1bOB"), Key.DOWN),
    **dict.fromkeys(("\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~"), Key.HOME),
    **dict.fromkeys(("\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~"), Key.END),
    **dict.fromkeys(("\r", "\n"), Key.ENTER),
    **dict.fromkeys(("\x7f", "\x08"), Key.BACKSPACE),
    "\x1b[5~": Key.PAGE_UP,
    "\x1b[6~": Key.PAGE_DOWN,
    "\x1b[Z": Key.BACK_TAB,
    "\t": Key.TAB,
    "\x1b": Key.ESCAPE,
}

_TOKEN = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO[ -~]|\x1b(?![\[O]|\Z)|[^\x1b]", re.DOTALL)
"""A sequence, whole; an escape that begins none; or a character."""


class KeyDecoder:
    """Makes keys of bytes, which come in pieces of any length."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._pending = ""

    @property
    def is_waiting(self) -> bool:
        """Whether something came that may be the escape key, or the beginning of a sequence."""
        return bool(self._pending)

    def feed(self, data: bytes) -> Iterator[str]:
        """Give the keys that are whole."""
        self._pending += self._decoder.decode(data)
        while token := _TOKEN.match(self._pending):
            self._pending = self._pending[token.end() :]
            key = _KEYS.get(token[0], token[0])
            # Sequences that nobody knows, and control characters, do nothing.
            if key.isprintable():
                yield key

    def flush(self) -> Iterator[str]:
        """Give the escape key, if nothing more came of what began like a sequence."""
        if self._pending:
            self._pending = ""
            yield Key.ESCAPE
