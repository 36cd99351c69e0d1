"""Puts the reference together: each command as the code describes it, and what its examples print."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.exits import EVERYWHERE, MEANINGS, ExitCode
from queuectl.cli.main import ALIASES, SECTIONS, cli
from queuectl.cli.manual import ALSO
from queuectl.cli.options import SHARED, Command
from queuectl.settings import SETTINGS, Settings
from tests.cli.commands import every_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.cli.shell import Shell

ROOT = click.Context(cli, info_name="queuectl")

QUEUED = (
    "enqueue --id job1 'echo hello'",
    "enqueue --id job2 --queue mail --tag nightly 'echo warning >&2; exit 3' --max-retries 1",
)
HELD = (*QUEUED, "hold job1 job2")
RAN = (*QUEUED, "run --until-idle")
SCENES: Mapping[str, Sequence[str]] = {
    "enqueue": (),
    **dict.fromkeys(("list", "show", "logs", "wait", "retry", "delete", "stats", "dlq"), RAN),
    "release": HELD,
    "config unset": ("config set timeout 10m",),
    "db init": (),
}
"""What was done before the examples of a command, or of a group, are run; else `QUEUED`."""

WITHOUT_OUTPUT = (
    "queuectl run --workers",
    "queuectl worker start",
    "queuectl top --interval",
    "queuectl db copy",
    "queuectl --db",
    "queuectl enqueue --follow",
    "eval",
    "queuectl completion",
    "queuectl help",
)
"""Examples that begin so are shown without what they print: they stay, want more than a store, or print a script."""
WITHOUT_STORE = {"help", "completion"}
FILES = {"jobs.ndjson": 'echo one\n{"command": "echo two", "priority": 5}\n'}

LONGEST = 16
"""Lines of output that are shown."""

INTRODUCTION = """\
# queuectl: reference

