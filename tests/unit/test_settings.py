from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuectl.errors import InvalidSetting
from queuectl.retry import Backoff, RetryPolicy
from queuectl.settings import SETTINGS, Settings, environment_settings, find_setting
from tests.unit.strategies import DURATIONS, TIMEOUTS, processing

DEFAULTS = {
    "max_retries": "3",
    "backoff": "exponential",
    "backoff_base": "2",
    "delay_base": "2000",
    "backoff_max": "300",
    "backoff_jitter": "0",
    "timeout": "none",
    "kill_grace": "5s",
    "max_output": "1MiB",
    "lease": "30s",
    "max_crashes": "5",
    "retention": "30d",
    "drain_timeout": "none",
    "busy_timeout": "60s",
    "workers": "none",
}
"""As users were told."""


def _numbers(low: int, high: int) -> st.SearchStrategy[float]:
    return st.decimals(low, high, places=3).map(float)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "max_retries": st.integers(0, 1000),
    "backoff": st.sampled_from(Backoff),
    "backoff_base": _numbers(1, 1_000_000),
    "delay_base": _numbers(1, 1_000_000),
    "backoff_max": DURATIONS,
    "backoff_jitter": _numbers(0, 1),
    "timeout": st.none() | TIMEOUTS,
    "kill_grace": DURATIONS,
    "max_output": st.integers(2, 512 << 20),
    "lease": DURATIONS.filter(lambda lease: lease >= timedelta(seconds=1)),
    "max_crashes": st.none() | st.integers(1, 1000),
    "retention": st.none() | DURATIONS,
    "drain_timeout": st.none() | DURATIONS,
    "busy_timeout": DURATIONS,
    "workers": st.none() | st.integers(1, 10_000),
}


def test_the_settings_are_those_of_the_contract() -> None:
    assert list(SETTINGS) == list(DEFAULTS)
    behind_aliases = {setting.stored_as or setting.name for setting in SETTINGS.values()}
    assert behind_aliases == {field.name for field in fields(Settings)}


@pytest.mark.parametrize(("name", "text"), DEFAULTS.items())
def test_the_defaults_are_those_of_the_contract(name: str, text: str) -> None:
    setting = find_setting(name)
    assert setting.parse(Settings().text(setting)) == setting.parse(text)
    assert Settings.resolve({name: text}, {}) == Settings() == Settings.resolve({}, {})


@pytest.mark.parametrize("name", SETTINGS)
@given(st.data())
def test_a_value_is_written_so_that_it_reads_back(name: str, data: st.DataObject) -> None:
    setting = SETTINGS[name]
    value = data.draw(VALUES[name])
    text = setting.write(value)
    assert setting.parse(text) == value
    assert setting.write(setting.parse(f" {text}\n")) == text
    stored_name, stored = setting.normalize(text)
    assert not SETTINGS[stored_name].stored_as
    assert Settings.resolve({stored_name: stored}, {}) == replace(Settings(), **{stored_name: value})
    assert Settings.resolve({stored_name: stored}, {}).text(setting) == text


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("max_retries", ["-1", "1001", "2.5", "", "many", "none", "1e2", "9" * 5000, "nan"]),
        ("backoff", ["", "quadratic", "exponential!"]),
        ("backoff_base", ["0.999", "0", "-2", "1000001", "nan", "inf", "two", ""]),
        ("delay_base", ["999", "1000000001", "2s", "nan", ""]),
        ("backoff_max", ["-1", "none", "5 minutes", "", "36526d", "nan"]),
        ("backoff_jitter", ["-0.1", "1.1", "nan", "50%", ""]),
        ("timeout", ["0", "-1s", "0.0001", "", "never"]),
        ("kill_grace", ["-1", "none", ""]),
        ("max_output", ["1", "0", "-5", "513MiB", "1TiB", "1.5MiB", "", "none", "9" * 5000]),
        ("lease", ["0", "999ms", "none", ""]),
        ("max_crashes", ["0", "-1", "1001", "", "all"]),
        ("retention", ["-1d", "", "for ever"]),
        ("drain_timeout", ["-1", ""]),
        ("busy_timeout", ["-1", "none", ""]),
        ("workers", ["0", "-1", "10001", "2.5", ""]),
    ],
)
def test_what_a_setting_does_not_take_is_refused_with_what_it_takes(name: str, texts: list[str]) -> None:
    setting = SETTINGS[name]
    for text in texts:
        with pytest.raises(InvalidSetting) as refusal:
            setting.normalize(text)
        assert str(refusal.value).startswith(f"{name} cannot be {text[:60]!r}"[:-1])
        assert str(refusal.value).endswith(f": use {setting.allowed}")


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("max_output", "512KiB", ("max_output", "524288")),
        ("max_output", "1 mib", ("max_output", "1048576")),
        ("max_output", "65536", ("max_output", "65536")),
        ("max_output", "100B", ("max_output", "100")),
        ("timeout", "NONE", ("timeout", "none")),
        ("timeout", "90", ("timeout", "1m30s")),
        ("retention", "720h", ("retention", "30d")),
        ("backoff_base", "2.50", ("backoff_base", "2.5")),
        ("delay_base", "1000", ("backoff_base", "1")),
        ("delay_base", "1500.5", ("backoff_base", "1.5005")),
    ],
)
def test_a_text_is_kept_in_its_plain_form_under_the_settings_own_name(
    name: str, text: str, kept: tuple[str, str]
) -> None:
    assert SETTINGS[name].normalize(text) == kept


