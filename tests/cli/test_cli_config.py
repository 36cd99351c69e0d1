"""`config`: where a setting's value comes from, and how it is shown."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from queuectl.settings import SETTINGS

if TYPE_CHECKING:
    from tests.cli.shell import Shell


def test_the_environment_goes_before_the_store_and_that_before_the_default(queuectl: Shell) -> None:
    queuectl.ok("db", "init")
    assert queuectl.ok("config", "get", "max-retries").out == "3\n"
    assert queuectl.ok("config", "set", "max-retries", "5").err == "✓ max_retries = 5\n"
    assert queuectl.ok("config", "get", "max_retries").out == "5\n"
    assert queuectl.ok("config", "get", "max_retries", environ={"QUEUECTL_MAX_RETRIES": "7"}).out == "7\n"
    queuectl.ok("config", "unset", "max_retries")
    assert queuectl.ok("config", "get", "max_retries").out == "3\n"


def test_setting_says_when_the_environment_goes_before_it(queuectl: Shell) -> None:
    result = queuectl.ok("config", "set", "max-retries", "5", environ={"QUEUECTL_MAX_RETRIES": "7"})
    assert "QUEUECTL_MAX_RETRIES is set" in result.err


def test_the_table_says_where_each_value_comes_from(queuectl: Shell) -> None:
    queuectl.ok("config", "set", "delay_base", "1500")
    rows = queuectl.ok("config", "get", environ={"QUEUECTL_TIMEOUT": "90"}).lines
    words = {row.split()[0]: row.split()[1:3] for row in rows}
    assert words.keys() == {"KEY", *SETTINGS}
    assert words["backoff_base"] == ["1.5", "store"]
    assert words["delay_base"] == ["1500", "store"]
    assert words["timeout"] == ["1m30s", "environment"]
    assert words["lease"] == ["30s", "default"]


def test_json_values_have_types(queuectl: Shell) -> None:
    queuectl.ok("config", "set", "delay-base", "2500")
    values = queuectl.ok("config", "get", "--json").json
    assert values == {
        "max_retries": 3,
        "backoff": "exponential",
        "backoff_base": 2.5,
        "delay_base": 2500,
        "backoff_max": 300,
        "backoff_jitter": 0,
        "timeout": None,
        "kill_grace": 5,
        "max_output": 1048576,
        "lease": 30,
        "max_crashes": 5,
        "retention": 2592000,
        "drain_timeout": None,
        "busy_timeout": 60,
        "workers": None,
    }
    assert queuectl.ok("config", "get", "lease", "--json").json == {"lease": 30}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["get", "max_retrys"], "did you mean max_retries?"),
        (["set", "max_retries", "many"], "use an integer from 0 to 1000"),
        (["set", "lease", "0"], "at least 1s"),
        (["unset", "nix"], "there is no setting 'nix'"),
    ],
)
def test_what_is_no_setting_is_refused_before_the_store_is_made(queuectl: Shell, args: list[str], message: str) -> None:
    result = queuectl("config", *args)
    assert (result.code, message in result.err) == (2, True)
    assert not Path("queuectl.db").exists()


def test_a_bad_value_in_the_environment_says_where_it_stands(queuectl: Shell) -> None:
    result = queuectl("enqueue", "true", environ={"QUEUECTL_BUSY_TIMEOUT": "long"})
    assert (result.code, "mend QUEUECTL_BUSY_TIMEOUT" in result.err) == (2, True)


def test_what_was_stored_under_an_alias_is_shown_and_can_be_unset(queuectl: Shell) -> None:
    queuectl.ok("db", "init")
    with closing(sqlite3.connect("queuectl.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO config VALUES ('delay_base', 'soon')")
    refusal = queuectl("config", "get", "backoff_base")
    assert (refusal.code, "config unset delay_base" in refusal.err) == (2, True)

    queuectl.ok("config", "unset", "delay_base")

    assert queuectl.ok("config", "get", "backoff_base").out == "2\n"
