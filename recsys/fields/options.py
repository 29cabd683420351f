"""Which fields a model reads, and what counts as a value: the part `fields` of its options. No torch here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from augrec.artefacts.options import Options


class FieldOptions(Options):
    """Fields of users and of items; the ids themselves are fields too."""

    users: tuple[str, ...] | None = None
    """Columns of the table of users, or attributes that a source wrote about users, e.g. [age, gender]; null takes all
    that tell groups of users apart (`least_share`)."""
    items: tuple[str, ...] | None = None
    """Columns of the table of items, or attributes that a source wrote about items, e.g. [genres, director]; null takes
    all that tell groups of items apart (`least_share`)."""
    ids: bool = True
    """Whether a user and an item are values of their own."""
    least: PositiveInt = 2
    """A value that fewer users (items) of the training interactions have counts as unknown."""
    least_share: float = Field(0.1, ge=0, le=1)
    """A field that nobody named is left out when less than this share of the users (items) has a known value: titles
    and descriptions, which are everybody's own."""
    buckets: PositiveInt = 20
    """A column of numbers with more distinct values than this is cut into as many ranges, equally full in training."""
    pooling: Literal["mean", "sum"] = "mean"
    """What becomes of the embeddings of several values in one field, such as a film's genres."""
