"""Snapshots of an unfinished training: whatever the next epoch depends on, so that going on equals never stopping.

One safetensors file: tensors under `model/`, `best/`, `optimiser/<parameter>/` and `random/`, the rest as JSON in its
metadata. It is replaced atomically and removed when the training is done. Several processes that hold the same model
share one file, written by the main one; each finds its own random state in it.
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

from augrec.artefacts.files import atomic_path, remove_file
from recsys.training.distributed import SINGLE_PROCESS, Team
from recsys.training.early_stopping import Selection

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
        folder: of the training.
        identity: what makes two trainings the same one; another training's file is not continued.
        team: the processes of the training.

    Attributes:
        refused: why a file that is there was not continued, in words.
    """

    folder: Path
    identity: dict[str, Any]
    team: Team = SINGLE_PROCESS
    refused: str | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / NAME

    def exists(self) -> bool:
        """Whether there is something to go on from."""
        return self.path.exists()

    def save(
        self,
        progress: Progress,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        selection: Selection,
        generators: Mapping[str, torch.Generator],
    ) -> None:
        """Writes everything the next epoch depends on; every process of the team calls it."""
        states = self.team.gather(random_states())
        if self.team.main:
            tensors = tensors_of(model, optimiser, selection, generators)
            for rank, state in enumerate(states):
                tensors |= {f"random/{name}/{rank}": tensor for name, tensor in state.items()}
            self._write(self.path, tensors, progress, selection)

    def _write(self, path: Path, tensors: dict[str, Tensor], progress: Progress, selection: Selection) -> None:
        rest = {
            "identity": self.identity,
            "progress": vars(progress),
            "selection": [selection.best, selection.best_epoch, selection.stale],
        }
        with atomic_path(path) as temporary:
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
        path = self._found()
        if path is None:
            return None
        try:
            with safe_open(path, "pt") as file:
                rest = json.loads(file.metadata()["rest"])
                if rest["identity"] != self.identity:
                    changes = ", ".join(differences(rest["identity"], self.identity))
                    self.refused = f"{path.name} is of another training ({changes})"
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except FileNotFoundError:
            return None
        except (SafetensorError, KeyError, ValueError):
            self.refused = f"{path.name} cannot be read"
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
            generator.set_state(tensors[f"generator/{name}"])
        torch.set_rng_state(tensors[f"random/torch/{self.team.rank}"])
        if f"random/cuda/{self.team.rank}" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors[f"random/cuda/{self.team.rank}"])
        return Progress(**rest["progress"])

    def _found(self) -> Path | None:
        return self.path

    def discard(self) -> None:
        """Removes the file; with several processes, the main one does."""
        if self.team.main:
            for path in self.folder.glob(f"{Path(NAME).stem}*"):
                remove_file(path)


def differences(before: Mapping[str, Any], now: Mapping[str, Any], under: str = "") -> list[str]:
    """Where two nested mappings differ, as `key was 1, is 2`; null is what is not there."""
    found = []
    for key in dict.fromkeys([*before, *now]):
        old, new, name = before.get(key), now.get(key), f"{under}{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{name}.")
        elif old != new:
            was, is_ = ("null" if value is None else value for value in (old, new))
            found.append(f"{name} was {was}, is {is_}")
    return found


def tensors_of(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    selection: Selection,
    generators: Mapping[str, torch.Generator],
) -> dict[str, Tensor]:
    """What a snapshot keeps of a training, by name, without the global random state."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in selection.state.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{name}": torch.as_tensor(value) for name, value in state.items()}
    return tensors | {f"generator/{name}": generator.get_state() for name, generator in generators.items()}


def random_states() -> dict[str, Tensor]:
    """The states of torch's global generators in this process."""
    states = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
