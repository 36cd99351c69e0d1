"""Frozen values: they are what a frozen dataclass with slots is, however they are made."""

from __future__ import annotations

import copy
import pickle
from dataclasses import KW_ONLY, FrozenInstanceError, dataclass, field, replace
from typing import Any

import pytest

from queuectl.value import value


@dataclass(frozen=True, slots=True, init=False, repr=False, eq=False)
class Shape:
    name: str
    _: KW_ONLY
    sides: int = 4
    notes: dict[str, str] = field(default_factory=dict)


@value
class Square(Shape):
    _: KW_ONLY
    width: float

    def __post_init__(self) -> None:
        if self.width < 0:
            raise ValueError(self.width)

    def area(self) -> float:
        return self.width**2


@dataclass(frozen=True, slots=True)
class Tile(Square):
    colour: str = "white"


class Anything(Square):
    """With a dictionary of its own, as a class without slots has it."""


def test_it_has_its_fields_and_their_defaults() -> None:
    square = Square("small", width=2)
    assert (square.name, square.sides, square.notes, square.width, square.area()) == ("small", 4, {}, 2, 4)
    assert type(square) is Square
    assert repr(square) == "Square(name='small', sides=4, notes={}, width=2)"


def test_each_has_a_default_of_its_own_where_a_factory_makes_it() -> None:
    one, other = Square("one", width=1), Square("other", width=1)
    one.notes["is"] = "the first"
    assert not other.notes


def test_it_is_frozen() -> None:
    square = Square("small", width=2)
    with pytest.raises(FrozenInstanceError):
        square.sides = 5  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del square.width
    assert not hasattr(square, "__dict__")


def test_it_equals_others_by_its_fields_and_has_their_hash() -> None:
    assert Square("small", width=2) == Square("small", width=2) != Square("small", width=3)
    with pytest.raises(TypeError, match="unhashable type: 'dict'"):
        hash(Square("small", width=2))


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda square: pickle.loads(pickle.dumps(square)), replace]
)
def test_a_copy_is_equal(again: Any) -> None:
    square = Square("small", sides=3, notes={"a": "b"}, width=2)
    assert again(square) == square


def test_what_it_refuses_is_not_made() -> None:
    with pytest.raises(ValueError, match="-1"):
        Square("small", width=-1)
    with pytest.raises(ValueError, match="-1"):
        replace(Square("small", width=1), width=-1)


@pytest.mark.parametrize(
    ("arguments", "named", "refusal"),
    [
        ((), {"width": 1}, r"Square\.__init__\(\) missing 1 required positional argument: 'name'"),
        (("small",), {}, r"Square\.__init__\(\) missing 1 required keyword-only argument: 'width'"),
        (("small", 4), {"width": 1}, r"Square\.__init__\(\) takes 2 positional arguments"),
        (("small",), {"width": 1, "size": 2}, r"Square\.__init__\(\) got an unexpected keyword argument 'size'"),
    ],
)
def test_arguments_are_refused_as_those_of_a_function(
    arguments: tuple[Any, ...], named: dict[str, Any], refusal: str
) -> None:
    with pytest.raises(TypeError, match=refusal):
        Square(*arguments, **named)


@pytest.mark.parametrize("kind", [Tile, Anything])
def test_a_subclass_may_have_a_layout_of_its_own(kind: type[Square]) -> None:
    made = kind("small", width=2)
    assert type(made) is kind
    assert (made.sides, made.notes, made.area()) == (4, {}, 4)
    with pytest.raises(FrozenInstanceError):
        made.width = 3  # type: ignore[misc]
