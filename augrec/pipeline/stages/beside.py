"""How many trainings a stage runs side by side on one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augrec.artefacts.cores import usable_cores

if TYPE_CHECKING:
    from augrec.pipeline.config.run_config import Config


def default_workers(config: Config) -> int:
    """How many trainings run side by side: one on an accelerator, else one per CPU core (or per group of threads)."""
    if config.workers is not None:
        return config.workers
    import torch

    device = config.training.device
    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        return 1
    own = [model.training.processes for model in config.models.values() if model.training]
    processes = max(config.training.processes, *own, 1)
    return max(1, usable_cores() // ((config.training.threads or 1) * processes))
