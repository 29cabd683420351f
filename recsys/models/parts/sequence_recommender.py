"""What models of sequences have in common: tables of items and positions, and the contexts they are asked with."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from recsys.batches.base import Queries, Split
from recsys.batches.sequences import HIDDEN, Sequences, Windows
from recsys.gather import lookup
from recsys.models.base import Newcomer, TrainedRecommender, embedding_table
from recsys.models.parts.dropout import dropout
from recsys.objectives.info_nce import log_sums

if TYPE_CHECKING:
    from typing import Self

    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.models.options.sequential import SequenceOptions

USERS_AT_ONCE = 2**11


class SequenceRecommender(TrainedRecommender):
    """A model whose score is the inner product of what it makes of a user's context and an item's embedding.

    A position is counted from the newest item of a window, so that what a model makes of a window does not depend on
    how long the other windows of a batch are.

    Args:
        dataset: gives the contexts: training items at "valid", and validation items as well at "test".
        options: of the family.
        generator: draws the initial parameters.

    Attributes:
        item_bias: a number per item that every user's score has, [n_items], or None.
        hidden_item: what stands where an item is hidden, [d]; None in models that hide none, see `hide_items`.
    """

    item_bias: nn.Parameter | None
    hidden_item: nn.Parameter | None

    def __init__(self, dataset: Dataset, options: SequenceOptions, generator: torch.Generator) -> None:
        super().__init__()
        self.dim, self.length, self.dropout = options.dim, options.length, options.dropout
        self.item_embedding = embedding_table(dataset.n_items, options.dim, generator)
        self.position_embedding = embedding_table(options.length, options.dim, generator)
        self.register_parameter("item_bias", None)
        self.register_parameter("hidden_item", None)
        self.contexts = nn.ModuleDict(
            {"valid": Sequences.of(dataset), "test": Sequences.of(dataset, ("train", "valid"))}
        )

    @property
    def inductive(self) -> frozenset[Newcomer]:
        """See `Recommender.inductive`: users, by the order of their items."""
        return frozenset({"user"})

    def hide_items(self, generator: torch.Generator) -> None:
        """Lets windows hold hidden items; what stands for them is drawn."""
        self.hidden_item = nn.Parameter(embedding_table(1, self.dim, generator).detach()[0].clone())

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: Any, generator: torch.Generator) -> Self:
        """See `recsys.models.build`."""
        return cls(dataset, options, generator)

    @abstractmethod
    def states(self, windows: Windows) -> Tensor:
        """What is made of each item of the windows, which are of at most `length` items: [b, w, d].

        What stands behind the items of a row is of no account.
        """

    @abstractmethod
    def asked(self, context: Sequences, users: Tensor) -> tuple[Windows, Tensor]:
        """The windows that are read of `users` (int64 [b]), and the place [b] in each whose state is compared."""

    def embedded(self, windows: Windows, scale: float = 1.0) -> Tensor:
        """Embeddings of items, times `scale`, and of their positions, with dropout: [b, w, d]."""
        rows = lookup(self.item_embedding, windows.items.clamp(min=0))
        if self.hidden_item is not None:
            rows = torch.where((windows.items == HIDDEN)[..., None], self.hidden_item, rows)
        steps = torch.arange(windows.items.shape[1], device=rows.device)
        places = (self.length - windows.length)[:, None] + steps
        positions = lookup(self.position_embedding, places.clamp(max=self.length - 1))
        return dropout(rows * scale + positions, self.dropout, self.training)

    @torch.no_grad()
    def scores(self, queries: Queries) -> Tensor:
        """See `Recommender.scores`; of a user without any item all 0, plus the bias."""
        scores = self._last_states(queries.users, queries.split) @ self.item_embedding.float().T
        return scores if self.item_bias is None else scores + self.item_bias.float()

    @torch.no_grad()
    def embeddings(self, split: Split = "valid") -> tuple[Tensor, Tensor]:
        """See `Recommender.embeddings`."""
        everybody = torch.arange(len(self._context(split).counts), device=self.item_embedding.device)
        users = torch.cat([self._last_states(part, split) for part in everybody.split(USERS_AT_ONCE)])
        items = self.item_embedding.detach().float()
        if self.item_bias is None:
            return users, items
        return with_ones(users), torch.cat([items, self.item_bias.detach().float()[:, None]], 1)

    def _last_states(self, users: Tensor, split: Split) -> Tensor:
        """float32 [b, d]: what is made of the users' contexts."""
        windows, place = self.asked(self._context(split), users)
        known = place >= 0
        states = users.new_zeros((len(users), self.dim), dtype=torch.float32)
        if known.any():
            rows = torch.arange(int(known.sum()), device=users.device)
            states[known] = self.states(windows.rows(known))[rows, place[known]].float()
        return states

    def _context(self, split: Split) -> Sequences:
        context = self.contexts[split]
        assert isinstance(context, Sequences)
        return context

    @staticmethod
    def predictions(states: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """The states [p, d] of the places `chosen` (bool [b, w]) among [b, w, d], and these places, int64 [p]."""
        places = chosen.flatten().nonzero()[:, 0]
        return lookup(states.flatten(0, 1), places), places

    def softmax_loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """The mean over predictions of the cross-entropy of their item among all. Scalar.

        Args:
            states: [p, d].
            targets: int64 [p].
        """
        items: Tensor = self.item_embedding
        right = (states * lookup(items, targets)).sum()
        if self.item_bias is not None:
            right = right + lookup(self.item_bias[:, None], targets).sum()
            states, items = with_ones(states), torch.cat([items, self.item_bias[:, None]], 1)
        return (log_sums(states, items) - right) / max(len(targets), 1)


def with_ones(rows: Tensor) -> Tensor:
    """Rows [n, d] with a further number, 1: [n, d + 1]."""
    return torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
