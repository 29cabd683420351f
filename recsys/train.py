"""One training from data to files: fit, select on validation, evaluate once on test, write.

Writes into its folder: train.log (as it goes), model.safetensors, per_user.parquet, and metrics.json last, which
therefore marks a finished training.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.torch import save_file

from artefacts.errors import AugrecError
from artefacts.files import atomic_path, read_json, write_json, write_parquet
from artefacts.progress import Ticker
from recsys.augmentation import SideInformation
from recsys.blending import fit_blend
from recsys.data.dataset import Dataset
from recsys.device import accelerator_for, own_randomness_and_threads, peak_memory_mb, reset_peak_memory
from recsys.distributed import ALONE, Team, merged
from recsys.evaluate import Evaluation, default_chunk, evaluate
from recsys.launch import launch, launched
from recsys.models.base import ClosedFormRecommender, Recommender, TrainedRecommender
from recsys.models.blend import Blend
from recsys.models.options.base import FamilyOptions
from recsys.models.options.blend import BlendOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.mf_bpr import MfBprOptions
from recsys.models.registry import family_of
from recsys.optimise import Log, Optimisation
from recsys.options import EvaluationOptions
from recsys.out_of_memory import Explanation, explained
from recsys.sampling import seeded
from recsys.sharded_evaluation import evaluate_sharded
from recsys.sharded_files import ShardedSnapshot, save_gathered
from recsys.sharded_model import ShardedLightGCN, check_shardable
from recsys.snapshot import Progress, Snapshot
from recsys.sparse_operator import use_backend
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
    learns = issubclass(family_of(model.family).model_class(), TrainedRecommender)
    if learns and training.processes > 1 and not launched():
        if training.shard:
            check_shardable(model, training.processes)
        given = (dataset, model, side, training, evaluation, seed, out, variant, fingerprint, judge_test)
        launch(
            _train_as_one_of_several,
            given,
            processes=training.processes,
            device=training.device,
            threads=training.threads,
            ticker=ticker,
        )
        return read_json(out / "metrics.json")
    accelerator = accelerator_for(training)
    team = Team.of(accelerator)
    training = training.model_copy(update={"processes": team.size if learns else 1})
    shard = learns and training.shard
    if shard:
        check_shardable(model, team.size)
    identity = {"variant": variant, "model": model.family, "seed": seed, "fingerprint": fingerprint}
    options = {"model": model.model_dump(mode="json"), "training": training.model_dump(mode="json")}
    if team.main:
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").unlink(missing_ok=True)
    snapshot = (ShardedSnapshot if shard else Snapshot)(out, {**identity, **options}, team)
    explanation = _explanation(dataset, model, training, evaluation, team if shard else ALONE)
    reset_peak_memory(accelerator.device)
    begun = time.monotonic()
    log_path = out / "train.log" if team.main else Path(os.devnull)
    with (
        log_path.open("a" if snapshot.exists() else "w", encoding="utf-8", buffering=1) as log_file,
        own_randomness_and_threads(seeded(seed, "layers").initial_seed(), training.threads),
    ):
        log: Log = lambda line: print(line, file=log_file)  # noqa: E731
        log(f"{json.dumps(identity)}\n{json.dumps(options)}")
        with explained("building the model", explanation):
            generator = seeded(seed, "parameters")
            recommender: Recommender
            if shard:
                assert isinstance(model, LightGcnOptions | MfBprOptions)
                recommender = ShardedLightGCN(dataset, model, generator, team)
            else:
                recommender = family_of(model.family).build(dataset, side, model, generator)
            use_backend(recommender, training.backend)
            recommender.to(accelerator.device)
        judge = Judge(recommender, dataset, training, evaluation, team, explanation)
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
                out_of_memory=explanation,
                sharded=shard,
            )
            optimisation.run()
            progress, best_epoch = optimisation.progress, optimisation.selection.best_epoch
        elif isinstance(recommender, ClosedFormRecommender):
            with explained("building the model", explanation):
                recommender.fit(dataset)
            if ticker is not None:
                ticker.advance()
        blended: dict[str, Any] = {}
        if isinstance(recommender, Blend) and isinstance(model, BlendOptions):

            def train_member(member: FamilyOptions, name: str, own: str) -> None:
                part = out / "members" / name
                settings = (training, evaluation, seed, part, f"{variant}/{name}", own)
                train(dataset, member, side, *settings, judge_test=False)

            blended = fit_blend(
                recommender,
                model,
                dataset,
                training,
                evaluation,
                folder=out / "members",
                fingerprint=fingerprint,
                train_member=train_member,
                device=accelerator.device,
            )
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
        "parameters": sum(team.gather(_size(recommender))) if shard else _size(recommender),
        "seconds": seconds,
        "seconds_per_epoch": statistics.median(epoch["seconds"] for epoch in progress.history)
        if progress.history
        else None,
        "processes": training.processes,
        "peak_memory_mb": max(team.gather(peak_memory_mb(accelerator.device))),
        "device": str(accelerator.device),
        "n_test_users": test.n_users if test else 0,
        "n_valid_users": valid.n_users if valid else 0,
        **({"blend": blended} if blended else {}),
    }
    metrics = team.decide(metrics)
    _write(out, recommender, test, metrics, team, keep=training.keep_checkpoint)
    snapshot.discard()
    team.gather(None)  # nobody goes on before the files are there
    return metrics


def _train_as_one_of_several(*given: Any) -> None:
    """`train` in a process that `launch` started; the last argument is its ticker."""
    *arguments, judge_test, ticker = given
    settings: tuple[Any, ...] = (*arguments, ticker)
    train(*settings, judge_test=judge_test)


def _explanation(
    dataset: Dataset, model: FamilyOptions, training: TrainingOptions, evaluation: EvaluationOptions, team: Team
) -> Explanation:
    """What this training needs on each device."""
    n_users, n_items = -(-dataset.n_users // team.size), -(-dataset.n_items // team.size)
    return Explanation(
        n_users=n_users,
        n_items=n_items,
        dim=getattr(model, "dim", 0),
        batch_size=training.batch_size,
        chunk=evaluation.chunk or default_chunk(n_items),
        candidates=n_items,
    )


class Judge:
    """Evaluates a model as it stands on a split, always in the same way."""

    def __init__(
        self,
        recommender: Recommender,
        dataset: Dataset,
        training: TrainingOptions,
        options: EvaluationOptions,
        team: Team,
        explanation: Explanation,
    ) -> None:
        self.recommender, self.dataset, self.options = recommender, dataset, options
        self.team, self.explanation = team, explanation
        self.cutoffs = sorted({*options.cutoffs, int(training.monitor.rpartition("@")[2])})

    def __call__(self, split: str) -> Evaluation:
        """The evaluation on "valid" or "test"."""
        self.recommender.eval()
        options: dict[str, Any] = {
            "cutoffs": self.cutoffs,
            "mask_valid_at_test": self.options.masks_validation,
            "tie_seed": self.options.tie_seed,
            "chunk": self.options.chunk,
            "official": self.options.protocol == "official",
            "device": self.team.device,
        }
        with explained("evaluation", self.explanation):
            if isinstance(self.recommender, ShardedLightGCN):
                result = evaluate_sharded(self.recommender, self.dataset, split, **options)
            else:
                users = np.flatnonzero(np.diff(self.dataset.starts(split)))
                own = users[self.team.rank :: self.team.size] if self.team.size > 1 else None
                part = evaluate(self.recommender.scores, self.dataset, split, users=own, **options)
                result = merged(part, users, self.team)
        if not result.n_users:
            raise AugrecError(f"no user has a {split} interaction", remedy="check dataset.split and dataset.k_core")
        return result


def _size(recommender: Recommender) -> int:
    learned = [p for p in recommender.parameters() if p.requires_grad] or recommender.state_dict().values()
    return sum(tensor.numel() for tensor in learned)


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _write(
    out: Path, recommender: Recommender, test: Evaluation | None, metrics: dict[str, Any], team: Team, *, keep: bool
) -> None:
    if keep and isinstance(recommender, ShardedLightGCN):
        save_gathered(recommender, out / "model.safetensors")
    if not team.main:
        return
    if keep and not isinstance(recommender, ShardedLightGCN):
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in recommender.state_dict().items()}
        with atomic_path(out / "model.safetensors") as temporary:
            save_file(state, temporary)
    if test is not None:
        users = np.arange(len(next(iter(test.per_user.values()))), dtype=np.int32)
        write_parquet(out / "per_user.parquet", pa.table({"user": users, **test.per_user}))
    write_json(out / "metrics.json", metrics)
