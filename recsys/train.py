"""One training from data to files: fit, select on validation, evaluate once on test, write.

Writes into its folder: train.log (as it goes), model.safetensors, per_user.parquet, and metrics.json last, which
therefore marks a finished training.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import save_file

from artefacts.errors import AugrecError
from artefacts.files import atomic_path, write_json, write_parquet
from artefacts.progress import Ticker
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.device import accelerator_for, own_randomness_and_threads, peak_memory_mb, reset_peak_memory
from recsys.evaluate import Evaluation, evaluate
from recsys.models.base import ClosedFormRecommender, Recommender, TrainedRecommender
from recsys.models.options.base import FamilyOptions
from recsys.models.registry import family_of
from recsys.optimise import Log, Optimisation
from recsys.options import EvaluationOptions
from recsys.sampling import seeded
from recsys.snapshot import NAME as SNAPSHOT
from recsys.snapshot import Progress, Snapshot
from recsys.training_options import TrainingOptions


def train(
    dataset: Dataset,
    model: FamilyOptions,
    side: SideInformation,
    training: TrainingOptions,
    evaluation: EvaluationOptions,
    seed: int,
    out: Path,
    variant: str,
    fingerprint: str,
    ticker: Ticker | None = None,
    *,
    judge_test: bool = True,
) -> dict[str, Any]:
    """Trains one model with one seed and writes its folder. A killed training goes on where its last snapshot was.

    Initial parameters and observed triplets depend on the seed alone, so two variants that differ in what they are
    given start alike and see the same interactions.

    Args:
        dataset: `dataset.test` is not looked at before the epoch is chosen.
        model: family and its options; its `training` overrides `training`.
        side: features and suggested edges.
        seed: of this training.
        out: the folder.
        variant, fingerprint: copied into metrics.json; a changed fingerprint voids a snapshot.
        ticker: advanced once per epoch (a closed form: once).
        judge_test: whether the test split is evaluated at the end. A search for options leaves it alone.

    Returns:
        The content of metrics.json.

    Raises:
        AugrecError: the loss is not finite; the data lack validation or test interactions; the device does not exist.
    """
    side.check(dataset.n_users, dataset.n_items)
    training = model.training.applied_to(training) if model.training else training
    identity = {"variant": variant, "model": model.family, "seed": seed, "fingerprint": fingerprint}
    options = {"model": model.model_dump(mode="json"), "training": training.model_dump(mode="json")}
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.json").unlink(missing_ok=True)
    snapshot = Snapshot(out / SNAPSHOT, {**identity, **options})
    accelerator = accelerator_for(training)
    reset_peak_memory(accelerator.device)
    begun = time.monotonic()
    with (
        (out / "train.log").open("a" if snapshot.path.exists() else "w", encoding="utf-8", buffering=1) as log_file,
        own_randomness_and_threads(seeded(seed, "layers").initial_seed(), training.threads),
    ):
        log: Log = lambda line: print(line, file=log_file)  # noqa: E731
        log(f"{json.dumps(identity)}\n{json.dumps(options)}")
        recommender = family_of(model.family).build(dataset, side, model, seeded(seed, "parameters"))
        recommender.to(accelerator.device)
        judge = Judge(recommender, dataset, training, evaluation, accelerator.device)
        progress, best_epoch = Progress(), 0
        if isinstance(recommender, TrainedRecommender):
            optimisation = Optimisation(
                recommender,
                dataset,
                side,
                model,
                training,
                accelerator=accelerator,
                validate=lambda: judge("valid").mean,
                seed=seed,
                snapshot=snapshot,
                log=log,
                ticker=ticker,
            )
            optimisation.run()
            progress, best_epoch = optimisation.progress, optimisation.selection.best_epoch
        elif isinstance(recommender, ClosedFormRecommender):
            recommender.fit(dataset)
            if ticker is not None:
                ticker.advance()
        seconds = progress.seconds or time.monotonic() - begun
        valid = judge("valid") if len(dataset.valid) else None
        test = judge("test") if judge_test else None
        if test is not None:
            log("test  " + "  ".join(f"{name} {value:.5f}" for name, value in test.mean.items()))
    metrics = {
        **identity,
        "valid": _finite(valid.mean) if valid else {},
        "test": _finite(test.mean) if test else {},
        "best_epoch": best_epoch,
        "epochs": progress.epoch,
        "history": progress.history,
        "parameters": _size(recommender),
        "seconds": seconds,
        "peak_memory_mb": peak_memory_mb(accelerator.device),
        "device": str(accelerator.device),
        "n_test_users": test.n_users if test else 0,
        "n_valid_users": valid.n_users if valid else 0,
    }
    _write(out, recommender, test, metrics, keep=training.keep_checkpoint)
    snapshot.discard()
    return metrics


class Judge:
    """Evaluates a model as it stands on a split, always in the same way."""

    def __init__(
        self,
        recommender: Recommender,
        dataset: Dataset,
        training: TrainingOptions,
        options: EvaluationOptions,
        device: torch.device,
    ) -> None:
        self.recommender, self.dataset, self.options, self.device = recommender, dataset, options, device
        self.cutoffs = sorted({*options.cutoffs, int(training.monitor.rpartition("@")[2])})

    def __call__(self, split: str) -> Evaluation:
        """The evaluation on "valid" or "test"."""
        self.recommender.eval()
        result = evaluate(
            self.recommender.scores,
            self.dataset,
            split,
            cutoffs=self.cutoffs,
            mask_valid_at_test=self.options.masks_validation,
            tie_seed=self.options.tie_seed,
            chunk=self.options.chunk,
            official=self.options.protocol == "official",
            device=self.device,
        )
        if not result.n_users:
            raise AugrecError(f"no user has a {split} interaction", remedy="check dataset.split and dataset.k_core")
        return result


def _size(recommender: Recommender) -> int:
    learned = [p for p in recommender.parameters() if p.requires_grad] or recommender.state_dict().values()
    return sum(tensor.numel() for tensor in learned)


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _write(
    out: Path, recommender: Recommender, test: Evaluation | None, metrics: dict[str, Any], *, keep: bool
) -> None:
    if keep:
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in recommender.state_dict().items()}
        with atomic_path(out / "model.safetensors") as temporary:
            save_file(state, temporary)
    if test is not None:
        users = np.arange(len(next(iter(test.per_user.values()))), dtype=np.int32)
        write_parquet(out / "per_user.parquet", pa.table({"user": users, **test.per_user}))
    write_json(out / "metrics.json", metrics)
