from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.duration import format_duration
from queuectl.errors import InvalidInput, InvalidJob
from queuectl.job import Condition, Dependency, NewJob, OnConflict
from queuectl.job_changes import JobChanges, parse_changes
from queuectl.jobspec import KEYS, merge, parse_document
from queuectl.jobtext import parse_batch, parse_json
from queuectl.new_job import MAX_JOB_BYTES
from queuectl.timestamp import from_epoch_ms, parse_time
from tests.unit.strategies import DURATIONS, EXIT_CODES, NAMES, NOW, TEXTS, TIMEOUTS, VARIABLES, WORDS

CONTRACT_KEYS = {
    *("command", "id", "queue", "priority", "run_at", "delay", "timeout", "max_retries"),
    *("backoff", "backoff_base", "backoff_max", "backoff_jitter", "retry_on", "no_retry_on"),
    *("cwd", "env", "stdin", "on_conflict", "tags"),
    *("unique", "after", "concurrency_key", "concurrency_limit"),
}


def _as_duration(durations: st.SearchStrategy[timedelta]) -> st.SearchStrategy[object]:
    return durations.map(format_duration) | durations.map(timedelta.total_seconds)


def _codes() -> st.SearchStrategy[list[int]]:
    return st.lists(EXIT_CODES, max_size=5)


COMMANDS = TEXTS.filter(str.strip) | st.tuples(WORDS, TEXTS).map(list)
OTHER_IDS = st.from_regex(r"after:[A-Za-z0-9._:-]{0,20}", fullmatch=True)
DEPENDENCIES = OTHER_IDS | st.fixed_dictionaries(
    {"id": OTHER_IDS}, optional={"if": st.sampled_from(["ok", "any", "notok"])}
)
OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "id": NAMES,
    "queue": NAMES,
    "priority": st.integers(-1_000_000, 1_000_000),
    "run_at": st.integers(0, 10**13).map(from_epoch_ms).map(lambda moment: moment.isoformat()),
    "timeout": _as_duration(TIMEOUTS),
    "max_retries": st.integers(0, 1000),
    "backoff": st.sampled_from(["exponential", "linear", "fixed"]),
    "backoff_base": st.floats(1, allow_infinity=False) | st.integers(1, 10**6),
    "backoff_max": _as_duration(DURATIONS),
    "backoff_jitter": st.floats(0, 1),
    "retry_on": _codes(),
    "no_retry_on": _codes(),
    "cwd": TEXTS.map("/{}".format),
    "env": st.dictionaries(VARIABLES, TEXTS, max_size=3),
    "stdin": TEXTS,
    "unique": WORDS,
    # Ids that begin so cannot be the job's own.
    "after": st.lists(DEPENDENCIES, max_size=3, unique_by=lambda edge: edge["id"] if isinstance(edge, dict) else edge),
    "concurrency_key": WORDS,
    "concurrency_limit": st.integers(1, 1_000_000),
    "on_conflict": st.sampled_from(["refuse", "ignore"]),
    "tags": st.lists(WORDS, max_size=3),
}
DOCUMENTS = st.fixed_dictionaries({"command": COMMANDS}, optional=OPTIONAL)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1d", "fixed", "/", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ANY_KEY = st.sampled_from([*KEYS, "run_after", "max_attempts"]) | st.text(max_size=12)


def read(text: str | bytes) -> NewJob:
    return parse_document(parse_json(text))


def refusal_of(text: str | bytes) -> str:
    """Read a job that must be refused, and give the message."""
    with pytest.raises(InvalidJob) as refusal:
        read(text)
    return str(refusal.value)


def refused_value(key: str, value: str) -> str:
    """Give the message about a value, in JSON, of one key."""
    return refusal_of(f'{{"command": "true", "{key}": {value}}}' if key != "command" else f'{{"command": {value}}}')


def test_the_keys_are_those_of_the_contract() -> None:
    assert set(KEYS) == CONTRACT_KEYS
    assert {alias for key in KEYS.values() for alias in key.aliases} == {"run_after", "max_attempts"}


