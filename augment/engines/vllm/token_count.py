"""How many tokens an engine has read and written so far, also of requests that are not finished yet."""

from __future__ import annotations

from typing import Any


class TokenCount:
    """Counts over vLLM's outputs, each of which holds all that was written for its request so far.

    Attributes:
        read: prompt tokens of the requests that have begun to be answered.
        written: tokens of answers.
    """

    def __init__(self) -> None:
        self.read = self.written = 0
        self._flying: dict[str, int] = {}

    def count(self, output: Any) -> None:
        """Adds what is new in one output of a step."""
        name = output.request_id
        if name not in self._flying:
            self.read += len(output.prompt_token_ids or ())
        written = len(output.outputs[0].token_ids)
        self.written += written - self._flying.get(name, 0)
        if output.finished:
            self._flying.pop(name, None)
        else:
            self._flying[name] = written

    def in_words(self) -> str:
        """ "read 5,120 tokens, wrote 812"."""
        return f"read {self.read:,} tokens, wrote {self.written:,}"
