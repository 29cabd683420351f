"""Seeds as configs name them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""What NumPy and torch draw with: both refuse numbers below, and torch those above."""
