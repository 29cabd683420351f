"""ProMax: a user's preferences over all items are drawn to how near the items' texts are to the user's.

Paper: ProMax, SIGIR 2026 (arXiv 2604.26231): profiles are used to retrieve, and shape the distribution that a model
learns, in place of being mapped to its embeddings by a network. Its equations are taken from the authors' LightGCN.
With texts whitened by principal components, s, and final embeddings e, a user u of the batch has
    P_u(i) ~ exp(cos(s_u, s_i) / t_text),    Q_u(i) ~ exp(cos(e_u, e_i) / t)    over all items i,
and with w_u = 1 - H(P_u) / ln(number of items), at least .1, the term is
    weight * mean over the batch's distinct users of w_u * sum over i of -P_u(i) ln Q_u(i).
Left out: the authors' second view, which is contrasted with the first. It is propagated over a graph of further edges,
which they retrieve by profiles and let an LLM order; an aligner sees one pass. Edges that an LLM suggests join the
training of any model by `aug_sample_rate`.
Deviations: users and items are whitened together (`whitening`). Those without a text have no part in it: such a user no
term, such an item no share of either distribution. ln Q is computed stably; the authors add 1e-8 to Q. Their LightGCN
sums its layers without the first; here the model is whichever it stands in.
Cost: of all inner products of the batch's users and the items, for texts and for embeddings, unless `bank` bounds both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recsys.aligners.base import Aligner, Embeddings
from recsys.aligners.texts import Texts, texts_of
from recsys.batches.triplets import Triplets
from recsys.gather import lookup
from recsys.objectives.soft_targets import soft_target_loss

if TYPE_CHECKING:
    from recsys.aligners.options import ProMaxOptions
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.draws import Draws

NOTHING = 1e-10  # of the largest variance: a component of less is rounding


class ProMax(Aligner):
    """See the module.

    Args:
        users, items: their texts.
        options: see `ProMaxOptions`.
        components: how many there are at most.

    Attributes:
        user_text, item_text: float32 [k, c], the whitened distinct texts.
        told: int64, the items that have a text.
    """

    user_text: Tensor
    item_text: Tensor
    told: Tensor

    def __init__(self, users: Texts, items: Texts, options: ProMaxOptions, components: int) -> None:
        super().__init__()
        self.users, self.items, self.options = users, items, options
        if options.whitening == "joint":
            user_text, item_text = whitened([users, items], components)
        else:
            (user_text,), (item_text,) = whitened([users], components), whitened([items], components)
            kept = min(user_text.shape[1], item_text.shape[1])
            user_text, item_text = user_text[:, :kept], item_text[:, :kept]
        self.register_buffer("user_text", user_text, persistent=False)
        self.register_buffer("item_text", item_text, persistent=False)
        self.register_buffer("told", (items.place >= 0).nonzero()[:, 0], persistent=False)

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        side: SideInformation,
        options: ProMaxOptions,
        *,
        start_dim: int,
        final_dim: int,
        generator: torch.Generator,
    ) -> ProMax:
        """See `Aligner.build`."""
        return cls(*texts_of(side, options), options, options.components or start_dim)

    def terms(self, final: Embeddings, batch: Triplets, draw: Draws) -> dict[str, Tensor]:
        """The term `promax`, or none where its weight is 0."""
        options = self.options
        if not options.weight:
            return {}
        users, items = self._drawn(batch.user.unique(), draw)
        loss = soft_target_loss(
            lookup(final.users, users),
            lookup(final.items, items),
            self.user_text[self.users.place[users]],
            self.item_text[self.items.place[items]],
            temperature=options.temperature,
            target_temperature=options.text_temperature,
            least_weight=options.least_weight,
        )
        return {"promax": options.weight * loss}

    def _drawn(self, users: Tensor, draw: Draws) -> tuple[Tensor, Tensor]:
        """The users of a step that have a text, and the items over which their distributions are."""
        users, bank = users[self.users.place[users] >= 0], self.options.bank
        if bank == "all":
            return users, self.told
        order = draw.uniform("bank of users", len(self.users.place))  # always as many, so that processes stay in step
        items = self.told[draw.distinct("bank of items", min(bank, len(self.told)), len(self.told))]
        if len(users) > bank:
            users = users[order[users].topk(bank, sorted=False).indices]
        return users, items


def whitened(texts: Sequence[Texts], components: int) -> list[Tensor]:
    """The distinct texts of each, float32 [k, c], as their leading principal components, each of variance 1.

    Mean and components are those of all users and items that have one of these texts. c is `components`, or how many
    directions the texts vary in.
    """
    values = torch.cat([part.values for part in texts]).double()
    counts = torch.cat([part.owners for part in texts]).double()
    mean = counts @ values / counts.sum()
    centred = values - mean
    variances, directions = torch.linalg.eigh((centred.T * counts) @ centred / (counts.sum() - 1).clamp_min(1.0))
    kept = (variances > NOTHING * variances[-1]).nonzero()[:, 0].flip(0)[:components]
    rows = centred @ (directions[:, kept] * variances[kept].rsqrt())
    return list(rows.float().split([len(part.values) for part in texts]))
