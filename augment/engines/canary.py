"""Questions that cannot be answered within a grammar: whoever answers them freely ignores grammars."""

from __future__ import annotations

import json
from typing import Any

CANARY_WORDS = ("amber", "cobalt")
CANARY: dict[str, Any] = {
    "type": "object",
    "properties": {"canary": {"enum": list(CANARY_WORDS)}},
    "required": ["canary"],
    "additionalProperties": False,
}
CANARY_PROMPTS = ("Say hello.", "Count from one to five in words.", "Write a short poem about rain.")
CANARY_TOKENS = 32


def held(text: str, *, compact: bool) -> bool:
    """Whether a text is an answer of the canary's grammar; `compact` allows no white space."""
    if compact:
        return text in {json.dumps({"canary": word}, separators=(",", ":")) for word in CANARY_WORDS}
    try:
        return json.loads(text) in [{"canary": word} for word in CANARY_WORDS]
    except ValueError:
        return False
