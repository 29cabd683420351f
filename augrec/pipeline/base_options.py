"""The section `base` of a run: a recommender whose word prompts may show, and how far its word can be trusted."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveInt

from augrec.artefacts.options import Options


class BaseOptions(Options):
    """The base recommender of prompts (Llama4Rec). It is trained on training interactions alone.

    A hint on an item that the recommender was trained on would tell the answer. So it is trained once on all training
    interactions, for hints on items without one, and once without each fold of them, for hints on those it held out.
    """

    model: str
    """A name from `models`, judged by ranked lists, by the next item or by ratings."""
    folds: int = Field(5, ge=2, le=100)
    """Parts of the training interactions, each scored by a model that was trained without it. Where the next item is
    judged: parts of the users, whose last training item is held out."""
    list_size: PositiveInt = 10
    """Items that are listed for each user, the best ones without a training interaction (Llama4Rec uses 10)."""
    negatives: NonNegativeInt = 20
    """Items without a training interaction, drawn for each user and fold and scored beside what it holds out."""
    similar: PositiveInt = 1
    """The nearest other users that are kept for each user; prompts show the nearest."""
    vectors: str | None = None
    """A name from `models`: whose embeddings of users say who is similar. The base model's own unless given; one that
    predicts ratings has none, and nobody is then similar to anybody."""
