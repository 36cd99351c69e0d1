"""Jobs as text: one as a JSON object, or a batch of them, a line a job."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import msgspec

from queuectl.errors import InvalidInput, InvalidJob, quote
from queuectl.jobspec import KEYS_BY_ANY_NAME, cut, describe, merge, parse_document
from queuectl.new_job import MAX_JOB_BYTES, NewJob, OnConflict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from queuectl.jobspec import Document

__all__ = ["parse_batch", "parse_json"]

_MANY_DIGITS = 1_000


def parse_json(text: str | bytes) -> Document:
    """Read one JSON object.

    Raises:
        InvalidJob: it is no JSON, no object, has text behind it, names a key twice, holds NaN, or is too large.
    """
    document = _decode(_text(text))
    if not isinstance(document, dict):
        raise InvalidJob(f"a job is a JSON object, this is {describe(document)}")
    return document


def _text(text: str | bytes) -> str:
    raw = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_JOB_BYTES:
        raise InvalidJob(f"the job has {len(raw)} bytes: at most {MAX_JOB_BYTES} (1 MiB) are allowed")
    try:
        return text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        raise InvalidJob(f"not UTF-8: byte {error.start + 1} is 0x{raw[error.start]:02X}") from None


def _decode(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidJob(f"not JSON: {error.msg} at character {error.pos + 1}: {_excerpt(error)}") from None
    except RecursionError:
        raise InvalidJob("not a job: the JSON is nested too deeply") from None
    except ValueError:
        _refuse_odd_number(text)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise InvalidJob(f"{_name(name)} is given twice: keep one")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_refuse_constant)


def _name(name: str) -> str:
    return name if name in KEYS_BY_ANY_NAME else quote(name)


def _excerpt(error: json.JSONDecodeError) -> str:
    rest = error.doc[error.pos : error.pos + 20]
    return f"found {rest!r}" if rest else "the text ends there"


class _OddNumber(str):
    """What stands where a number should: NaN, an infinity, or more digits than are read."""

    __slots__ = ()


def _blame_odd_number(pairs: list[tuple[str, object]]) -> None:
    for name, value in pairs:
        if odd := _odd_in(value):
            allowed = KEYS_BY_ANY_NAME[name].allowed if name in KEYS_BY_ANY_NAME else "another value"
            raise InvalidJob(f"{_name(name)} is {cut(odd)}, which is no JSON number: use {allowed}")


def _odd_in(value: object) -> _OddNumber | None:
    if isinstance(value, list):
        return next((odd for element in value if (odd := _odd_in(element))), None)
    return value if isinstance(value, _OddNumber) else None


def _odd_if_long(digits: str) -> int | _OddNumber:
    return 0 if len(digits) < _MANY_DIGITS else _OddNumber(digits)


_BLAMER = json.JSONDecoder(object_pairs_hook=_blame_odd_number, parse_constant=_OddNumber, parse_int=_odd_if_long)


def _refuse_odd_number(text: str) -> NoReturn:
    """Read the text once more to name the key of a number that cannot be read."""
    with suppress(ValueError, RecursionError):
        _BLAMER.decode(text)
    raise InvalidJob("not JSON: it has NaN, Infinity, or a number with too many digits")


def parse_batch(lines: Iterable[bytes], options: Document | None = None) -> list[NewJob]:
    """Read a batch, a line a job: a JSON object, or a shell command. Blank lines are skipped.

    `options` are keys that every job gets; a line that names one of them itself is refused.

    Raises:
        InvalidJob: the first line that cannot be accepted; the message names its number, from 1.
    """
    jobs: list[NewJob] = []
    lines_by_id: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        # Editors may begin a file with a byte order mark.
        text = line.removeprefix(BOM_UTF8).strip()
        if not text:
            continue
        try:
            document = _line_document(text)
            job = parse_document(merge(document, options) if options else document)
            if job.id is not None and job.on_conflict is OnConflict.REFUSE and job.id in lines_by_id:
                raise InvalidJob(f"id {job.id} stands in line {lines_by_id[job.id]} already")
        except InvalidInput as error:
            raise InvalidJob(f"line {number}: {error}") from None
        if job.id is not None:
            lines_by_id.setdefault(job.id, number)
        jobs.append(job)
    return jobs


def _line_document(line: bytes) -> Document:
    if not line.startswith(b"{"):
        return {"command": _text(line)}
    document = _read_plain(line)
    return parse_json(line) if document is None else document


def _read_plain(line: bytes) -> Document | None:
    """Read a JSON object the fast way, or give None where that might differ from `parse_json`.

    Of keys that are given twice this way keeps the last only. But each key and each string has two quotation marks, and
    one more for each mark in it: so as long as none of them is written as a number, fewer marks tell what was lost.
    """
    try:
        document: Document = _DECODE(line)
        marks = _ENCODE(document).count(b'"')
    except (ValueError, OverflowError, RecursionError):
        return None
    is_whole = line.count(b'"') == marks and b"\\u" not in line and len(line) <= MAX_JOB_BYTES
    return document if is_whole else None


_DECODE = msgspec.json.Decoder().decode
_ENCODE = msgspec.json.Encoder().encode
