"""A job as users write it, in JSON or as options, read into a `NewJob`: with every refusal in plain words."""

from __future__ import annotations

import difflib
import json
import math
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from queuectl.duration import MAX_DURATION, parse_duration
from queuectl.errors import InvalidDuration, InvalidInput, InvalidJob, quote
from queuectl.job import MAX_JOB_BYTES, NewJob, OnConflict
from queuectl.timestamp import parse_time

if TYPE_CHECKING:
    from datetime import datetime, timedelta

__all__ = ["KEYS", "Document", "Key", "merge", "parse_batch", "parse_document", "parse_json"]

Document: TypeAlias = Mapping[str, object]
"""A job as a JSON object: keys and values as `json.loads` gives them."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a job."""

    name: str
    allowed: str
    """What it takes, in words."""
    read: Callable[[Any], object]
    """JSON value to `NewJob` value; raises ValueError or TypeError for what it does not take."""
    aliases: tuple[str, ...] = ()


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_string(element) for element in value)


def _command(value: object) -> str | tuple[str, ...]:
    return value if isinstance(value, str) else _strings(value)


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError
    return float(value)


def _duration(value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    return parse_duration(value)


def _exit_codes(value: object) -> frozenset[int]:
    if not isinstance(value, list):
        raise TypeError
    return frozenset(_integer(element) for element in value)


def _environment(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError
    for name, text in value.items():
        if not isinstance(text, str):
            raise InvalidJob(f"{quote(name)} is {_describe(text)}: use a string")
    return value


_A_DURATION = "a duration: a number of seconds, or 500ms, 90s, 10m, 2h30m, 1d"

KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        Key("command", "a string, or an array of strings", _command),
        Key("id", "a string", _string),
        Key("queue", "a string", _string),
        Key("priority", "an integer from -1000000 to 1000000", _integer),
        Key("run_at", "an ISO 8601 time", lambda value: parse_time(_string(value)), aliases=("run_after",)),
        Key("delay", _A_DURATION, _duration),
        Key("timeout", _A_DURATION, _duration),
        Key("max_retries", "an integer from 0 to 1000", _integer, aliases=("max_attempts",)),
        Key("backoff", "exponential, linear or fixed", _string),
        Key("backoff_base", "a number of at least 1", _number),
        Key("backoff_max", _A_DURATION, _duration),
        Key("backoff_jitter", "a number from 0 to 1", _number),
        Key("retry_on", "an array of exit codes (0 to 255)", _exit_codes),
        Key("no_retry_on", "an array of exit codes (0 to 255)", _exit_codes),
        Key("cwd", "an absolute path", _string),
        Key("env", "an object of strings", _environment),
        Key("stdin", "a string", _string),
        Key("on_conflict", "refuse or ignore", lambda value: OnConflict(_string(value))),
        Key("tags", "an array of strings", _strings),
    )
}
"""Every key of a job by its name."""

_LONGEST_EXCERPT = 60
_MAX_PROBLEMS = 10
_MANY_DIGITS = 1_000
_BY_ANY_NAME = {name: key for key in KEYS.values() for name in (key.name, *key.aliases)}


def parse_json(text: str | bytes) -> Document:
    """Read one JSON object.

    Raises:
        InvalidJob: it is no JSON, no object, has text behind it, names a key twice, holds NaN, or is too large.
    """
    document = _decode(_text(text))
    if not isinstance(document, dict):
        raise InvalidJob(f"a job is a JSON object, this is {_describe(document)}")
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
    return name if name in _BY_ANY_NAME else quote(name)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_EXCERPT else text[:_LONGEST_EXCERPT] + "…"


def _excerpt(error: json.JSONDecodeError) -> str:
    rest = error.doc[error.pos : error.pos + 20]
    return f"found {rest!r}" if rest else "the text ends there"


class _OddNumber(str):
    """What stands where a number should: NaN, an infinity, or more digits than are read."""

    __slots__ = ()


def _blame_odd_number(pairs: list[tuple[str, object]]) -> None:
    for name, value in pairs:
        if odd := _odd_in(value):
            allowed = _BY_ANY_NAME[name].allowed if name in _BY_ANY_NAME else "another value"
            raise InvalidJob(f"{_name(name)} is {_cut(odd)}, which is no JSON number: use {allowed}")


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


def parse_document(document: Document, now: datetime) -> NewJob:
    """Turn a job's JSON object into a `NewJob`; `now` is what a `delay` counts from.

    Raises:
        InvalidJob: a key is unknown, missing, given twice under two names, or has a value that it does not take.
            The message names every such key, up to ten.
    """
    values = _read_values(document)
    if "delay" in values:
        if "run_at" in values:
            raise InvalidJob("run_at and delay are both given: keep one")
        values["run_at"] = now + values.pop("delay")
    return NewJob(**values)


def _read_values(document: Document) -> dict[str, Any]:
    values: dict[str, Any] = {}
    problems: list[str] = [] if "command" in document else ["command is missing: every job needs one"]
    for name, value in document.items():
        try:
            key = _find_key(name)
            if key.name in values:
                raise InvalidJob(f"{key.name} is given twice, under two names: keep one")
            values[key.name] = _read(key, name, value)
        except InvalidJob as error:
            problems.append(str(error))
            if len(problems) == _MAX_PROBLEMS:
                break
    if problems:
        raise InvalidJob("; ".join(problems))
    return values


def _find_key(name: str) -> Key:
    if key := _BY_ANY_NAME.get(name):
        return key
    near = difflib.get_close_matches(name[:_LONGEST_EXCERPT], _BY_ANY_NAME, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(KEYS)}"
    raise InvalidJob(f"unknown key {quote(name)}: {hint}")


def _read(key: Key, name: str, value: object) -> object:
    try:
        return key.read(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidJob(f"{name} is {_describe(value)}: use {key.allowed}") from None
    except InvalidDuration:
        raise InvalidJob(f"{name} is {_describe(value)}: use {key.allowed}, at most {MAX_DURATION.days}d") from None
    except InvalidInput as error:
        raise InvalidJob(f"{name}: {error}") from None


def _describe(value: object) -> str:
    """Say what was found, short enough for a message."""
    if value is None:
        return "null"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number too large for JSON"
    try:
        text = json.dumps(value, ensure_ascii=True)
    except (ValueError, RecursionError):
        text = "…"
    kind = {str: "the string ", list: "the array ", dict: "the object ", bool: "", int: "", float: ""}[type(value)]
    return kind + _cut(text)


def parse_batch(lines: Iterable[bytes], now: datetime, options: Document | None = None) -> list[NewJob]:
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
            job = parse_document(merge(_line_document(text), options or {}), now)
            if job.id is not None and job.on_conflict is OnConflict.REFUSE and job.id in lines_by_id:
                raise InvalidJob(f"id {job.id} stands in line {lines_by_id[job.id]} already")
        except InvalidInput as error:
            raise InvalidJob(f"line {number}: {error}") from None
        if job.id is not None:
            lines_by_id.setdefault(job.id, number)
        jobs.append(job)
    return jobs


def _line_document(line: bytes) -> Document:
    return parse_json(line) if line.startswith(b"{") else {"command": _text(line)}


def merge(document: Document, options: Document) -> Document:
    """Add options to a job.

    Raises:
        InvalidJob: a key is given in both.
    """
    for name in options:
        key = _BY_ANY_NAME[name]
        if any(alias in document for alias in (key.name, *key.aliases)):
            raise InvalidJob(f"{key.name} is given in the job and as an option: keep one")
    return {**document, **options}
