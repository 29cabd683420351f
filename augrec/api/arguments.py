"""Refuses arguments of another type by name, where Python would fail somewhere below."""

from __future__ import annotations

from typing import Any

from augrec.artefacts.errors import UsageError


def require(value: Any, kind: type, argument: str, call: str, remedy: str) -> None:
    """Raises UsageError unless the argument of the call is of that type."""
    if not isinstance(value, kind):
        raise UsageError(
            f"{argument} is of type {type(value).__name__}, expected {kind.__name__}", where=call, remedy=remedy
        )
