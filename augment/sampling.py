"""How tokens are drawn from the language model."""

from __future__ import annotations

from pydantic import Field

from augrec.artefacts.options import Options


class Sampling(Options):
    """Sampling parameters of one task; part of every request's identity."""

    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    """0 is greedy; below about 0.3 small models repeat the first candidate for everybody."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Draw from the smallest set of tokens with this much probability. Below 1 the whole vocabulary is sorted for every
    token, which costs a sixth of a small model's time on a CPU."""
    top_k: int = Field(default=40, ge=0)
    """Draw from this many likeliest tokens; 0 is all."""
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=2.0)
    """Above 1, tokens already seen become less likely. It also counts the prompt and the JSON punctuation."""
