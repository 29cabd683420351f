"""What a model that is split over processes leaves on disk: one ordinary checkpoint, and snapshots by process."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from augrec.artefacts.files import atomic_path
from recsys.training.early_stopping import Selection
from recsys.training.sharded.model import ShardedLightGCN
from recsys.training.snapshot import NAME, Progress, Snapshot, random_states, tensors_of

PART = re.compile(r"-(\d+)-(\d+)-of-(\d+)$")


def save_gathered(model: ShardedLightGCN, path: Path) -> None:
    """Writes the whole model as one safetensors file, as an unsplit one would; every process calls it.

    The main process takes the others' rows one process at a time and appends them to the file.
    """
    layout, team, dim = model.layout, model.layout.team, model.embedding_dim
    tables = {
        "item_embedding": (model.item_embedding, layout.items),
        "user_embedding": (model.user_embedding, layout.users),
    }
    if not team.main:
        for table, _ in tables.values():
            dist.send(table.detach().contiguous(), dst=0)
        return
    header, offset = {}, 0
    for name, (table, ranges) in tables.items():
        size = int(ranges.bounds[-1]) * dim * table.element_size()
        header[name] = {"dtype": "F32", "shape": [int(ranges.bounds[-1]), dim], "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for table, ranges in tables.values():
            for rank in range(team.size):
                rows = table.detach() if rank == 0 else table.new_empty(ranges.count(rank), dim)
                if rank:
                    dist.recv(rows, src=rank)
                file.write(rows.cpu().contiguous().numpy().tobytes())


@dataclass
class ShardedSnapshot(Snapshot):
    """One file per process and epoch. Those of an epoch count once all of them are there; then older ones go."""

    def _part(self, epoch: int) -> Path:
        return self.folder / f"{Path(NAME).stem}-{epoch}-{self.team.rank}-of-{self.team.size}.safetensors"

    def exists(self) -> bool:
        """See `Snapshot.exists`: whether any process has written one, be it whole or not."""
        return any(self.folder.glob(f"{Path(NAME).stem}*"))

    def save(
        self,
        progress: Progress,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        selection: Selection,
        generators: Mapping[str, torch.Generator],
    ) -> None:
        """See `Snapshot.save`."""
        tensors = tensors_of(model, optimiser, selection, generators)
        tensors |= {f"random/{name}/{self.team.rank}": state for name, state in random_states().items()}
        self._write(self._part(progress.epoch), tensors, progress, selection)
        self.team.gather(None)  # all have written
        for epoch, path in self._parts():
            if self.team.main and epoch != progress.epoch:
                path.unlink()

    def _parts(self) -> list[tuple[int, Path]]:
        parts = [(PART.search(path.stem), path) for path in self.folder.glob(f"{Path(NAME).stem}-*.safetensors")]
        return [(int(match[1]), path) for match, path in parts if match and int(match[3]) == self.team.size]

    def _found(self) -> Path | None:
        epochs = [epoch for epoch, _ in self._parts()]
        whole = [epoch for epoch in set(epochs) if epochs.count(epoch) == self.team.size]
        latest = self.team.decide(max(whole, default=None))
        return None if latest is None else self._part(latest)
