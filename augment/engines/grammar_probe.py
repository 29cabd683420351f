"""Questions that cannot be answered within a grammar: whoever answers them freely ignores grammars."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from augrec.artefacts.files import parse_json

CANARY_WORDS = ("amber", "cobalt")
CANARY: dict[str, Any] = {
    "type": "object",
    "properties": {"canary": {"enum": list(CANARY_WORDS)}},
    "required": ["canary"],
    "additionalProperties": False,
}
CANARY_PROMPTS = ("Say hello.", "Count from one to five in words.", "Write a short poem about rain.")
CANARY_TOKENS = 32
CANARY_SYSTEM = (
    "You work in a library by the sea. Readers ask you for books about ships, storms, islands, lighthouses, whales, "
    "maps and long voyages. Be brief and kind, name one book at a time, and never tell how a story ends. If nobody "
    "asks for anything, put the returned books back on their shelves, water the plants and wait for the next reader."
)
"""Some seventy words: where they are left out of a prompt, its number of tokens shows it."""
FEWEST_SYSTEM_TOKENS = 35


def system_left_out(counts: Sequence[int]) -> bool:
    """Whether a server leaves the system text out of its prompts, by the tokens it counts.

    Args:
        counts: tokens of the prompts of `CANARY_PROMPTS` as the server counts them, the last with `CANARY_SYSTEM`.
            A server that does not count (zeros, or the same number whatever is asked) shows nothing.
    """
    *plain, with_system = counts
    return all(plain) and len(set(plain)) > 1 and with_system < max(plain) + FEWEST_SYSTEM_TOKENS


def held(text: str, *, compact: bool) -> bool:
    """Whether a text is an answer of the canary's grammar; `compact` allows no white space."""
    if compact:
        return text in {json.dumps({"canary": word}, separators=(",", ":")) for word in CANARY_WORDS}
    try:
        return parse_json(text) in [{"canary": word} for word in CANARY_WORDS]
    except ValueError:
        return False
