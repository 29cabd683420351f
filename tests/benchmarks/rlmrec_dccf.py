"""DCCF a second time: dense matrices of likeness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.benchmarks.rlmrec_models import Arrays, Model, nce


class Dccf(Model):
    """See `Model`."""

    def _own_shapes(self, d: int) -> dict[str, tuple[int, ...]]:
        return {"user_intent": (d, self.hyper["intent_num"]), "item_intent": (d, self.hyper["intent_num"])}

    def final(self, draws: Mapping[str, np.ndarray] | None = None) -> tuple[Tensor, list[Any]]:
        """The final embeddings, and of each layer g, t, a_g and a_t."""
        h = total = self.start(draws)
        layers = []
        for _ in range(self.hyper["layer_num"]):
            local = torch.from_numpy(self.world.graph) @ h
            sides = zip(h.split([self.world.users, self.world.items]), ("user", "item"), strict=True)
            intents = torch.cat([self._intended(rows, self.parameters[f"{side}_intent"]) for rows, side in sides])
            layer = [local, intents, self._adaptive(local, h), self._adaptive(intents, h)]
            h = h + torch.stack(layer).sum(0)
            total = total + h
            layers.append(layer)
        return total, layers

    @staticmethod
    def _intended(rows: Tensor, intents: Tensor) -> Tensor:
        powers = torch.exp(rows @ intents)
        return powers / powers.sum(1, keepdim=True) @ intents.T

    def _adaptive(self, compared: Tensor, h: Tensor) -> Tensor:
        unit = torch.nn.functional.normalize(compared)  # a row of zeros has no gradient
        alike = (unit @ unit.T + 1) / 2 * torch.from_numpy(self.world.graph != 0)
        return alike / alike.sum(1, keepdim=True) @ h

    def contrast(self, nodes: Tensor, layers: list[Any]) -> tuple[Arrays, Arrays]:
        """The term and the sums that it weights."""
        temperature = self.hyper.get("cl_temperature", self.hyper.get("temperature"))
        users, items = nodes[0].unique(), nodes[1].unique()
        found = [
            nce(local[ids], view[ids], view[ids], temperature)
            for local, *views in layers
            for ids in (users, items)
            for view in views
        ]
        return {"cl": self.hyper["cl_weight"] * sum(found) / len(users)}, {"infonce": found}
