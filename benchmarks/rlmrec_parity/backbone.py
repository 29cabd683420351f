"""What the comparison has to know of one backbone, and the recorded draws that stand in for chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augrec.artefacts.errors import DataError
from benchmarks.result import Result
from benchmarks.rlmrec_parity.expected import Figures
from recsys.draws import Draws
from recsys.models.parts.graph_recommender import GraphRecommender, Propagated

Queues = dict[str, list[Tensor]]
"""Recorded draws by our name, in the order in which they are drawn."""


@dataclass(frozen=True, eq=False)
class Step:
    """One optimiser step of the recorded training.

    Attributes:
        figures: of the model.
        number: from 0.
        draws: of this step, under the code's names.
        edge_order: int64 [2m], places of entries sorted by (column, row) among those of the figures.
    """

    figures: Figures
    number: int
    draws: Mapping[str, np.ndarray]
    edge_order: np.ndarray

    def draw(self, name: str) -> np.ndarray:
        """A draw that must be there."""
        return self.figures.get(f"draw/{self.number}/{name}")


@dataclass(frozen=True)
class Backbone:
    """A model of the published code and ours.

    Attributes:
        family: ours, by name.
        options: our options beside `released`, `dim` and the aligner, from the code's settings.
        parameters: our name of each parameter of its, without the tables and those of aligners.
        terms: its name of each of our terms, without those of aligners.
        queues: the draws of a step by our names, without those of aligners.
        parts: values inside the terms of a step, by the code's name of the group and in its order, without those of
            aligners; called after the step's pass.
        derived: further comparisons of what follows from the draws, of a model whose step was just computed.
    """

    family: str
    options: Callable[[Figures], Mapping[str, Any]]
    parameters: Callable[[Figures], Mapping[str, str]] = lambda figures: {}
    terms: Mapping[str, str] = field(default_factory=lambda: {"bpr": "bpr", "l2": "reg"})
    queues: Callable[[Step], Queues] = lambda step: {}
    parts: Callable[[Any, Propagated, Any], Mapping[str, list[Tensor]]] = lambda model, passed, batch: {}
    derived: Callable[[GraphRecommender, Step], list[Result]] = lambda model, step: []


class Recorded(Draws):
    """Hands out recorded draws by name instead of drawing.

    Args:
        queues: the draws of one step.
        where: for messages.
    """

    def __init__(self, queues: Queues, where: str) -> None:
        super().__init__(torch.Generator())
        self._queues, self._where = queues, where

    def _next(self, name: str, shape: tuple[int, ...]) -> Tensor:
        if not self._queues.get(name):
            raise DataError(f"the draw '{name}' is not recorded", where=self._where)
        drawn = self._queues[name].pop(0)
        if tuple(drawn.shape) != shape:
            raise DataError(
                f"the recorded draw '{name}' has shape {list(drawn.shape)}, and {list(shape)} is drawn here",
                where=self._where,
            )
        return drawn

    def uniform(self, name: str, *shape: int) -> Tensor:
        """See `Draws.uniform`."""
        return self._next(name, shape)

    def kept(self, name: str, count: int, rate: float) -> Tensor:
        """See `Draws.kept`."""
        return self._next(name, (count,))

    def distinct(self, name: str, count: int, below: int) -> Tensor:
        """See `Draws.distinct`."""
        return self._next(name, (count,))

    def repeated(self, name: str, count: int, below: int) -> Tensor:
        """See `Draws.repeated`."""
        return self._next(name, (count,))

    @property
    def left(self) -> list[str]:
        """Names of draws that nobody asked for."""
        return [name for name, queue in self._queues.items() if queue]


def tensors(array: np.ndarray) -> list[Tensor]:
    """The rows of an array as tensors of their own."""
    return [torch.from_numpy(np.ascontiguousarray(row)) for row in array]
