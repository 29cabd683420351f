"""Where the base recommender of a run lies, `base/`: what it says of users and items before anything is generated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BaseFolder:
    """A recommender trained on training interactions, and the same one trained without parts of them."""

    root: Path

    @property
    def users(self) -> Path:
        """float32 [n_users, d]: with `items`, of a model whose score is their inner product."""
        return self.root / "users.npy"

    @property
    def items(self) -> Path:
        """float32 [n_items, d]."""
        return self.root / "items.npy"

    @property
    def neighbours(self) -> Path:
        """The users most like each user, see `augrec.artefacts.neighbours`."""
        return self.root / "neighbours.parquet"

    @property
    def lists(self) -> Path:
        """The best items of every user without those of its training, see `augrec.artefacts.ranked_lists`."""
        return self.root / "lists.parquet"

    @property
    def held_out(self) -> Path:
        """Scores of training interactions by a model that did not see them, see `augrec.artefacts.held_out`."""
        return self.root / "held_out.parquet"

    @property
    def trainings(self) -> Path:
        """The folder of all its trainings."""
        return self.root / "trainings"

    def training(self, piece: str) -> Path:
        """The folder of one of its trainings, see `augrec.artefacts.run_folder.TrainingFolder`."""
        return self.trainings / piece

    def held_out_of(self, piece: str) -> Path:
        """The part of `held_out` that one training scored."""
        return self.training(piece) / "held_out.parquet"

    def trained_on(self, piece: str) -> Path:
        """How many training interactions one training saw, and one hash of them; for the audit."""
        return self.training(piece) / "trained_on.json"

    def neighbours_of(self, piece: str) -> Path:
        """The part of `neighbours` that one training says."""
        return self.training(piece) / "neighbours.parquet"
