"""How long an answer can get: the longest string a JSON schema allows, in UTF-8 bytes.

Decoding stops at `max_tokens`; an answer cut there is not JSON. So the budget is computed from the grammar: one token
is at least one byte in every byte-level vocabulary, hence bytes bound tokens. A schema without a bound (a string
without a pattern, an open array, a repeated group without a maximum) is refused.

For prose that bound is absurd (60 words of 24 letters are 3000 bytes, and are never written); its budget follows from
its words instead. An answer that needs more is cut, and being cut is a failed attempt.
"""

from __future__ import annotations

import json
import re
from typing import Any

from augrec.artefacts.errors import UsageError

END_OF_TEXT = 1
TOKENS_PER_WORD = 2
"""English takes 1.3 to 1.5 tokens a word in vocabularies of 32,000 and more, names and other languages more."""
FRAME = 16
"""Tokens of the JSON around a text."""


def token_budget(schema: dict[str, Any]) -> int:
    """The `max_tokens` that can never cut an answer of this schema: its longest string in bytes, plus the end token."""
    return longest(schema, schema.get("$defs", {})) + END_OF_TEXT


def prose_budget(words: int) -> int:
    """The `max_tokens` of a text of at most so many words as the only field of an answer."""
    return TOKENS_PER_WORD * words + FRAME + END_OF_TEXT


def longest(schema: dict[str, Any], definitions: dict[str, Any]) -> int:
    """Bytes of the longest compact JSON text the schema allows. Raises UsageError when there is no bound."""
    if "$ref" in schema:
        return longest(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "const" in schema:
        return _bytes(schema["const"])
    if "enum" in schema:
        return max(_bytes(value) for value in schema["enum"])
    if "anyOf" in schema:
        return max(longest(branch, definitions) for branch in schema["anyOf"])
    kind = schema.get("type")
    if kind == "object":
        if schema.get("additionalProperties") is not False:
            raise UsageError("an answer object may not be open-ended", remedy="set additionalProperties to false")
        fields = schema["properties"].items()
        return (
            2 + sum(_bytes(name) + 1 + longest(field, definitions) for name, field in fields) + max(len(fields) - 1, 0)
        )
    if kind == "array":
        if "maxItems" not in schema:
            raise UsageError("an answer list has no maxItems, so its length has no bound", remedy="give it max_length")
        count = schema["maxItems"]
        return 2 + count * longest(schema["items"], definitions) + max(count - 1, 0)
    if kind == "string":
        if "pattern" not in schema:
            raise UsageError(
                "an answer string has no pattern, so its length has no bound",
                remedy="give it a bounded pattern; maxLength lets invalid JSON through some grammar engines",
            )
        return 2 + pattern_bytes(schema["pattern"])
    raise UsageError(f"cannot bound the length of a JSON value of type {kind!r}")


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def pattern_bytes(pattern: str) -> int:
    """UTF-8 bytes of the longest string an anchored pattern matches.

    Only patterns that need no JSON escape are allowed: quotes, backslashes and control characters are refused, and so
    are negated classes, whose length in bytes grammar engines count wrongly.
    """
    if not (pattern.startswith("^") and pattern.endswith("$")):
        raise UsageError("an answer pattern must be anchored with ^ and $", where=pattern)
    tree = re._parser.parse(pattern)  # type: ignore[attr-defined]
    return _widest(tree, pattern)


def _widest(tree: Any, pattern: str) -> int:
    return sum(_node(str(operation), value, pattern) for operation, value in tree)


def _node(operation: str, value: Any, pattern: str) -> int:
    match operation:
        case "AT":
            return 0
        case "LITERAL":
            return _character(value, pattern)
        case "IN":
            return max(_member(str(kind), member, pattern) for kind, member in value)
        case "MAX_REPEAT":
            _, most, inner = value
            if most == re._constants.MAXREPEAT:  # type: ignore[attr-defined]
                raise UsageError("an answer pattern repeats without a maximum", where=pattern, remedy="use {m,n}")
            return int(most) * _widest(inner, pattern)
        case "SUBPATTERN":
            return _widest(value[3], pattern)
        case "BRANCH":
            return max(_widest(branch, pattern) for branch in value[1])
    raise UsageError(f"an answer pattern uses {operation.lower()}, whose length cannot be bounded", where=pattern)


def _member(kind: str, member: Any, pattern: str) -> int:
    if kind == "LITERAL":
        return _character(member, pattern)
    if kind == "RANGE":
        low, high = member
        for forbidden in (*range(32), ord('"'), ord("\\")):
            if low <= forbidden <= high:
                return _character(forbidden, pattern)
        return _character(high, pattern)
    raise UsageError(f"an answer pattern uses {kind.lower()}, whose length cannot be bounded", where=pattern)


def _character(code: int, pattern: str) -> int:
    if code < 32 or chr(code) in '"\\':
        raise UsageError("an answer pattern allows a quote, a backslash or a control character", where=pattern)
    return len(chr(code).encode())
