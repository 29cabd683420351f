"""What an engine needs of each GPU before it can start, and whether a GPU has it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from augrec.artefacts.memory import size_in_words

COMMON_SIZES = (16, 24, 32, 40, 48, 80, 94, 141, 192)
"""GB of the GPUs that one meets."""


class UnknownSize(Exception):
    """Why a model's memory cannot be told."""


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes on each GPU.

    Args:
        weights: of the model's share.
        working: of one step, estimated.
        one_request: the cache of a request of `longest` tokens.
        longest: tokens of a prompt and its answer that the engine is told to take.
        requests: as many as may be computed at once.
        fraction: the share of a GPU that the engine takes.
        gpus: that share the model.
        most_tokens: that the model takes; None where its config names no bound.
    """

    weights: float
    working: float
    one_request: float
    longest: int
    requests: int
    fraction: float = 1.0
    gpus: int = 1
    most_tokens: int | None = None

    def full_requests(self, memory: float) -> int:
        """How many requests of the greatest length a GPU of so many bytes holds at once; 0: it does not start."""
        room = memory * self.fraction - self.weights - self.working
        return max(0, math.floor(room / self.one_request))

    def cannot_start(self, memory: float) -> bool:
        """Whether a GPU is too small for what is counted alone, whatever the estimate of the working memory says."""
        return memory * self.fraction < self.weights + self.one_request

    def on(self, memory: float, called: str) -> str:
        """Whether it fits, in words.

        Args:
            memory: bytes of one GPU.
            called: how the GPU is called, e.g. "80 GB".
        """
        held = self.full_requests(memory)
        if not held:
            fits = "does not fit" if self.cannot_start(memory) else "may not fit"
            return f"{fits} into {called}, of which {self.fraction:.0%} is used: {self.parts()}"
        room = f"room for {min(held, self.requests):,} of max_num_seqs {self.requests:,} such requests at once"
        return f"fits into {called}: {self.parts()}; {room}"

    def parts(self) -> str:
        """What it is made of."""
        shared = f" on each of {self.gpus} GPUs" if self.gpus > 1 else ""
        return (
            f"weights {size_in_words(self.weights)}{shared}, about {size_in_words(self.working)} to work with, "
            f"{size_in_words(self.one_request)} of key-value cache for a request of {self.longest:,} tokens"
        )

    def smallest_gpu(self) -> int | None:
        """GB of the smallest common GPU that it fits into; None where none is large enough."""
        return next((size for size in COMMON_SIZES if self.full_requests(size * 1e9)), None)
