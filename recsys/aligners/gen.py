"""RLMRec-Gen: hidden users and items have to be told by what the graph says of them.

Paper: Ren et al., "Representation Learning with Large Language Models for Recommendation", WWW 2024, section 3.4.
In each step a share of all users and items, M, enters propagation as one learned vector in the place of their own. With
their final embeddings e, their vectors of texts s, and m a network with one hidden layer, the term is
    weight * mean over i in M of -ln( exp(cos(m(e_i), s_i) / t) / sum over j in M of exp(cos(m(e_i), s_j) / t) )
Deviations: the published code adds 1e-8 to the sum and to the quotient (`floor`). Users and items without a text are
not hidden, there is nothing to tell them by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recsys.aligners.base import Aligner, Embeddings
from recsys.aligners.texts import Texts, bridge, texts_of
from recsys.gather import lookup
from recsys.objectives.info_nce import log_sums

if TYPE_CHECKING:
    from recsys.aligners.options import GenOptions
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.draws import Draws


class Gen(Aligner):
    """See the module. A step's `terms` is about the nodes that its `start` hid.

    Args:
        users, items: their texts.
        options: see `GenOptions`.
        start_dim, dim: length of embeddings before and after propagation.
        generator: draws the network, its hidden layer first. What stands for hidden rows starts at zero.

    Attributes:
        hidden: int64 [k], users at their ids and items behind them, since the last `start`.
    """

    present: Tensor

    def __init__(
        self, users: Texts, items: Texts, options: GenOptions, start_dim: int, dim: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.users, self.items, self.options = users, items, options
        self.token = nn.Parameter(torch.zeros(1, start_dim))
        self.mlp = bridge(dim, users.dim, (users.dim + dim) // 2, generator)
        present = torch.cat([users.place, items.place]) >= 0
        self.register_buffer("present", present.nonzero()[:, 0], persistent=False)
        self.n_users = len(users.place)
        self.hidden = torch.empty(0, dtype=torch.int64)

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        side: SideInformation,
        options: GenOptions,
        *,
        start_dim: int,
        final_dim: int,
        generator: torch.Generator,
    ) -> Gen:
        """See `Aligner.build`."""
        return cls(*texts_of(side, options), options, start_dim, final_dim, generator)

    def start(self, table: Embeddings, draw: Draws) -> Embeddings:
        """The table with the same vector in the place of the hidden rows."""
        count = max(int(self.options.hidden * len(self.present)), 1)
        self.hidden = self.present[draw.distinct("hidden", count, len(self.present))]
        hides_user = self.hidden < self.n_users
        places = self.hidden[hides_user], self.hidden[~hides_user] - self.n_users
        sides = zip(table, places, strict=True)
        return Embeddings(*(rows.index_copy(0, ids, self.token.to(rows).expand(len(ids), -1)) for rows, ids in sides))

    def terms(self, final: Embeddings, batch: Any, draw: Draws) -> dict[str, Tensor]:
        """The term `gen`."""
        return {"gen": self.options.weight * self.mean(final)}

    def mean(self, final: Embeddings) -> Tensor:
        """The mean over the hidden nodes, without the weight."""
        bank = self.options.bank
        nodes = self.hidden if bank == "all" else self.hidden[:bank]  # in the order in which they were drawn
        is_user = nodes < self.n_users
        users, items = nodes[is_user], nodes[~is_user] - self.n_users
        told = self.mlp(torch.cat([lookup(final.users, users), lookup(final.items, items)]))
        texts = torch.cat([self.users.values[self.users.place[users]], self.items.values[self.items.place[items]]])
        with torch.autocast(told.device.type, enabled=False):
            told = told if told.dtype == torch.float64 else told.float()
            texts = texts.to(told.dtype)
            told, texts = F.normalize(told) / self.options.temperature, F.normalize(texts)
            right = (told * texts).sum(1)
            if not self.options.floor:
                return (log_sums(told, texts) - right.sum()) / len(right)
            floor = right.new_tensor(self.options.floor).log()
            share = right - torch.logaddexp((told @ texts.T).logsumexp(1), floor)
            return -torch.logaddexp(share, floor).mean()
