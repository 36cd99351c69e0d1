"""What users and their programs may give by mistake, or to do harm: as it should be, nearly so, and not at all."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from queuectl.jobspec import KEYS

__all__ = ["ARGUMENTS", "EXISTING", "LINES", "SOUND_JOBS", "SOUND_VALUES", "VALUES", "WORDS"]

EXISTING = ("first", "second")
"""Jobs that are there, for others to come after."""
WORDS = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "-1",
            "1",
            "3",
            "255",
            "256",
            "1001",
            "1e3",
            "1_000",
            "٣",
            "0x10",
            "1e999",
            "nan",
            "-inf",
            "9" * 20,
            "9" * 5000,
        ),
        *(
            "true",
            "none",
            "null",
            "default",
            "a",
            "A.b:c-d_e",
            "-x",
            "x" * 128,
            "x" * 129,
            "QUEUECTL_X=1",
            "A=B",
            "=",
            "A=B=C",
        ),
        *("0s", "1ms", "90s", "2h30m", "1d", "36525d", "36526d", "1.5h", "5 s", "-3s", ".5", "9" * 400 + "s", "1e5s"),
        *(
            "2030-01-31T08:00:00Z",
            "2030-01-31",
            "1969-12-31T23:59:59Z",
            "9001-01-01",
            "2030-02-30",
            "20300131T080000,5+02:00",
        ),
        *("2030-W05-1", "0001-01-01T00:00+23:59", "2030-01-31T08:00:00.1234567+24:00", "now", "2030-01-31T24:00"),
        *(
            "exponential",
            "linear",
            "fixed",
            "refuse",
            "ignore",
            "pending,dead",
            "all",
            "512MiB",
            "513MiB",
            "1 k",
            "1KiB",
        ),
        *(
            "/",
            "/tmp",
            "tmp",
            "..",
            "\x1b[31m",
            "a\nb",
            "\r",
            "\u2028",
            "\u202e",
            "é",
            "\U0001f600",
            "\ud800",
            "\udcff",
            "\0",
        ),
    ]
)
"""Texts on both sides of what some key takes."""
ARGUMENTS = (WORDS | st.text(max_size=40)).map(
    # No process can be given a NUL; bytes that are no UTF-8 come as these surrogates.
    lambda text: "".join("\udc80" if "\ud800" <= character <= "\udfff" else character for character in text).replace(
        "\0", ""
    )
)
"""A word of a command line, or a variable of the environment."""
_NAMES = st.sampled_from([*KEYS, "run_after", "max_attempts", "comand", "Command", ""]) | st.text(max_size=8)

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**7), 10**7)
    | st.integers()
    | st.sampled_from([10**400, -(10**20), 1e308, 5e-324, -0.0, float("nan"), float("inf")])
    | st.floats()
    | WORDS
    | st.text(max_size=30)
)
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES | WORDS, inner, max_size=3),
    max_leaves=6,
)
"""Any JSON value, and what Python's own JSON has beyond."""


def _names_a_variable(text: str) -> bool:
    return bool(text) and "=" not in text and not text.startswith("QUEUECTL_")


_PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_IDS = st.sampled_from(EXISTING)
_DURATIONS = st.integers(1, 10**6) | st.sampled_from(["1ms", "90s", "2h30m", "36525d"])
SOUND_VALUES: dict[str, st.SearchStrategy[object]] = {
    "command": _PLAIN.filter(str.strip) | st.lists(_PLAIN.filter(bool), min_size=1, max_size=3),
    "queue": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True),
    "priority": st.integers(-(10**6), 10**6),
    "run_at": st.sampled_from(
        ["2030-01-31T08:00:00Z", "1970-01-01T00:00:00Z", "9000-12-31T23:59:59.999Z", "2030-01-31"]
    ),
    "timeout": _DURATIONS,
    "max_retries": st.integers(0, 1000),
    "backoff": st.sampled_from(["exponential", "linear", "fixed"]),
    "backoff_base": st.floats(1, 1e308) | st.integers(1, 10**9),
    "backoff_max": _DURATIONS,
    "backoff_jitter": st.floats(0, 1),
    "retry_on": st.lists(st.integers(0, 255), max_size=5),
    "no_retry_on": st.lists(st.integers(0, 255), max_size=5),
    "cwd": _PLAIN.map(lambda text: f"/{text}"),
    "env": st.dictionaries(_PLAIN.filter(_names_a_variable), _PLAIN, max_size=3),
    "stdin": _PLAIN,
    "tags": st.lists(_PLAIN.filter(bool), max_size=3),
    "unique": _PLAIN.filter(bool),
    "after": st.lists(
        _IDS | st.fixed_dictionaries({"id": _IDS}, optional={"if": st.sampled_from(["ok", "any", "notok"])}),
        max_size=3,
        unique_by=lambda other: other if isinstance(other, str) else other["id"],
    ),
    "concurrency_key": _PLAIN.filter(bool),
    "concurrency_limit": st.integers(1, 1000),
}
"""For each key that a stored job has, what it takes."""
SOUND_JOBS = st.fixed_dictionaries(
    {"command": SOUND_VALUES["command"]}, optional={name: of for name, of in SOUND_VALUES.items() if name != "command"}
)
"""Jobs that are accepted."""
_NEARLY = st.builds(lambda job, name, value: {**job, name: value}, SOUND_JOBS, _NAMES, VALUES)
_TEXTS = st.builds(json.dumps, SOUND_JOBS | _NEARLY | VALUES, ensure_ascii=st.booleans())


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    """Damage a text at one place."""
    text = draw(_TEXTS)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(start + 6, len(text))))
    piece = draw(
        st.sampled_from(["", "{", "}", "[", '"', "\\", ",", ":", "\\u0000", "\\ud800", "NaN", "1e999", "\ufeff"])
    )
    return text[:start] + piece + text[end:]


_DEEP = st.builds(
    lambda opening, depth: '{"command": ' + opening * depth, st.sampled_from(["[", '{"a":']), st.integers(1, 5000)
)
_TWICE = st.builds(
    lambda name, value: f'{{"command": "true", "{name}": {value}, "{name}": 1}}',
    st.sampled_from(sorted(KEYS)),
    st.integers(),
)
_TEXT_LINES = (_TEXTS | _mutated() | _DEEP | _TWICE | WORDS | st.text(max_size=40)).map(
    lambda text: text.encode(errors="surrogatepass")
)
LINES = (
    _TEXT_LINES | st.binary(max_size=30) | st.builds(lambda line, byte: line + byte, _TEXT_LINES, st.binary(max_size=3))
)
"""A job as a line of a batch, without regard to line breaks."""
