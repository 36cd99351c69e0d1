"""A store's place as people see it: never with a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from queuectl.store.place import scheme_of, shown, without_password


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgresql://me:sec@r@et@host/db", "postgresql://me@host/db"),
        ("postgresql://me@one:1,two:2/db", "postgresql://me@one:1,two:2/db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://", "postgresql://"),
        ("postgresql:///db?host=/run/pg&password=secret&schema=s", "postgresql:///db?host=/run/pg&schema=s"),
        ("postgres://u:secret@h/d?sslpassword=secret&application_name=x", "postgres://u@h/d"),
        ("postgresql://me:secret@[::1]:5432/db", "postgresql://me@[::1]:5432/db"),
    ],
)
def test_a_url_is_shown_without_its_secrets(place: str, expected: str) -> None:
    assert shown(place) == expected
    assert "secret" not in shown(place)
    assert "secret" not in without_password(place)


def test_a_url_without_its_password_can_still_be_used() -> None:
    url = "postgres://u:secret@h/d?p%61ssword=secret&application_name=x"
    assert without_password(url) == "postgres://u@h/d?application_name=x"
    assert without_password("jobs.db") == "jobs.db"


def test_a_path_is_shown_whole() -> None:
    assert shown("jobs.db") == str(Path.cwd() / "jobs.db")
    assert scheme_of("/a/b.db") is scheme_of("c:/jobs.db") is None
