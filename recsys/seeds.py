"""Generators of random numbers: passed to whoever draws, never global."""

from __future__ import annotations

import hashlib

import torch


def seeded(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for each purpose, so that using one more never shifts the draws of another."""
    state = int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "little") >> 1
    return torch.Generator(device=device).manual_seed(state)