@given(DOCUMENTS, st.booleans())
def test_a_valid_document_reads_as_it_was_written(document: dict[str, Any], ensure_ascii: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    job = read(json.dumps(document, ensure_ascii=ensure_ascii))
    expected = dict(document)
    if isinstance(document["command"], list):
        expected["command"] = tuple(document["command"])
    if "run_at" in document:
        expected["run_at"] = parse_time(document["run_at"])
    for key in {"timeout", "backoff_max"} & set(document):
        expected[key] = _milliseconds(document[key])
    for key in {"retry_on", "no_retry_on"} & set(document):
        expected[key] = frozenset(document[key])
    if "tags" in document:
        expected["tags"] = tuple(document["tags"])
    if "after" in document:
        edges = [edge if isinstance(edge, dict) else {"id": edge} for edge in document["after"]]
        expected["after"] = tuple(Dependency(edge["id"], Condition(edge.get("if", "ok"))) for edge in edges)
    assert {key: getattr(job, key) for key in document} == expected
    assert job == read(json.dumps(document, ensure_ascii=ensure_ascii).encode())
    assert parse_batch([json.dumps(document).encode() + b"\n"]) == [job]


def _milliseconds(written: str | float) -> timedelta:
    """Read what `format_duration` wrote, in a way of its own."""
    if not isinstance(written, str):
        return timedelta(milliseconds=round(written * 1000))
    names = {"d": "days", "h": "hours", "ms": "milliseconds", "m": "minutes", "s": "seconds"}
    total, digits = timedelta(0), ""
    for part in written.replace("ms", "M"):
        if part.isdigit():
            digits += part
        else:
            total += timedelta(**{names[part.replace("M", "ms")]: int(digits)})
            digits = ""
    return total


def test_aliases_mean_the_same() -> None:
    job = read('{"command": "true", "run_after": "2030-01-31T08:00:01Z", "max_attempts": 5}')
    assert (job.run_at, job.max_retries) == (NOW + timedelta(seconds=1), 5)


def test_a_delay_counts_from_when_the_job_is_stored() -> None:
    assert read('{"command": "true", "delay": "2h30m"}').due(NOW) == NOW + timedelta(hours=2, minutes=30)
    assert read('{"command": "true", "delay": 0.5}').due(NOW) == NOW + timedelta(milliseconds=500)
    assert read('{"command": "true"}').due(NOW) == NOW


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON: Expecting value at character 1: the text ends there"),
        ("{", "not JSON: "),
        ("{'command': 'true'}", "at character 2: found \"'command': 'true'}\""),
        ('{"command": "true",}', "not JSON: "),
        ('{"command": "true"} x', "not JSON: Extra data at character 21: found 'x'"),
        ('{"command": "true"}{"command": "true"}', "not JSON: Extra data at character 20"),
        ('{"command": "a\nb"}', "not JSON: Invalid control character"),
        ('{"command": "true", "priority": 01}', "not JSON: "),
        ('{"command": "true" "id": "a"}', "not JSON: Expecting ',' delimiter at character 20"),
        ("[]", "a job is a JSON object, this is the array []"),
        ('["echo", "hi"]', 'a job is a JSON object, this is the array ["echo", "hi"]'),
        ('"true"', 'a job is a JSON object, this is the string "true"'),
        ("5", "a job is a JSON object, this is 5"),
        ("null", "a job is a JSON object, this is null"),
        ("NaN", "not JSON: it has NaN, Infinity, or a number with too many digits"),
        (b'{"command": "\xff"}', "not UTF-8: byte 14 is 0xFF"),
        (b'{"command": "\xed\xa0\x80"}', "not UTF-8: byte 14 is 0xED"),
        ('{"command": "true"}'.encode("utf-16"), "not UTF-8: byte 1 is 0xFF"),
        ("[" * 100_000, "the JSON is nested too deeply"),
        ('{"command": ' + '{"a": ' * 100_000, "the JSON is nested too deeply"),
        ("{}", "command is missing: every job needs one"),
    ],
    ids=lambda parameter: str(parameter)[:40],
)
def test_what_is_no_json_object_is_refused(text: str | bytes, words: str) -> None:
    assert words in refusal_of(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"command": "a", "command": "b"}', "command"),
        ('{"command": "a", "env": {"A": "1", "B": "2", "A": "3"}}', "'A'"),
        ('{"command": "a", "id": {"x": [{"y": 1, "y": 1}]}}', "'y'"),
        ('{"command": "a", "\\ud800": 1, "\\ud800": 1}', r"'\ud800'"),
    ],
)
def test_a_key_that_stands_twice_in_one_object_is_refused(text: str, name: str) -> None:
    assert refusal_of(text) == f"{name} is given twice: keep one"


def test_a_key_under_two_names_is_refused() -> None:
    words = refusal_of('{"command": "a", "max_retries": 1, "max_attempts": 1}')
    assert words == "max_retries is given twice, under two names: keep one"


