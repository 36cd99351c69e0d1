"""A job as users write it, as keys and values, read into a `NewJob`: with every refusal in plain words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from queuectl.duration import MAX_DURATION, parse_duration
from queuectl.errors import InvalidDuration, InvalidInput, InvalidJob, quote
from queuectl.new_job import Condition, Dependency, NewJob, OnConflict
from queuectl.timestamp import parse_time

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["KEYS", "KEYS_BY_ANY_NAME", "Document", "Key", "cut", "describe", "merge", "parse_document", "read_values"]

Document: TypeAlias = Mapping[str, object]
"""A job as a JSON object: keys and values as `json.loads` gives them."""


class Key(NamedTuple):
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
            raise InvalidJob(f"{quote(name)} is {describe(text)}: use a string")
    return value


def _dependencies(value: object) -> tuple[Dependency, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_dependency(element) for element in value)


def _dependency(value: object) -> Dependency:
    if isinstance(value, str):
        return Dependency(value)
    if not isinstance(value, dict) or not {"id"} <= value.keys() <= {"id", "if"}:
        raise TypeError
    return Dependency(_string(value["id"]), Condition(_string(value.get("if", Condition.OK))))


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
        Key("unique", "a string", _string),
        Key(
            "after", 'an array of ids, or of objects like {"id": "job1", "if": "ok"} (ok, any or notok)', _dependencies
        ),
        Key("concurrency_key", "a string", _string),
        Key("concurrency_limit", "an integer from 1 to 1000000", _integer),
        Key("on_conflict", "refuse or ignore", lambda value: OnConflict(_string(value))),
        Key("tags", "an array of strings", _strings),
    )
}
"""Every key of a job by its name."""

_LONGEST_EXCERPT = 60
_MAX_PROBLEMS = 10
KEYS_BY_ANY_NAME = {name: key for key in KEYS.values() for name in (key.name, *key.aliases)}


def cut(text: str) -> str:
    """Cut what was found where it is too long for a message."""
    return text if len(text) <= _LONGEST_EXCERPT else text[:_LONGEST_EXCERPT] + "…"


def parse_document(document: Document) -> NewJob:
    """Turn a job's JSON object into a `NewJob`.

    Raises:
        InvalidJob: a key is unknown, missing, given twice under two names, or has a value that it does not take.
            The message names every such key, up to ten.
    """
    problems = [] if "command" in document else ["command is missing: every job needs one"]
    return NewJob(**read_values(document, problems))


def read_values(document: Document, problems: list[str]) -> dict[str, Any]:
    """Read the values of a document, which are not yet checked against each other; see `parse_document`.

    Raises:
        InvalidJob: as there; it begins with the `problems` that are known already.
    """
    values: dict[str, Any] = {}
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
    if key := KEYS_BY_ANY_NAME.get(name):
        return key
    import difflib  # noqa: PLC0415 - only a wrong name wants it

    near = difflib.get_close_matches(name[:_LONGEST_EXCERPT], KEYS_BY_ANY_NAME, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(KEYS)}"
    raise InvalidJob(f"unknown key {quote(name)}: {hint}")


def _read(key: Key, name: str, value: object) -> object:
    try:
        return key.read(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidJob(f"{name} is {describe(value)}: use {key.allowed}") from None
    except InvalidDuration:
        raise InvalidJob(f"{name} is {describe(value)}: use {key.allowed}, at most {MAX_DURATION.days}d") from None
    except InvalidInput as error:
        raise InvalidJob(f"{name}: {error}") from None


def describe(value: object) -> str:
    """Say what was found, short enough for a message."""
    if value is None:
        return "null"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number too large for JSON"
    import json  # noqa: PLC0415 - only a refusal wants it

    try:
        text = json.dumps(value, ensure_ascii=True)
    except (ValueError, RecursionError):
        text = "…"
    kind = {str: "the string ", list: "the array ", dict: "the object ", bool: "", int: "", float: ""}[type(value)]
    return kind + cut(text)


def merge(document: Document, options: Document) -> Document:
    """Add options to a job.

    Raises:
        InvalidJob: a key is given in both.
    """
    for name in options:
        key = KEYS_BY_ANY_NAME[name]
        if any(alias in document for alias in (key.name, *key.aliases)):
            raise InvalidJob(f"{key.name} is given in the job and as an option: keep one")
    return {**document, **options}
