"""A registry that grows after import: configs, their errors and their JSON schema follow it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from augrec.artefacts.errors import UsageError
from augrec.artefacts.options import Options
from augrec.artefacts.registry import OneOf, Registry, SectionsOf, rebuild
from augrec.pipeline.config.sections import validated


class Shape(Options):
    """What all shapes have."""


class Kind:
    def __init__(self, options: type[Shape]) -> None:
        self.options = options
        self.name = options.model_fields["kind"].default


class Circle(Shape):
    """Round."""

    kind: Literal["circle"] = "circle"
    radius: float = 1.0


class Square(Shape):
    """Not round."""

    kind: Literal["square"] = "square"
    side: float = 1.0
    inner: Circle = Circle()


SHAPES: Registry[Kind] = Registry("shape")
SHAPES.register(Kind(Circle))


class Sections(Options):
    """Settings of each shape."""


SECTIONS = SectionsOf(SHAPES, Sections)


class Drawing(Options):
    """Holds shapes in a mapping, as an option, and in a list."""

    shapes: dict[str, Annotated[Shape, OneOf(SHAPES, "kind")]]
    frame: Annotated[Shape, OneOf(SHAPES, "kind")] | None = None
    strokes: list[Annotated[Shape, OneOf(SHAPES, "kind")]] = []  # noqa: RUF012 - pydantic copies it


class Book(Options):
    """Knows of shapes through another model only."""

    title: str
    cover: Drawing | None = None
    settings: Annotated[Sections, SECTIONS] = Field(default_factory=SECTIONS)


class PlainDrawing(Options):
    """What Drawing is with both kinds, written out."""

    shapes: dict[str, Annotated[Circle | Square, Field(discriminator="kind")]]
    frame: Annotated[Circle | Square, Field(discriminator="kind")] | None = None
    strokes: list[Annotated[Circle | Square, Field(discriminator="kind")]] = []  # noqa: RUF012 - pydantic copies it


PlainDrawing.__name__ = "Drawing"
PlainDrawing.__doc__ = Drawing.__doc__

WRONG = (
    {"shapes": {"a": {"kind": "circel"}}},
    {"shapes": {"a": {"radius": 2}}},
    {"shapes": {"a": {"kind": "square", "sid": 2}}},
    {"shapes": {"a": {"kind": "square", "inner": {"radus": 2}}}},
    {"shapes": {"a": {"kind": "circle", "radius": "wide"}}},
    {"shapes": {}, "frame": {"kind": "square", "side": [1]}},
    {"shapes": {}, "strokes": [{"kind": "circle"}, {"kind": "square", "sidee": 1}]},
    {"shapes": {"a": {"kind": "square", "side": "x"}, "b": {"kind": "triangle"}}, "frames": 1},
)


def read(raw: dict[str, Any], kind: type[Options] = Drawing) -> Options:
    return validated(raw, kind, "a.yaml")


def test_a_kind_that_is_registered_after_import_can_be_read_and_is_gone_afterwards() -> None:
    raw = {"title": "x", "cover": {"shapes": {"a": {"kind": "square", "side": 3}}}}
    with SHAPES.including(Kind(Square)):
        book = read(raw, Book)
        assert isinstance(book, Book)
        assert book.cover is not None
        assert book.cover.shapes == {"a": Square(side=3)}
        assert Book.model_validate(book.model_dump()) == book
    with pytest.raises(UsageError, match="'square' is not one of circle"):
        read(raw, Book)


@pytest.mark.parametrize("raw", WRONG)
def test_errors_are_those_of_the_union_written_out(raw: dict[str, Any]) -> None:
    with SHAPES.including(Kind(Square)):
        with pytest.raises(UsageError) as ours:
            read(raw)
        with pytest.raises(UsageError) as plain:
            read(raw, PlainDrawing)
    assert str(ours.value) == str(plain.value)


def test_the_nearest_key_and_kind_are_named() -> None:
    with SHAPES.including(Kind(Square)), pytest.raises(UsageError) as error:
        read({"shapes": {"a": {"kind": "square", "sid": 2}, "b": {"kind": "circel"}}})
    assert "shapes.a.sid: unknown key; did you mean 'side'?" in str(error.value)
    assert "shapes.b.kind: 'circel' is not one of circle, square; did you mean 'circle'?" in str(error.value)


def test_the_json_schema_is_that_of_the_union_written_out() -> None:
    with SHAPES.including(Kind(Square)):
        assert rebuild(Drawing).model_json_schema() == PlainDrawing.model_json_schema()
    assert "Square" not in rebuild(Drawing).model_json_schema()["$defs"]


def test_sections_follow_the_registry() -> None:
    assert read({"title": "x"}, Book).model_dump()["settings"] == {"circle": {"kind": "circle", "radius": 1.0}}
    with SHAPES.including(Kind(Square)):
        book = read({"title": "x", "settings": {"square": {"side": 4}}}, Book)
        assert book.model_dump()["settings"]["square"]["side"] == 4
        assert isinstance(book, Book)
        assert isinstance(book.settings, Sections)
        with pytest.raises(UsageError, match=r"settings\.square\.sid: unknown key; did you mean 'side'"):
            read({"title": "x", "settings": {"square": {"sid": 4}}}, Book)
    with pytest.raises(UsageError, match=r"settings\.square: unknown key"):
        read({"title": "x", "settings": {"square": {"side": 4}}}, Book)


def test_a_model_whose_kinds_contain_it_is_rebuilt() -> None:
    kinds: Registry[Kind] = Registry("shape")

    class Group(Shape):
        """Shapes of shapes."""

        kind: Literal["group"] = "group"
        parts: list[Annotated[Shape, OneOf(kinds, "kind")]] = []  # noqa: RUF012 - pydantic copies it

    for options in (Circle, Group):
        kinds.register(Kind(options))
    with kinds.including(Kind(Square)):
        raw = {"parts": [{"kind": "group", "parts": [{"kind": "square"}]}, {"kind": "circle"}]}
        assert rebuild(Group).model_validate(raw) == Group(parts=[Group(parts=[Square()]), Circle()])
    with pytest.raises(ValidationError):
        rebuild(Group).model_validate(raw)


def test_nothing_is_rebuilt_while_the_registry_stays() -> None:
    rebuild(Drawing)
    before = Drawing.__pydantic_validator__
    rebuild(Drawing)
    assert Drawing.__pydantic_validator__ is before


def test_a_registry_is_a_mapping_in_order_of_registration() -> None:
    registry: Registry[Kind] = Registry("shape")
    square, circle = Kind(Square), Kind(Circle)
    assert registry.register(square) is square
    registry.register(circle)
    assert list(registry.items()) == [("square", square), ("circle", circle)]
    assert registry.find("circle") is circle


@pytest.mark.parametrize("name", ["", "Circle", "a b", "../x", "1st"])
def test_odd_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a thing"):
        Registry[str]("thing", name=str).register(name)


def test_a_name_is_taken_once() -> None:
    registry = Registry[str]("thing", name=str)
    registry.register("a")
    with pytest.raises(ValueError, match="there is a thing called 'a' already"):
        registry.register("a")
    with pytest.raises(ValueError, match="already"), registry.including("b", "a"):
        pass
    assert list(registry) == ["a"], "a block that could not begin leaves nothing behind"


def test_an_unknown_name_is_an_error_with_the_nearest_known_one() -> None:
    with pytest.raises(UsageError) as error:
        SHAPES.find("circel")
    assert error.value.what == "unknown shape 'circel'"
    assert error.value.remedy == "did you mean 'circle'? known: circle"