def test_a_time_and_a_delay_are_refused_together() -> None:
    words = refusal_of('{"command": "a", "run_at": "2030-01-31T08:00Z", "delay": 5}')
    assert words == "run_at and delay are both given: keep one"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("comand", "did you mean command?"),
        ("retries", "did you mean max_retries?"),
        ("max_attempt", "did you mean max_attempts?"),
        ("runafter", "did you mean run_after?"),
        ("colour", "the keys are command, id, queue"),
        ("Command", "did you mean command?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(name: str, hint: str) -> None:
    assert f"unknown key {name!r}: {hint}" in refused_value(name, "1")


@pytest.mark.parametrize("name", ["state", "attempts", "held", "parked"])
def test_keys_that_are_not_there_yet_are_unknown(name: str) -> None:
    assert f"unknown key {name!r}" in refused_value(name, '"x"')


def test_many_unknown_keys_are_refused_fast_and_shortly() -> None:
    words = refusal_of(json.dumps({f"{'k' * 500}{number}": 1 for number in range(1500)}))
    assert len(words) < 4000
    assert words.startswith("command is missing: every job needs one; unknown key 'kkk")


def test_a_duplicate_among_very_many_keys_is_found_fast() -> None:
    pairs = [f'"{number}":1' for number in range(80_000)]
    assert refusal_of("{" + ",".join([*pairs, pairs[-1]]) + "}") == "'79999' is given twice: keep one"


def test_every_wrong_value_is_named_at_once() -> None:
    words = refusal_of('{"comand": "a", "priority": "high", "tags": "x"}')
    assert words.split("; ") == [
        "command is missing: every job needs one",
        "unknown key 'comand': did you mean command?",
        'priority is the string "high": use an integer from -1000000 to 1000000',
        'tags is the string "x": use an array of strings',
    ]


@pytest.mark.parametrize("key", sorted(CONTRACT_KEYS))
@pytest.mark.parametrize("value", ["null", "true", "{}", "[[]]", "[null]", "[true]", '{"a": 1}'])
def test_a_value_of_the_wrong_type_is_refused_with_what_is_allowed(key: str, value: str) -> None:
    if (key, value) == ("env", "{}"):
        return
    words = refused_value(key, value)
    assert words.startswith(key)
    assert "use " in words


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("command", "5", "command is 5: use a string, or an array of strings"),
        ("command", '""', "command is empty"),
        ("command", "[]", "command is empty"),
        ("command", '"a\\u0000"', "command has a NUL byte"),
        ("command", '["a", "\\ud800"]', "command has a lone surrogate (U+D800)"),
        ("id", "5", "id is 5: use a string"),
        ("id", '"a b"', "id is 'a b': use 1 to 128 of the characters"),
        ("priority", "1.0", "priority is 1.0: use an integer from -1000000 to 1000000"),
        ("priority", "1000001", "priority is 1000001: use an integer from -1000000 to 1000000"),
        ("priority", "1e400", "priority is a number too large for JSON: use an integer"),
        ("priority", "-1" * 2000, "not JSON"),
        ("priority", "1" * 5000, f"priority is {'1' * 60}…, which is no JSON number: use an integer from -1000000"),
        ("priority", "1" * 4000, "priority is 1111"),
        ("priority", "NaN", "priority is NaN, which is no JSON number: use an integer from -1000000 to 1000000"),
        ("timeout", "-Infinity", "timeout is -Infinity, which is no JSON number: use a duration"),
        ("retry_on", "[[NaN]]", "retry_on is NaN, which is no JSON number: use an array of exit codes (0 to 255)"),
        ("env", '{"A": Infinity}', "'A' is Infinity, which is no JSON number"),
        ("run_at", '"tomorrow"', "run_at: 'tomorrow' is not a time: use ISO 8601"),
        ("run_after", "5", "run_after is 5: use an ISO 8601 time"),
        ("run_at", json.dumps("x" * 5000), "x…' is not a time"),
        ("delay", '"soon"', 'delay is the string "soon": use a duration: a number of seconds, or 500ms'),
        ("delay", "1e300", "use a duration: a number of seconds, or 500ms, 90s, 10m, 2h30m, 1d, at most 36525d"),
        ("delay", "-1", "delay is -1: use a duration"),
        ("timeout", "0", "timeout is 0s: use 1ms to 36525d"),
        ("timeout", "true", "timeout is true: use a duration"),
        ("max_retries", "true", "max_retries is true: use an integer from 0 to 1000"),
        ("max_attempts", "1001", "max_retries is 1001: use an integer from 0 to 1000"),
        ("backoff", '"Fixed"', "backoff is 'Fixed': use exponential, linear, fixed"),
        ("backoff_base", "0.5", "backoff_base is 0.5: use a number of at least 1"),
        ("backoff_base", "1e400", "backoff_base is inf: use a number of at least 1"),
        ("backoff_base", "1" + "0" * 400, "use a number of at least 1"),
        ("backoff_jitter", "2", "backoff_jitter is 2.0: use a number from 0 to 1"),
        ("retry_on", "5", "retry_on is 5: use an array of exit codes (0 to 255)"),
        ("retry_on", "[1, 256]", "an exit code in retry_on is 256: use exit codes from 0 to 255"),
        ("no_retry_on", "[1.0]", "no_retry_on is the array [1.0]: use an array of exit codes (0 to 255)"),
        ("cwd", '"a/b"', "cwd is 'a/b': use an absolute path"),
        ("env", '{"A": 5}', "env: 'A' is 5: use a string"),
        ("env", '{"QUEUECTL_A": ""}', "names that begin with QUEUECTL_ are queuectl's own"),
        ("on_conflict", '"replace"', 'on_conflict is the string "replace": use refuse or ignore'),
        ("tags", '[""]', "use a string of at least one character"),
        ("tags", '["a", 1]', 'tags is the array ["a", 1]: use an array of strings'),
    ],
    ids=lambda parameter: parameter[:40],
)
def test_a_value_that_a_key_does_not_take_is_refused_with_what_it_takes(key: str, value: str, words: str) -> None:
    message = refused_value(key, value)
    assert words in message
    assert len(message) < 300


