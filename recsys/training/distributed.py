"""Several processes that train one model: who they are and what they tell each other.

Each holds the whole model, sees the same batches and takes its share of every one of them; gradients are averaged by
torch's DistributedDataParallel. `recsys.training.sharded.graph` splits the model itself.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn

from recsys.batches.base import B, Batch
from recsys.evaluation.result import Evaluation
from recsys.models.base import TrainedRecommender

NO_TERMS = "no_terms"


@dataclass(frozen=True)
class Team:
    """The processes of one training; one that is alone talks to nobody.

    Attributes:
        rank: this process, from 0.
        size: how many there are.
        device: where tensors lie that are exchanged.
    """

    rank: int = 0
    size: int = 1
    device: torch.device | str = "cpu"

    @classmethod
    def of(cls, accelerator: Accelerator) -> Team:
        """The team that was launched."""
        return cls(accelerator.process_index, accelerator.num_processes, accelerator.device)

    @property
    def main(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over the processes, in place; the same bits on each of them."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def minimum(self, tensor: Tensor) -> Tensor:
        """The smallest of the processes' values, element by element, in place."""
        if self.size > 1:
            dist.all_reduce(tensor, op=dist.ReduceOp.MIN)
        return tensor

    def share_out(self, tensor: Tensor, owner: int) -> Tensor:
        """Overwrites `tensor`, in place, by the one of process `owner`."""
        if self.size > 1 and tensor.numel():
            dist.broadcast(tensor, src=owner)
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """Everybody's value, by rank; small things only, they are pickled."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def decide(self, value: Any) -> Any:
        """The main process's value, on all of them."""
        return self.gather(value)[0]


SINGLE_PROCESS = Team()


def averaged(model: TrainedRecommender, accelerator: Accelerator) -> nn.Module:
    """The model's objectives as a module whose gradients are averaged over the processes."""
    with warnings.catch_warnings():
        # Torch renamed the switch for the buffers in 2.13; accelerate passes the old name, which all versions take.
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        return accelerator.prepare(Objectives(model))


class Objectives(nn.Module):
    """A model's losses as a forward pass, which is what DistributedDataParallel wraps."""

    def __init__(self, model: TrainedRecommender) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, number: int) -> dict[str, Tensor]:
        """The terms of one of `TrainedRecommender.objectives`.

        An objective without terms has the term `NO_TERMS`, a zero on all parameters: the other processes wait for a
        backward pass from this one.
        """
        terms = self.model.objectives()[number](batch)
        return terms or {NO_TERMS: torch.stack([p.sum() * 0 for p in self.model.parameters() if p.requires_grad]).sum()}


def share_of(batch: B, team: Team) -> tuple[B, float]:
    """This process's part of a batch, and the factor by which its loss enters the mean over processes.

    With the factor, the mean over processes of a mean over examples is the mean over the whole batch.
    """
    part = batch.share(team.rank, team.size)
    return part, 1.0 if part is batch else len(part) * team.size / len(batch)


def align_buffers(model: nn.Module, team: Team) -> None:
    """Gives every process the main one's saved buffers (running means and the like), so that all evaluate one model."""
    parameters = {name for name, _ in model.named_parameters()}
    for name, tensor in model.state_dict().items() if team.size > 1 else ():
        if name not in parameters:
            team.share_out(tensor, 0)


def merged(part: Evaluation, users: np.ndarray, team: Team) -> Evaluation:
    """One evaluation from those of disjoint groups of users.

    Args:
        part: of this process's group.
        users: int64 [n], the users of all groups who have truth, in order.
        team: the groups' processes.
    """
    if team.size == 1:
        return part
    # Values travel as sums with zeros, which are exact, so that the result does not depend on the number of processes.
    own = np.nan_to_num(np.stack(list(part.per_user.values())))
    values = team.sum(torch.from_numpy(own).to(team.device)).cpu().numpy()
    absent = np.ones(values.shape[1], dtype=bool)
    absent[users] = False
    values[:, absent] = np.nan
    first_rank = team.minimum(torch.from_numpy(part.first_rank).to(team.device)).cpu().numpy()
    return Evaluation.of(dict(zip(part.per_user, values, strict=True)), users, first_rank)
