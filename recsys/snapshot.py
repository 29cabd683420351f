"""Snapshots of an unfinished training: whatever the next epoch depends on, so that going on equals never stopping.

One safetensors file: tensors under `model/`, `best/`, `optimiser/<parameter>/` and `random/`, the rest as JSON in its
metadata. It is replaced atomically and removed when the training is done.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from artefacts.files import atomic_path
from recsys.selection import Selection

NAME = "unfinished.safetensors"


@dataclass
class Progress:
    """Where a training stands; `history` is the list that ends up in metrics.json."""

    epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Snapshot:
    """Saves to and restores from one file.

    Args:
        path: the file.
        identity: what makes two trainings the same one; another training's file is ignored.
    """

    path: Path
    identity: dict[str, Any]

    def save(
        self,
        progress: Progress,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        selection: Selection,
        generators: Mapping[str, torch.Generator],
    ) -> None:
        """Writes everything the next epoch depends on."""
        tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in selection.state.items()}
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{index}/{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors |= {f"random/{name}": generator.get_state() for name, generator in generators.items()}
        tensors["random/torch"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random/cuda"] = torch.cuda.get_rng_state()
        rest = {
            "identity": self.identity,
            "progress": vars(progress),
            "selection": [selection.best, selection.best_epoch, selection.stale],
        }
        with atomic_path(self.path) as temporary:
            save_file(
                {name: t.detach().cpu().clone() for name, t in tensors.items()}, temporary, {"rest": json.dumps(rest)}
            )

    def restore(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        selection: Selection,
        generators: Mapping[str, torch.Generator],
    ) -> Progress | None:
        """Puts everything back and says where to go on; None when there is no snapshot of this training."""
        try:
            with safe_open(self.path, "pt") as file:
                rest = json.loads(file.metadata()["rest"])
                if rest["identity"] != self.identity:
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (FileNotFoundError, SafetensorError):
            return None
        device = next(model.parameters()).device
        model.load_state_dict(_under("model/", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimiser/", tensors).items():
            index, _, key = name.partition("/")
            state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        selection.best, selection.best_epoch, selection.stale = rest["selection"]
        selection.state = {name: tensor.to(device) for name, tensor in _under("best/", tensors).items()}
        for name, generator in generators.items():
            generator.set_state(tensors[f"random/{name}"])
        torch.set_rng_state(tensors["random/torch"])
        if "random/cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random/cuda"])
        return Progress(**rest["progress"])

    def discard(self) -> None:
        """Removes the file."""
        self.path.unlink(missing_ok=True)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
