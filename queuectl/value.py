"""Frozen values of many fields, made as fast as others.

The `__init__` of a frozen dataclass makes a call for each field, to get round its own `__setattr__`: with two dozen
fields that takes six times as long as plain assignments, and a batch may have a million jobs. So while an object is
made here, it is of a twin of its class, which is not frozen.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["value"]

T = TypeVar("T")

_INIT = """
def __init__({parameters}):
    if type(self) is value:
        set_field(self, "__class__", draft)
        {assignments}
        self.__class__ = value
    else:
        {calls}
    {post_init}
"""
"""A subclass may have a layout of its own, and then no twin of this one can stand for it."""


_NOT_FROZEN = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
"""The two go together: one that is written in Python makes the other as slow."""


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass with slots."""
    made = dataclass(frozen=True, slots=True, init=False)(cls)
    made.__init__ = _init(made)  # type: ignore[method-assign]
    return made


def _init(cls: type[Any]) -> Callable[..., None]:
    all_fields = sorted(fields(cls), key=lambda of: of.kw_only is True)
    names = [of.name for of in all_fields]
    first_named = next((n for n, of in enumerate(all_fields) if of.kw_only), len(names))
    parameters = ["self", *map(_parameter, all_fields)]
    if first_named < len(names):
        parameters.insert(1 + first_named, "*")
    given = {of.name: _argument(of) for of in all_fields}
    source = _INIT.format(
        parameters=", ".join(parameters),
        assignments="; ".join(f"self.{name} = {argument}" for name, argument in given.items()),
        calls="; ".join(f"set_field(self, {name!r}, {argument})" for name, argument in given.items()),
        post_init="self.__post_init__()" if hasattr(cls, "__post_init__") else "",
    )
    draft = type(cls.__name__, cls.__bases__, {"__slots__": cls.__slots__, **_NOT_FROZEN})
    names_used: dict[str, Any] = {"value": cls, "draft": draft, "set_field": object.__setattr__, "MISSING": MISSING}
    names_used |= {f"default_{of.name}": of.default for of in all_fields}
    names_used |= {f"make_{of.name}": of.default_factory for of in all_fields}
    exec(source, names_used)  # noqa: S102 - of names of fields alone, as dataclasses do it
    init: Callable[..., None] = names_used["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {of.name: of.type for of in all_fields} | {"return": None}
    return init


def _parameter(of: Field[Any]) -> str:
    if of.default is MISSING and of.default_factory is MISSING:
        return of.name
    # Where there is no default but a factory, that is MISSING.
    return f"{of.name}=default_{of.name}"


def _argument(of: Field[Any]) -> str:
    if of.default_factory is MISSING:
        return of.name
    return f"make_{of.name}() if {of.name} is MISSING else {of.name}"
