"""Things that are chosen by name: model families, tasks, engines, stages, metrics, aligners.

A registry may grow after its package was imported, from a test or from a module of a user's own. Sections of a config
that depend on one are therefore built from it when they are read (`OneOf`, `SectionsOf`, `rebuild`), not at import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from typing import Annotated, Any, Generic, TypeVar, Union, get_args

from pydantic import BaseModel, Field, GetCoreSchemaHandler, create_model
from pydantic_core import CoreSchema

from augrec.artefacts.errors import UsageError
from augrec.artefacts.names import suggestion

T = TypeVar("T")
Model = TypeVar("Model", bound=type[BaseModel])
NAME = re.compile(r"[a-z][a-z0-9_-]*")


class Registry(Mapping[str, T], Generic[T]):
    """Entries by name, in the order in which they were registered.

    Args:
        what: one entry is, e.g. "model family"; stands in messages.
        name: gives the name of an entry.
    """

    def __init__(self, what: str, name: Callable[[T], str] = attrgetter("name")) -> None:
        self.what = what
        self.version = 0
        """Changes with every entry that comes or goes."""
        self._name = name
        self._entries: dict[str, T] = {}

    def register(self, entry: T) -> T:
        """Adds an entry and returns it, so that it can stand over a class as a decorator.

        Raises:
            ValueError: the name is taken, or is no name of small letters, digits, _ and -.
        """
        name = self._name(entry)
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a {self.what}: small letters, digits, _ and - are")
        if name in self._entries:
            raise ValueError(f"there is a {self.what} called {name!r} already")
        self._entries[name] = entry
        self.version += 1
        return entry

    @contextmanager
    def including(self, *entries: T) -> Iterator[None]:
        """Has further entries inside the block only."""
        before = dict(self._entries)
        try:
            for entry in entries:
                self.register(entry)
            yield
        finally:
            self._entries = before
            self.version += 1

    def find(self, name: str) -> T:
        """The entry called `name`; an unknown name is a `UsageError` with the nearest known one."""
        if name not in self._entries:
            remedy = f"{suggestion(name, self._entries)}known: {', '.join(self._entries)}"
            raise UsageError(f"unknown {self.what} '{name}'", remedy=remedy)
        return self._entries[name]

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class OneOf:
    """In `Annotated[Base, OneOf(REGISTRY, "kind")]`: the options of whichever entry the value of `kind` names.

    Validation, error messages and JSON schema are those of a union of the entries' options with that discriminator.

    Args:
        registry: the entries.
        tag: the key that names one; a `Literal` field of every entry's options.
        options: the class of options of an entry.
    """

    def __init__(
        self, registry: Registry[Any], tag: str, options: Callable[[Any], type[BaseModel]] = attrgetter("options")
    ) -> None:
        self.registry, self.tag, self._options = registry, tag, options
        self.first_version: int | None = None
        """The registry's when a schema was first made of this."""

    @property
    def annotation(self) -> Any:
        """The union as it is now: what a model without a registry would be annotated with; Any without entries."""
        members = tuple(dict.fromkeys(self._options(entry) for entry in self.registry.values()))
        if len(members) < 2:
            return members[0] if members else Any
        return Annotated[Union[members], Field(discriminator=self.tag)]  # noqa: UP007 - made of a tuple

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        self.first_version = self.registry.version if self.first_version is None else self.first_version
        return handler.generate_schema(self.annotation)


class SectionsOf:
    """With S = SectionsOf(REGISTRY, Base), `Annotated[Base, S]` is a section with one key per entry, for its options.

    The field's default is `Field(default_factory=S)`.

    Args:
        registry: the entries.
        base: the class the section is derived from.
        options: the class of options of an entry; must be possible without values.
    """

    def __init__(
        self,
        registry: Registry[Any],
        base: type[BaseModel],
        options: Callable[[Any], type[BaseModel]] = attrgetter("options"),
    ) -> None:
        self.registry, self._base, self._options = registry, base, options
        self._made: dict[tuple[tuple[str, type[BaseModel]], ...], type[BaseModel]] = {}
        self.first_version: int | None = None
        """The registry's when a schema was first made of this."""

    @property
    def annotation(self) -> type[BaseModel]:
        """The section as it is now; the same class again for the same entries."""
        kinds = tuple((name, self._options(entry)) for name, entry in self.registry.items())
        if kinds not in self._made:
            fields: dict[str, Any] = {
                name: (kind, Field(default_factory=kind, description=kind.__doc__)) for name, kind in kinds
            }
            self._made[kinds] = create_model(
                self._base.__name__, __base__=self._base, __doc__=self._base.__doc__, **fields
            )
        return self._made[kinds]

    def __call__(self) -> Any:
        """The section with every default; serves as the `default_factory` of the field."""
        return self.annotation()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        self.first_version = self.registry.version if self.first_version is None else self.first_version
        return handler.generate_schema(self.annotation)


def rebuild(model: Model) -> Model:
    """Builds a model anew, with all models inside it that depend on a registry that has changed since.

    Args:
        model: a pydantic model; returned as it came.
    """
    for kind, parts in _registry_parts(model).items():
        now = {id(part): part.registry.version for part in parts}
        built = kind.__dict__.get(_BUILT) or {id(part): part.first_version for part in parts}
        if now != built:
            kind.model_rebuild(force=True)
            setattr(kind, _BUILT, now)
    return model


def unfolded(annotation: Any) -> Any:
    """An annotation without its `Annotated`, a registry's section as what it is now."""
    while metadata := getattr(annotation, "__metadata__", ()):
        own = _of_registry(metadata)
        annotation = own.annotation if own else get_args(annotation)[0]
    return annotation


def field_annotation(model: type[BaseModel], name: str) -> Any:
    """The annotation of a model's field, a registry's section as what it is now."""
    field = model.model_fields[name]
    own = _of_registry(tuple(field.metadata))
    return unfolded(own.annotation if own else field.annotation)


_BUILT = "__registry_versions__"


def _registry_parts(model: type[BaseModel]) -> dict[type[BaseModel], list[OneOf | SectionsOf]]:
    """The sections of registries in every model of `model`, in those inside it too; innermost models first."""
    found: dict[type[BaseModel], list[OneOf | SectionsOf]] = {}
    entered: set[type[BaseModel]] = set()

    def visit(kind: type[BaseModel]) -> None:
        entered.add(kind)
        own: list[OneOf | SectionsOf] = []
        for field in kind.model_fields.values():
            for part in _parts(field.annotation, tuple(field.metadata)):
                if isinstance(part, OneOf | SectionsOf):
                    own.append(part)
                    continue
                if part not in entered:  # a model inside itself (a blend of models) adds nothing
                    visit(part)
                own += found.get(part, ())
        found[kind] = own

    visit(model)
    return found


def _parts(annotation: Any, metadata: tuple[Any, ...] = ()) -> Iterator[Any]:
    """The models and the sections of registries in an annotation, those of the registry's entries included."""
    own = _of_registry((*metadata, *getattr(annotation, "__metadata__", ())))
    if own is not None:
        yield own
        yield from _parts(own.annotation)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from _parts(argument)


def _of_registry(metadata: tuple[Any, ...]) -> OneOf | SectionsOf | None:
    return next((entry for entry in metadata if isinstance(entry, OneOf | SectionsOf)), None)
