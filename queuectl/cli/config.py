"""``config``: settings, kept in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncclick as click

from queuectl.cli.documents import setting_value
from queuectl.cli.options import command, group
from queuectl.cli.render import Table, emit, print_document
from queuectl.settings import SETTINGS, Setting, environment_settings, find_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from queuectl.cli.invocation import Invocation

__all__ = ["config"]


@command("get", examples=("queuectl config get", "queuectl config get max-retries"))
@click.argument("key", required=False)
async def get(invocation: Invocation, key: str | None) -> None:
    """Print a setting's value, or all settings with where each comes from and what it means.

    The environment (QUEUECTL_ and the key in capitals) goes before the store.
    """
    chosen = SETTINGS.values() if key is None else [find_setting(key)]
    async with invocation.store(read_only=True) as store:
        stored, settings = await store.settings(), await invocation.settings(store)
    if invocation.is_json:
        print_document({setting.name: setting_value(setting, settings) for setting in chosen})
    elif key is not None:
        emit(settings.text(find_setting(key)))
    else:
        rows = [(of.name, settings.text(of), source(of, stored, invocation.environ), of.help) for of in chosen]
        Table("KEY", "VALUE", "FROM", "MEANING", spare=("FROM",)).print(rows)


def source(setting: Setting, stored: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Say where a setting's value comes from."""
    names = _names_of(setting)
    if names & environment_settings(environ).keys():
        return "environment"
    return "store" if names & stored.keys() else "default"


def _names_of(setting: Setting) -> set[str]:
    """Give the setting's own name and its alias: whoever writes to the store by SQL may have used either."""
    own = setting.stored_as or setting.name
    return {name for name, each in SETTINGS.items() if own in {name, each.stored_as}}


@command("set", examples=("queuectl config set max-retries 5", "queuectl config set timeout 10m"))
@click.argument("key")
@click.argument("value")
async def set_value(invocation: Invocation, key: str, value: str) -> None:
    """Keep a setting in the store. Engines that run take it up by themselves."""
    name, text = find_setting(key).normalize(value)
    async with invocation.store() as store:
        await store.set_setting(name, text)
    invocation.say(f"{name} = {text}")
    if name in environment_settings(invocation.environ):
        invocation.say(f"QUEUECTL_{name.upper()} is set and goes before it", mark="·")


@command("unset", examples=("queuectl config unset timeout",))
@click.argument("key")
async def unset(invocation: Invocation, key: str) -> None:
    """Forget a stored setting, so that its default holds again."""
    setting = find_setting(key)
    async with invocation.store() as store:
        for name in _names_of(setting):
            await store.unset_setting(name)
    invocation.say(f"{setting.stored_as or setting.name} is no longer set")


config = group("config", "Settings, kept in the store: get, set, unset.", get, set_value, unset)
