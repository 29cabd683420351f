"""A prompt of each task as it was asked, with the answer's schema in short and what came back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

PROMPT_SHOWN, ANSWER_SHOWN, VALUES_SHOWN, ALTERNATIVES_SHOWN = 6000, 2000, 6, 2
"""Letters of a message and of an answer, values of a choice, and forms that an answer may have."""
WITHHELD = "(about a user, whose histories and data are kept from pages)"
SYSTEM = "system"


@dataclass(frozen=True)
class AskedPrompt:
    """One question to a language model.

    Attributes:
        source, task: whose.
        about: "user" or "item".
        whom: whom it is about: an id of the data's source, or an item's title.
        messages: (role, text) of the prompt, as it was rendered.
        schema: of the answer, a line for each field; how probabilities are read, where no text is.
        answer: what the model wrote, untrusted; None where the labels alone were weighed.
        of_user: whether the prompt shows what the data say of a user.
    """

    source: str
    task: str
    about: str
    whom: str
    messages: tuple[tuple[str, str], ...]
    schema: tuple[str, ...]
    answer: str | None
    of_user: bool

    def without_user(self) -> AskedPrompt:
        """The same for pages that hide users: what a prompt shows of one is withheld, and so is who it is."""
        if not self.of_user:
            return self
        kept = tuple((role, text if role == SYSTEM else WITHHELD) for role, text in self.messages)
        return replace(self, whom=self.whom if self.about == "item" else "", messages=kept)

    def shortened(self) -> AskedPrompt:
        """The same with texts of a length that a page can show."""
        messages = tuple((role, beginning(text, PROMPT_SHOWN)) for role, text in self.messages)
        answer = None if self.answer is None else beginning(self.answer, ANSWER_SHOWN)
        return replace(self, messages=messages, answer=answer)


def beginning(text: str, letters: int) -> str:
    """A text, cut where it is longer, which three dots say."""
    return text if len(text) <= letters else f"{text[:letters]}…"


def shown_prompts(asked: Sequence[AskedPrompt], *, hide_users: bool) -> list[AskedPrompt]:
    """What a page shows of them."""
    return [(one.without_user() if hide_users else one).shortened() for one in asked]


def labels_in_short(labels: Sequence[str]) -> tuple[str, ...]:
    """In place of a schema, where probabilities are read."""
    return (f"no text: the probabilities of {', '.join(labels)} are read",)


def schema_in_short(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """A JSON schema as a line for each field, e.g. "liked_genres: 1 to 3 of Action, Comedy".

    Args:
        schema: with its definitions in itself.
    """
    whole = _resolved(schema, schema)
    properties = whole.get("properties")
    if not isinstance(properties, Mapping):
        return (_kind(whole, schema),)
    return tuple(f"{name}: {_kind(inner, schema)}" for name, inner in properties.items())


def _resolved(value: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = value.get("$ref")
    return root["$defs"][reference.rpartition("/")[2]] if isinstance(reference, str) else value


def _kind(value: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """What a field may hold, in words."""
    value = _resolved(value, root)
    if "const" in value:
        return json.dumps(value["const"], ensure_ascii=False)
    if "enum" in value:
        values = [str(one) for one in value["enum"]]
        more = len(values) - VALUES_SHOWN
        return f"one of {', '.join(values[:VALUES_SHOWN])}" + (f" and {more} more" if more > 0 else "")
    alternatives = value.get("anyOf") or value.get("oneOf")
    if alternatives:
        kinds = list(dict.fromkeys(_kind(one, root) for one in alternatives))
        more = len(kinds) - ALTERNATIVES_SHOWN
        return " or ".join(kinds[:ALTERNATIVES_SHOWN]) + (f" or one of {more} more like these" if more > 0 else "")
    kind = str(value.get("type", "anything"))
    if kind == "array":
        least, most = value.get("minItems", 0), value.get("maxItems")
        inner = _kind(value.get("items") or {}, root).removeprefix("one of ")
        return f"{least} to {most} of {inner}" if most is not None else f"{least} or more of {inner}"
    if kind == "object":
        inner_fields = value.get("properties") or {}
        return f"({'; '.join(f'{name}: {_kind(inner, root)}' for name, inner in inner_fields.items())})"
    return " ".join([{"string": "text", "null": "nothing"}.get(kind, kind), *_bounds(value)])


def _bounds(value: Mapping[str, Any]) -> Iterator[str]:
    if "maxLength" in value:
        yield f"of at most {value['maxLength']} letters"
    elif "pattern" in value:
        yield "of a bounded form"
    if "minimum" in value or "maximum" in value:
        yield f"from {value.get('minimum', 'any')} to {value.get('maximum', 'any')}"
