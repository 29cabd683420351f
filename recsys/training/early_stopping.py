"""Early stopping: which epoch is kept, decided on validation alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor, nn

from augrec.artefacts.metrics import Metric


@dataclass
class Selection:
    """Keeps the state of the best epoch so far; a later epoch replaces it only if it is strictly better.

    Attributes:
        patience: evaluations without an improvement after which `exhausted` is true.
        metric: the monitored one, which says whether more or less is better.
        best: the best monitored value, float64; NaN before the first evaluation.
        best_epoch: its epoch, counted from 1; 0 before the first evaluation.
        stale: evaluations since then.
        state: copies of the model's state at that epoch.
    """

    patience: int
    metric: Metric
    best: float = math.nan
    best_epoch: int = 0
    stale: int = 0
    state: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, value: float, epoch: int, model: nn.Module) -> bool:
        """Records an evaluation; True when it is the new best."""
        if self.metric.better(value, self.best):
            self.best, self.best_epoch, self.stale = value, epoch, 0
            self.state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            return True
        self.stale += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.stale >= self.patience