def test_no_message_shows_the_value_of_a_variable() -> None:
    assert "hunter2" not in refused_value("env", '{"TOKEN": "hunter2", "N": 5}')


@pytest.mark.parametrize("as_bytes", [False, True])
def test_a_job_larger_than_1_mib_is_refused(as_bytes: bool) -> None:  # noqa: FBT001 - pytest gives it
    frame = len('{"command": ""}')
    fits = '{"command": "%s"}' % ("x" * (MAX_JOB_BYTES - frame))
    assert len(str(read(fits).command)) == MAX_JOB_BYTES - frame
    words = refusal_of((fits + " ").encode() if as_bytes else fits + " ")
    assert words == "the job has 1048577 bytes: at most 1048576 (1 MiB) are allowed"
    assert "bytes: at most" in refusal_of('{"command": "%s"}' % ("é" * (MAX_JOB_BYTES // 2)))


def words_about(line: bytes) -> str | None:
    """Read a batch of one line: give the message where it is refused, else None."""
    try:
        jobs = parse_batch([line])
    except InvalidInput as refusal:
        return str(refusal).encode().decode()
    assert [type(job) for job in jobs] in ([], [NewJob])
    return None


@given(st.dictionaries(ANY_KEY, JSON_VALUES, max_size=4), st.booleans())
def test_any_json_object_is_a_job_or_refused(document: dict[str, Any], has_command: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    words = words_about(json.dumps({"command": "true", **document} if has_command else document).encode())
    assert words is None or words.startswith("line 1: ")


@given(JSON_VALUES)
def test_any_json_but_an_object_is_refused_alone(value: object) -> None:
    if not isinstance(value, dict):
        assert "JSON" in refusal_of(json.dumps(value))


@given(st.sampled_from(sorted(CONTRACT_KEYS)), JSON_VALUES)
def test_any_value_of_a_known_key_is_taken_or_refused_by_its_name(key: str, value: object) -> None:
    words = words_about(json.dumps({"command": "true", key: value}).encode())
    # Where an inner object is at fault, its own key is named.
    assert words is None or isinstance(value, (dict, list)) or key in words


@given(st.binary() | st.binary().map(b"{%b".__mod__) | st.text().map(str.encode))
def test_any_bytes_are_a_job_or_refused(line: bytes) -> None:
    words = words_about(line)
    assert words is None or words.startswith("line 1: ")
    with suppress(InvalidInput):
        assert isinstance(read(line), NewJob)


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_is_a_job_or_refused(text: str, command: str) -> None:
    # With lone surrogates, as command lines that are no UTF-8 have them.
    for written in (text, f'{{"command": "{command}", "{text}": 1}}'):
        with suppress(InvalidInput):
            assert isinstance(read(written), NewJob)


def test_a_batch_has_a_json_object_or_a_shell_command_in_a_line() -> None:
    lines = [b'{"command": ["echo", "a"], "id": "a"}\r\n', b"\n", b" \t\r\n", b"  echo {b} \n", b"[ -e /tmp ]"]
    assert parse_batch(lines) == [NewJob(("echo", "a"), id="a"), NewJob("echo {b}"), NewJob("[ -e /tmp ]")]
    assert parse_batch([]) == []


def test_a_byte_order_mark_does_not_make_a_shell_command_of_json() -> None:
    assert parse_batch([b'\xef\xbb\xbf{"command": "a"}\n', b"b"]) == [NewJob("a"), NewJob("b")]
    assert parse_batch([b"\xef\xbb\xbf\n"]) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"command": }', "not JSON: Expecting value at character 13"),
        (b'{"command": "a", "prio": 1}', "unknown key 'prio': did you mean priority?"),
        (b'{"command": "a", "priority": "x"}', "priority is the string"),
        (b'{"command": "a", "timeout": 0}', "timeout is 0s"),
        (b"echo \xff", "not UTF-8: byte 6 is 0xFF"),
        (b"echo \0", "command has a NUL byte"),
        (b'{"command": "a", "id": "same"}', "id same stands in line 2 already"),
        (b"x" * (MAX_JOB_BYTES + 1), "the job has 1048577 bytes"),
        (b'{"a": ' * 100_000, "not a job: the JSON is nested too deeply"),
    ],
    ids=lambda parameter: str(parameter)[:40],
)
def test_a_batch_is_refused_with_the_number_of_the_line(line: bytes, words: str) -> None:
    with pytest.raises(InvalidJob) as refusal:
        parse_batch([b"\n", b'{"command": "b", "id": "same"}', line, b"{"])
    assert str(refusal.value).startswith(f"line 3: {words}")


def test_an_id_may_stand_twice_in_a_batch_where_the_later_one_may_be_ignored() -> None:
    same = b'{"command": "a", "id": "same", "on_conflict": "ignore"}'
    assert [job.on_conflict for job in parse_batch([same, same])] == [OnConflict.IGNORE] * 2
    with pytest.raises(InvalidJob, match="line 2: id same stands in line 1 already"):
        parse_batch([same, b'{"command": "a", "id": "same"}'])


def test_options_are_for_every_line_of_a_batch() -> None:
    jobs = parse_batch([b'{"command": "a"}', b"b"], {"queue": "mail", "priority": 5})
    assert jobs == [NewJob("a", queue="mail", priority=5), NewJob("b", queue="mail", priority=5)]


@pytest.mark.parametrize(
    ("line", "options", "key"),
    [
        (b'{"command": "a", "queue": "x"}', {"queue": "y"}, "queue"),
        (b'{"command": "a", "max_attempts": 1}', {"max_retries": 2}, "max_retries"),
        (b"echo", {"command": "a"}, "command"),
    ],
)
def test_a_key_that_is_also_an_option_is_refused(line: bytes, options: dict[str, object], key: str) -> None:
    with pytest.raises(InvalidJob) as refusal:
        parse_batch([line], options)
    assert str(refusal.value) == f"line 1: {key} is given in the job and as an option: keep one"


def test_merging_leaves_both_as_they_were() -> None:
    document, options = {"command": "a"}, {"queue": "x"}
    assert merge(document, options) == {"command": "a", "queue": "x"}
    assert (document, options) == ({"command": "a"}, {"queue": "x"})


@pytest.mark.parametrize("edge", ["5", "[]", "{}", '{"if": "ok"}', '{"id": "a", "when": 1}', '{"id": "a", "if": "no"}'])
def test_what_is_no_dependency_is_refused(edge: str) -> None:
    with pytest.raises(InvalidJob, match=r"after is the array .* use an array of ids, or of objects like"):
        read(f'{{"command": "true", "after": [{edge}]}}')


def test_changes_are_read_as_the_keys_of_a_job_are() -> None:
    document = parse_json('{"priority": 5, "timeout": "2m", "delay": "1h", "retry_on": [1]}')
    values = {"priority": 5, "timeout": timedelta(minutes=2), "retry_on": frozenset({1})}
    assert parse_changes(document) == JobChanges({**values, "delay": timedelta(hours=1)})
    assert parse_changes(document).at(NOW) == {**values, "run_at": NOW + timedelta(hours=1)}
    assert parse_changes({}) == JobChanges({})


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"priorty": 5}, "did you mean priority?"),
        ({"id": "a"}, "id cannot be changed: delete the job and enqueue another"),
        ({"priority": 1e9}, "priority is 1000000000.0: use an integer"),
        ({"delay": 1, "run_at": "2030-01-01T00:00Z"}, "run_at and delay are both given"),
    ],
)
def test_changes_that_cannot_be_are_refused(document: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidJob) as refusal:
        parse_changes(document)
    assert words in str(refusal.value)
