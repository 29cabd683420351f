"""The shape of an answer: one pydantic model is both the decoding grammar and the parser of what came back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from augment.answers.token_budget import token_budget


class AnswerModel(BaseModel):
    """Base of answer models: closed, strict, and every field required."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Malformed(ValueError):
    """The text is not an answer of this shape."""


@dataclass(frozen=True)
class Answer:
    """An answer type with what follows from it. Built once per task and shared by all its requests.

    Args:
        type: a pydantic model, or a union of models.
        expected_tokens: for prose, whose longest text no model writes: the budget where it is less than that.
        ebnf: a grammar of rules (`root ::= ...`) for what no schema of a bearable size can say, such as that a list
            repeats nothing. It allows some of the schema's compact texts; engines that know schemas alone are held to
            the schema, and the task takes care of the rest. "" where the schema says everything.
    """

    type: Any
    expected_tokens: int | None = None
    ebnf: str = ""

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """pydantic's validator of the type."""
        return TypeAdapter(self.type)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema without titles and descriptions."""
        return _bare(self.adapter.json_schema())

    @cached_property
    def grammar(self) -> str:
        """The schema as the text given to the engine. Property order is the order of the answer."""
        return json.dumps(self.schema, ensure_ascii=False, separators=(",", ":"))

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of the grammar."""
        return hashlib.sha256((self.grammar + self.ebnf).encode()).hexdigest()

    @cached_property
    def max_tokens(self) -> int:
        """See `token_budget`. An answer cut by a lower budget did not finish, and is asked for again."""
        longest = token_budget(self.schema)
        return longest if self.expected_tokens is None else min(longest, self.expected_tokens)

    def parse(self, text: str) -> dict[str, Any]:
        """The fields of an answer. Raises Malformed with the first problem when the text does not fit."""
        return self._validated(text).model_dump()

    def written(self, fields: dict[str, Any]) -> str:
        """An answer as an engine that is held to the grammar writes it: compact JSON in the schema's order.

        Raises:
            Malformed: the fields are not an answer of this shape.
        """
        return self.adapter.dump_json(self._validated(json.dumps(fields))).decode()

    def _validated(self, text: str) -> Any:
        try:
            return self.adapter.validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole answer"
            raise Malformed(f"{place}: {first['msg']}") from None


def _bare(value: Any) -> Any:
    """Drops `title` and `description` of schemas, but not a property that happens to be called so."""
    if isinstance(value, list):
        return [_bare(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    entries = {key: entry for key, entry in value.items() if key not in ("title", "description")}
    bare = {key: _bare(entry) for key, entry in entries.items() if key not in ("properties", "$defs")}
    for group in ("properties", "$defs"):
        if group in entries:
            bare[group] = {name: _bare(entry) for name, entry in entries[group].items()}
    return bare
