"""What a line of a shard must hold: a line may be whole and still be none, because it was written from an odd answer.

Engines refuse odd answers where they come in. This is the second look, at what lies in a store already: a value that no
table can hold, or that nothing after can read, is damage like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from augment.messages import INT32_MAX
from augrec.artefacts.tasks import Kind

Count = Annotated[int, Field(ge=0, le=INT32_MAX)]
Texts = list[str] | tuple[str, ...]


class Damaged(ValueError):
    """What is, or is to be, in a line is no record."""


class Line(BaseModel):
    """The content of a line, before it is JSON or after."""

    model_config = ConfigDict(strict=True, extra="forbid")

    key: Annotated[str, Field(min_length=1)]
    task: str
    about: Literal["user", "item"]
    entity: str
    status: Literal["ok", "failed"]
    reason: str | None
    fields: str | None
    text: str
    finish_reason: str
    prompt_tokens: Count
    completion_tokens: Count
    cached_tokens: Count
    attempt: Count
    repairs: Texts
    shown_history: Texts
    shown_candidates: Texts
    dropped_history: Count
    fallback: str | None
    question: Annotated[str, Field(min_length=1)] = ""
    shown_reviews: Texts = ()
    shown_similar: Texts = ()
    reviews_sha256: Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")] = ""
    block: Annotated[str, Field(pattern=r"\A[0-9a-f]*\z")]
    engine: str


def check_line(content: Mapping[str, Any], gives: Kind) -> None:
    """Raises Damaged with the first field that is not what a record holds, and the line's key.

    Args:
        content: of the line.
        gives: what the record's task gives.
    """
    try:
        Line.model_validate(content)
        texts = [value for value in content.values() if isinstance(value, str)]
        for name in ("repairs", "shown_history", "shown_candidates", "shown_similar", "shown_reviews"):
            texts += content.get(name, ())
        "".join(texts).encode()
        if content["status"] == "ok":
            _check_fields(gives, content["fields"])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Damaged(f"{'.'.join(map(str, first['loc']))}: {first['msg']}{_of(content)}") from None
    except UnicodeEncodeError:
        raise Damaged(f"a text holds a lone surrogate{_of(content)}") from None
    except (ValueError, TypeError) as error:
        raise Damaged(f"fields: {error}{_of(content)}") from None


def _check_fields(gives: Kind, text: str | None) -> None:
    fields = from_json(text or "null", allow_inf_nan=False)
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    for name in gives.items:
        if not isinstance(fields.get(name), str):
            raise ValueError(f"{name} is no id")
    for name in gives.lists:
        listed = fields.get(name)
        if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
            raise ValueError(f"{name} is no list of ids")
    for pair in fields.get(gives.scores or "", ()):
        item, score = pair
        if not isinstance(item, str) or isinstance(score, bool) or not math.isfinite(score):
            raise ValueError("a score is no pair of an id and a number")


def _of(content: Mapping[str, Any]) -> str:
    return f", in the record of key {content.get('key')!r}"