@given(st.sampled_from(sorted(SETTINGS)), st.text())
def test_whatever_comes_is_a_value_or_refused(name: str, text: str) -> None:
    try:
        kept, plain = SETTINGS[name].normalize(text)
    except InvalidSetting:
        return
    assert SETTINGS[kept].normalize(plain) == (kept, plain)


def test_an_alias_shows_the_same_value_in_its_own_unit() -> None:
    settings = Settings(backoff_base=1.5)
    assert settings.text(SETTINGS["delay_base"]) == "1500"
    assert settings.text(SETTINGS["backoff_base"]) == "1.5"


@pytest.mark.parametrize("key", ["max_retries", "max-retries", "MAX-Retries", " max_retries "])
def test_a_hyphen_and_an_underscore_are_the_same_in_keys(key: str) -> None:
    assert find_setting(key) is SETTINGS["max_retries"]


@pytest.mark.parametrize(
    ("key", "nearest"), [("max-retry", "max_retries"), ("timeot", "timeout"), ("delaybase", "delay_base")]
)
def test_an_unknown_key_is_refused_with_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        find_setting(key)
    assert str(refusal.value) == f"there is no setting {key!r}: did you mean {nearest}?"


def test_an_unknown_key_that_is_near_to_none_is_refused_with_all() -> None:
    with pytest.raises(InvalidSetting) as refusal:
        find_setting("colour")
    assert all(name in str(refusal.value) for name in SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
@given(st.data())
def test_the_environment_goes_before_the_store_and_the_store_before_the_default(name: str, data: st.DataObject) -> None:
    setting = SETTINGS[name]
    field = setting.stored_as or name
    kept, given_now = data.draw(VALUES[name]), data.draw(VALUES[name])
    stored, environ = {name: setting.write(kept)}, {f"QUEUECTL_{name.upper()}": setting.write(given_now)}
    assert getattr(Settings.resolve(stored, {}), field) == kept
    assert getattr(Settings.resolve(stored, environ), field) == given_now
    assert getattr(Settings.resolve({}, environ), field) == given_now


def test_a_settings_own_name_goes_before_its_alias() -> None:
    both = {"backoff_base": "7", "delay_base": "3000"}
    environ = {f"QUEUECTL_{name.upper()}": text for name, text in both.items()}
    assert Settings.resolve(both, {}).backoff_base == 7
    assert Settings.resolve({}, environ).backoff_base == 7
    assert Settings.resolve({"backoff_base": "7"}, {"QUEUECTL_DELAY_BASE": "3000"}).backoff_base == 3


def test_what_is_no_setting_is_passed_over() -> None:
    # The store may have been written by a newer version, and the environment has other variables of ours.
    environ = {"QUEUECTL_DB": "x.db", "QUEUECTL_OUTPUT": "json", "MAX_RETRIES": "7", "queuectl_timeout": "7"}
    assert Settings.resolve({"colour": "blue"}, environ) == Settings()


def test_an_empty_variable_does_not_count() -> None:
    assert Settings.resolve({"timeout": "5s"}, {"QUEUECTL_TIMEOUT": ""}).timeout == timedelta(seconds=5)


def test_inside_a_job_the_attempts_of_that_job_are_no_setting() -> None:
    environ = {"QUEUECTL_JOB_ID": "job1", "QUEUECTL_MAX_RETRIES": "9", "QUEUECTL_TIMEOUT": "5s"}
    assert environment_settings(environ) == {"timeout": "5s"}
    assert Settings.resolve({"max_retries": "4"}, environ).max_retries == 4
    assert Settings.resolve({}, {"QUEUECTL_MAX_RETRIES": "9"}).max_retries == 9


def test_a_bad_value_is_refused_with_the_place_where_it_stands() -> None:
    with pytest.raises(InvalidSetting, match=r"timeout cannot be 'x'.*mend it with: config unset timeout"):
        Settings.resolve({"timeout": "x"}, {})
    with pytest.raises(InvalidSetting, match=r"delay_base cannot be '1'.*mend QUEUECTL_DELAY_BASE"):
        Settings.resolve({}, {"QUEUECTL_DELAY_BASE": "1"})


SET = Settings(
    max_retries=7,
    backoff=Backoff.LINEAR,
    backoff_base=3,
    backoff_max=timedelta(seconds=40),
    backoff_jitter=0.25,
    timeout=timedelta(seconds=9),
    max_crashes=None,
)


def test_a_job_that_says_nothing_follows_the_settings() -> None:
    assert SET.policy(processing()) == RetryPolicy(
        max_retries=7,
        backoff=Backoff.LINEAR,
        base=3,
        cap=timedelta(seconds=40),
        jitter=0.25,
        retry_on=None,
        no_retry_on=frozenset(),
        max_crashes=None,
    )
    assert SET.timeout_of(processing()) == timedelta(seconds=9)
    assert Settings().timeout_of(processing()) is None


def test_what_a_job_says_goes_before_the_settings() -> None:
    job = replace(
        processing(),
        max_retries=0,
        backoff="fixed",
        backoff_base=1.0,
        backoff_max=timedelta(0),
        backoff_jitter=0.0,
        retry_on=frozenset({1}),
        no_retry_on=frozenset({2}),
        timeout=timedelta(seconds=1),
    )
    assert SET.policy(job) == RetryPolicy(
        max_retries=0,
        backoff=Backoff.FIXED,
        base=1,
        cap=timedelta(0),
        jitter=0.0,
        retry_on=frozenset({1}),
        no_retry_on=frozenset({2}),
        max_crashes=None,
    )
    assert SET.timeout_of(job) == timedelta(seconds=1)
