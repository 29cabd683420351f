"""KAR: experts adapt texts to the recommender, and what they say is propagated with the embeddings.

Paper: Xi et al., "Towards Open-World Recommendation with Knowledge Augmentation from Large Language Models", RecSys
2024, section 3.3 (the hybrid-expert adaptor). RLMRec's Table 2 has it on LightGCN and SGL; code of that was never
released, and its author says (issue 27 of HKUDS/RLMRec) that the adapted vector is concatenated with the embedding.
Equations, for a user's vector of text s (an item's the same, with own gate and own experts):
    a = softmax(gate_user(s))                          one weight for each expert
    z = sum over shared experts k of a_k expert_k(s) + sum over the users' own experts k of a_k expert_k(s)
    e_0 = [e, z]   or   e + z                          which is propagated in the place of the embedding e
An expert is a network with one hidden layer, a gate a linear layer. The only loss is the model's.
Deviations: KAR asks an LLM for a user's preferences and for facts of an item; here both are given by whatever text the
variant embeds. It concatenates with the inputs of a click model, here with what a graph model propagates. Users and
items without a text have z = 0. Equal texts are adapted once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from recsys.aligners.base import Aligner, Embeddings
from recsys.aligners.texts import Texts, bridge, texts_of
from recsys.gather import lookup
from recsys.linear_layer import xavier_linear

if TYPE_CHECKING:
    from recsys.aligners.options import KarOptions
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset


class Kar(Aligner):
    """See the module.

    Args:
        users, items: their texts.
        options: see `KarOptions`.
        dim: length of the model's own embeddings.
        generator: draws shared experts, then the users' own and their gate, then those of items.
    """

    def __init__(self, users: Texts, items: Texts, options: KarOptions, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        self.users, self.items, self.options = users, items, options
        width, count = options.width or dim, options.shared_experts + options.own_experts

        def experts(number: int) -> nn.ModuleList:
            return nn.ModuleList(bridge(users.dim, width, options.hidden, generator) for _ in range(number))

        self.shared = experts(options.shared_experts)
        self.user_experts, self.user_gate = experts(options.own_experts), xavier_linear(users.dim, count, generator)
        self.item_experts, self.item_gate = experts(options.own_experts), xavier_linear(items.dim, count, generator)

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        side: SideInformation,
        options: KarOptions,
        *,
        start_dim: int,
        final_dim: int,
        generator: torch.Generator,
    ) -> Kar:
        """See `Aligner.build`."""
        return cls(*texts_of(side, options), options, start_dim, generator)

    def join(self, table: Embeddings) -> Embeddings:
        """The table with the adapted texts, beside it or added to it."""
        adapted = (
            self._adapted(self.users, self.user_experts, self.user_gate),
            self._adapted(self.items, self.item_experts, self.item_gate),
        )
        sides = zip(table, adapted, strict=True)
        if self.options.join == "add":
            return Embeddings(*(rows + texts for rows, texts in sides))
        return Embeddings(*(torch.cat([rows, texts.to(rows)], 1) for rows, texts in sides))

    def _adapted(self, texts: Texts, own: nn.ModuleList, gate: nn.Linear) -> Tensor:
        """z of every id: [n, width]."""
        weights = gate(texts.values).softmax(1)
        parts = [weights[:, k, None] * expert(texts.values) for k, expert in enumerate([*self.shared, *own])]
        there = (texts.place >= 0)[:, None]
        return lookup(torch.stack(parts).sum(0), texts.place.clamp_min(0)) * there
