"""How many trainings fit into memory side by side: a cautious guess, from sizes that are known before training."""

from __future__ import annotations

from typing import Any

from augrec.artefacts.matrices import SUFFIX
from augrec.artefacts.memory import free_memory
from augrec.pipeline.config.run_config import Config, Variant
from augrec.pipeline.side.side_information import side_files
from augrec.pipeline.stages.base import Run, require_marker
from augrec.pipeline.stages.beside import default_workers
from augrec.pipeline.training.variant_training import uses_side
from recsys.models.registry import FAMILIES

MB = 2**20
PROCESS_MB = 600
"""What a worker holds before it has read anything: Python, torch, its threads."""
SHARE = 0.8
"""The part of the free memory that is given away."""


def workers_that_fit(run: Run, free_mb: float | None = None) -> int:
    """How many trainings of this run may go on side by side; at least one.

    A number in the config wins. Else it is one per core (or the accelerator), and fewer where the largest training,
    times that number, would not fit into the free memory.
    """
    most = default_workers(run.config)
    there = free_memory()
    free = free_mb if free_mb is not None or there is None else there / MB
    if run.config.workers is not None or free is None:
        return most
    largest = max(estimate_mb(run, variant) for variant in run.config.variants.values())
    return max(1, min(most, int(SHARE * free / largest)))


def estimate_mb(run: Run, variant: Variant) -> float:
    """MiB that one training of the variant may take on the CPU, from above.

    Parameters with gradients and two moments; two copies of all embeddings per layer for the backward pass; features as
    they are, normalised and projected; a chunk of scores with its ranking. Models in closed form, and those that
    compare all items with each other, hold square matrices of the items.
    """
    config: Config = run.config
    counts: dict[str, Any] = require_marker(run, "prepare").details
    users, items, edges = (int(counts[name]) for name in ("users", "items", "interactions"))
    model = config.models[variant.model]
    dim, layers = int(getattr(model, "dim", 0)), int(getattr(model, "layers", 2) or 0)
    embeddings = 4 * dim * (users + items) * (4 + 2 * (layers + 1))
    graph = 60 * edges
    square = 0 if dim and "item" not in FAMILIES[model.family].takes else 3 * 8 * items**2
    files = side_files(run.folder, variant) if uses_side(config, variant) else []
    features = 4 * sum(path.stat().st_size for path in files if path.suffix == SUFFIX)
    scores = 4 * 4 * min(config.evaluation.chunk or users, users) * items
    return PROCESS_MB + (embeddings + graph + square + features + scores) / MB