Every command, as `queuectl help COMMAND` shows it. This file is made from the code: what the examples print is what
they printed when they were run.
"""


def reference(shell: Shell) -> str:
    """Write the whole reference; the examples are run in `shell`."""
    pages = [_page(words, command, shell) for words, command in every_command()]
    return "\n".join([INTRODUCTION, _contents(), *pages, *_topics()])


def _contents() -> str:
    lines = []
    for title, entries in SECTIONS.items():
        lines.append(f"**{title}**\n")
        lines += [f"- [{name}](#queuectl-{name}): {entry.help}" for name, entry in entries.items()]
        lines.append("")
    lines.append("**Topics**: [options](#options), [environment](#environment), [exit codes](#exit-codes), ")
    return "\n".join(lines).rstrip(", ") + ", [settings](#settings)\n"


def _page(words: tuple[str, ...], command: click.Command, shell: Shell) -> str:
    name = " ".join(words)
    parent = ROOT if len(words) == 1 else click.Context(click.Group(words[0]), parent=ROOT, info_name=words[0])
    context = click.Context(command, parent=parent, info_name=words[-1])
    parts = [f"## queuectl {name}\n"]
    parts.append(f"```sh\nqueuectl {name} {' '.join(command.collect_usage_pieces(context))}\n```\n")
    parts += [f"{_wrapped(paragraph)}\n" for paragraph in _help_of(command).split("\n\n")]
    parts += [f"{ALSO.format(alias)}\n" for alias in ALIASES if cli.get_command(ROOT, alias) is command]
    if isinstance(command, click.Group):
        parts.append("### Commands\n")
        below = command.commands
        parts.append(_definitions({f"{name} {word}": below[word].get_short_help_str(200) for word in below}))
    own = [option for option in command.params if isinstance(option, click.Option) and option not in SHARED]
    if own:
        parts += ["### Options\n", _options(own, context)]
    parts.append("The [options](#options) that all commands have are taken too.\n")
    if isinstance(command, Command):
        usual = [code for code in EVERYWHERE if code is not ExitCode.STORE or name not in WITHOUT_STORE]
        exits: dict[int | str, str] = {**{code: MEANINGS[code] for code in usual}, **command.exits}
        parts += ["### Exit codes\n", _definitions({_code(code): exits[code] for code in sorted(exits, key=_order)})]
        parts += ["### Examples\n", f"```console\n{_transcripts(name, command.examples, shell)}\n```\n"]
    return "\n".join(parts)


def _help_of(command: click.Command) -> str:
    return textwrap.dedent(command.help or "").strip()


def _code(code: int | str) -> str:
    return code if isinstance(code, str) else str(int(code))


def _order(code: int | str) -> tuple[bool, int]:
    return (True, 0) if isinstance(code, str) else (False, code)


def _options(options: Sequence[click.Option], context: click.Context) -> str:
    records = [record for option in options if (record := option.get_help_record(context))]
    return _definitions(dict(records))


def _definitions(meanings: Mapping[str, str]) -> str:
    return "\n".join(_wrapped(f"- `{term}`: {meaning}", "  ") for term, meaning in meanings.items()) + "\n"


def _wrapped(text: str, indent: str = "") -> str:
    one_line = " ".join(text.split())
    return textwrap.fill(one_line, 120, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def _topics() -> Iterator[str]:
    yield "## options\n\nEvery command takes these, and they may stand before the command too.\n"
    yield _options(SHARED, ROOT)
    yield "## environment\n"
    yield _definitions(
        {
            "QUEUECTL_DB, DB_PATH": "the store, where --db names none",
            "QUEUECTL_OUTPUT": "how data is printed, where -o and --json say nothing",
            "QUEUECTL_ and a setting's name in capitals": "that setting; it goes before the store's",
            "NO_COLOR": "if it is not empty, nothing is coloured",
            "PAGER": "what shows long pages of the manual",
        }
    )
    yield "## exit codes\n"
    yield _definitions({str(int(code)): MEANINGS[code] for code in ExitCode})
    yield "## settings\n\n`queuectl config set` keeps them in the store; engines that run follow them.\n"
    defaults = Settings()
    yield _definitions(
        {name: f"{setting.help}; {defaults.text(setting)} if nothing is said" for name, setting in SETTINGS.items()}
    )


def _transcripts(name: str, examples: Sequence[str], shell: Shell) -> str:
    """Run examples one after the other, in a store of their own, and give what a terminal would show of it."""
    for left in Path.cwd().iterdir():
        left.unlink()
    for file, content in FILES.items():
        Path(file).write_text(content)
    for line in SCENES.get(name, SCENES.get(name.partition(" ")[0], QUEUED)):
        shell(*shlex.split(line))
    return "\n\n".join(_transcript(example, shell) for example in examples)


def _transcript(example: str, shell: Shell) -> str:
    if example == "queuectl top" or example.startswith(WITHOUT_OUTPUT):
        return f"$ {example}"
    result = shell(*shlex.split(example)[1:])
    # An engine's log, which it writes as JSON where no terminal is, is not what the example is about.
    printed = [line for line in (result.out + result.err).splitlines() if not line.startswith('{"')]
    lines = [line.rstrip().replace(str(Path.cwd()), "/srv/queue") for line in printed]
    if len(lines) > LONGEST:
        lines = [*lines[: LONGEST - 1], "…"]
    code = ["$ echo $?", str(result.code)] if result.code else []
    return "\n".join([f"$ {example}", *lines, *code])


_VOLATILE: Mapping[str, str] = {
    r"\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:\d\d)": "TIME",
    r"\b[0-9a-hjkmnp-tv-z]{12}\b": "ID",
    r"\b(?:\d+(?:\.\d+)?(?:ms|us|d|h|m|s))+\b": "DURATION",
    r'("(?:\w*duration|\w+_runtime|p50)": )[\d.]+': r"\1SECONDS",
    r"SQLite .*": "SQLITE",
    r" +": " ",
}


def like_before(text: str, before: str) -> str:
    """Give a reference with the pages of an earlier one, where these differ in nothing but what varies by itself."""
    known = {_without_what_varies(page): page for page in _split(before)}
    return "".join(known.get(_without_what_varies(page), page) for page in _split(text))


def _split(text: str) -> list[str]:
    return re.split(r"^(?=## )", text, flags=re.MULTILINE)


def _without_what_varies(page: str) -> str:
    """Name what differs from run to run in the output of examples, instead of showing it."""
    parts = re.split(r"(^```console\n.*?^```$)", page, flags=re.MULTILINE | re.DOTALL)
    for number in range(1, len(parts), 2):
        for pattern, name in _VOLATILE.items():
            parts[number] = re.sub(pattern, name, parts[number])
    return "".join(parts)
