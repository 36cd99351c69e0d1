"""Every setting once: its name, what it takes, its default, one line of help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from queuectl.duration import MAX_DURATION, format_duration, parse_duration
from queuectl.errors import InvalidDuration, InvalidSetting, quote
from queuectl.new_job import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from queuectl.job import Job
    from queuectl.retry import RetryPolicy

__all__ = ["SETTINGS", "Setting", "Settings", "environment_settings", "find_setting"]

ENV_PREFIX = "QUEUECTL_"
NONE = "none"


class Setting(NamedTuple):
    """One setting: how its text is read and written, and what it means."""

    name: str
    help: str
    allowed: str
    """What it takes, in words."""
    read: Callable[[str], Any]
    """Text to value; raises ValueError for what it does not take."""
    write: Callable[[Any], str] = str
    """Value to text, so that `read` gives it back."""
    stored_as: str = ""
    """For an alias, the name of the setting behind it."""

    def parse(self, text: str) -> Any:
        """Read a value.

        Raises:
            InvalidSetting: the text is nothing that the setting takes.
        """
        try:
            return self.read(text.strip())
        except (ValueError, InvalidDuration) as error:
            raise InvalidSetting(f"{self.name} cannot be {quote(text)}: use {self.allowed}") from error

    def normalize(self, text: str) -> tuple[str, str]:
        """Give the name and the text under which a value is kept.

        Raises:
            InvalidSetting: the text is nothing that the setting takes.
        """
        target = SETTINGS[self.stored_as or self.name]
        return target.name, target.write(self.parse(text))


def _between(read: Callable[[str], Any], low: Any, high: Any) -> Callable[[str], Any]:
    def read_in_range(text: str) -> Any:
        value = read(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return read_in_range


def _duration(at_least: timedelta = timedelta(0)) -> Callable[[str], Any]:
    return _between(parse_duration, at_least, MAX_DURATION)


_SIZE = r"(\d+)\s*(B|KiB|MiB|GiB|k|M|G)?"
_SIZE_UNITS = {"b": 1, "kib": 1 << 10, "k": 1 << 10, "mib": 1 << 20, "m": 1 << 20, "gib": 1 << 30, "g": 1 << 30}


def _size(text: str) -> int:
    match = re.fullmatch(_SIZE, text, re.ASCII | re.IGNORECASE)
    if not match:
        raise ValueError(text)
    return int(match[1]) * _SIZE_UNITS[(match[2] or "b").lower()]


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text.lower() == NONE else read(text)


def _write_duration(value: timedelta | None) -> str:
    return NONE if value is None else format_duration(value)


def _write_number(value: float | None) -> str:
    return NONE if value is None else f"{value:.15g}"


_MS = timedelta(milliseconds=1)
_A_DURATION = "a duration (a number of seconds, 500ms, 90s, 10m, 2h30m, 1d)"

_ALL = (
    Setting("max_retries", "how many attempts a job is given", "an integer from 0 to 1000", _between(int, 0, 1000)),
    Setting("backoff", "how the delay before a retry grows", "exponential, linear or fixed", Backoff),
    Setting(
        "backoff_base",
        "the base of that delay, in seconds",
        "a number from 1 to 1000000",
        _between(float, 1, 1e6),
        _write_number,
    ),
    Setting(
        "delay_base",
        "the same as backoff_base, in milliseconds",
        "a number from 1000 to 1000000000 (milliseconds)",
        _between(lambda text: float(text) / 1000, 1, 1e6),
        lambda value: _write_number(value * 1000),
        stored_as="backoff_base",
    ),
    Setting("backoff_max", "no delay before a retry is longer", _A_DURATION, _duration(), _write_duration),
    Setting(
        "backoff_jitter",
        "the share of the delay that chance may take off it",
        "a number from 0 to 1",
        _between(float, 0, 1),
        _write_number,
    ),
    Setting(
        "timeout",
        "how long an execution may take",
        f"{_A_DURATION} of at least 1ms, or none",
        _or_none(_duration(_MS)),
        _write_duration,
    ),
    Setting(
        "kill_grace",
        "how long a command that is stopped has between SIGTERM and SIGKILL",
        _A_DURATION,
        _duration(),
        _write_duration,
    ),
    Setting(
        "max_output",
        "how much of each stream of a run is kept, the first and the last half",
        "a size from 2 bytes to 512 MiB (65536, 512KiB, 1MiB)",
        # A byte for each half; and a row of the store holds less than 1 GB.
        _between(_size, 2, 1 << 29),
        _write_number,
    ),
    Setting(
        "lease",
        "how long an engine may be silent before others take its jobs",
        f"{_A_DURATION} of at least 1s",
        _duration(timedelta(seconds=1)),
        _write_duration,
    ),
    Setting(
        "max_crashes",
        "how many engines in a row may die under a job before it is dead",
        "an integer from 1 to 1000, or none",
        _or_none(_between(int, 1, 1000)),
        _write_number,
    ),
    Setting(
        "retention",
        "how long completed and cancelled jobs are kept",
        f"{_A_DURATION}, or none to keep all",
        _or_none(_duration()),
        _write_duration,
    ),
    Setting(
        "drain_timeout",
        "how long a draining engine waits for running jobs",
        f"{_A_DURATION}, or none to wait without end",
        _or_none(_duration()),
        _write_duration,
    ),
    Setting(
        "busy_timeout",
        "how long a command waits for the store's write lock",
        _A_DURATION,
        _duration(),
        _write_duration,
    ),
    Setting(
        "workers",
        "how many jobs an engine runs at once",
        "an integer from 1 to 10000, or none for twice the processors",
        _or_none(_between(int, 1, 10_000)),
        _write_number,
    ),
)

SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _ALL}
"""By name, in the order in which they are shown."""


def find_setting(key: str) -> Setting:
    """Look a setting up; ``-`` and ``_`` are the same.

    Raises:
        InvalidSetting: there is none of that name; the message names the nearest one.
    """
    name = key.strip().lower().replace("-", "_")
    if name in SETTINGS:
        return SETTINGS[name]
    import difflib  # noqa: PLC0415 - only a wrong name wants it

    near = difflib.get_close_matches(name, SETTINGS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SETTINGS)}"
    raise InvalidSetting(f"there is no setting {quote(key)}: {hint}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The value of every setting."""

    max_retries: int = 3
    backoff: Backoff = Backoff.EXPONENTIAL
    backoff_base: float = 2.0
    backoff_max: timedelta = timedelta(seconds=300)
    backoff_jitter: float = 0.0
    timeout: timedelta | None = None
    kill_grace: timedelta = timedelta(seconds=5)
    max_output: int = 1 << 20
    lease: timedelta = timedelta(seconds=30)
    max_crashes: int | None = 5
    retention: timedelta | None = timedelta(days=30)
    drain_timeout: timedelta | None = None
    busy_timeout: timedelta = timedelta(seconds=60)
    workers: int | None = None

    @classmethod
    def resolve(cls, stored: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
        """Put the settings together: the environment (``QUEUECTL_`` + key) goes before the store, then the default.

        Names that are no setting are passed over: `stored` may have been written by a newer queuectl.

        Raises:
            InvalidSetting: a value cannot be used; the message says where it stands and how to mend it.
        """
        kept = _values(stored, lambda name: f"stored in config; mend it with: config unset {name}")
        given = _values(
            environment_settings(environ), lambda name: f"from the environment; mend {ENV_PREFIX}{name.upper()}"
        )
        return cls(**kept | given)

    def text(self, setting: Setting) -> str:
        """Give the value of one setting as text."""
        return setting.write(getattr(self, setting.stored_as or setting.name))

    def policy(self, job: Job) -> RetryPolicy:
        """Give the retry policy of a job: its own values, and the settings for what it leaves open."""
        from queuectl.retry import RetryPolicy  # noqa: PLC0415 - a command that only stores a job has no use for it

        return RetryPolicy(
            max_retries=self.max_retries_of(job),
            backoff=self.backoff if job.backoff is None else Backoff(job.backoff),
            base=self.backoff_base if job.backoff_base is None else job.backoff_base,
            cap=self.backoff_max if job.backoff_max is None else job.backoff_max,
            jitter=self.backoff_jitter if job.backoff_jitter is None else job.backoff_jitter,
            retry_on=job.retry_on,
            no_retry_on=job.no_retry_on,
            max_crashes=self.max_crashes,
        )

    def max_retries_of(self, job: Job) -> int:
        """Give the number of attempts that the job is given."""
        return self.max_retries if job.max_retries is None else job.max_retries

    def timeout_of(self, job: Job) -> timedelta | None:
        """Give how long an execution of the job may take; None for no limit."""
        return self.timeout if job.timeout is None else job.timeout


def _values(texts: Mapping[str, str], place: Callable[[str], str]) -> dict[str, Any]:
    known = [setting for name, setting in SETTINGS.items() if name in texts]
    # Read last, and so decisive, is a setting's own name.
    known.sort(key=lambda setting: not setting.stored_as)
    values = {}
    for setting in known:
        try:
            values[setting.stored_as or setting.name] = setting.parse(texts[setting.name])
        except InvalidSetting as error:
            raise InvalidSetting(f"{error} ({place(setting.name)})") from error
    return values


def environment_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Pick the settings out of an environment, as texts by name. Empty variables do not count."""
    found = {name: environ[key] for name in SETTINGS if environ.get(key := ENV_PREFIX + name.upper())}
    if f"{ENV_PREFIX}JOB_ID" in environ:
        # Inside a job's command this variable speaks of that job, not of those that it enqueues.
        found.pop("max_retries", None)
    return found
