"""One training from data to files: fit, select on validation, evaluate once on test, write.

Writes into its folder: train.log (as it goes), model.safetensors, per_user.parquet, and metrics.json last, which
therefore marks a finished training.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.torch import save_file

from augrec.artefacts.confinement import check_inside
from augrec.artefacts.energy import EnergyMeter
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import atomic_path, read_json, write_json, write_parquet
from augrec.artefacts.metrics import Metric
from augrec.artefacts.progress import Ticker
from augrec.artefacts.run_folder import TrainingFolder
from augrec.artefacts.trainings import stored_means
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.data.noise import false_interactions, with_false_interactions, write_noise
from recsys.device import accelerator_for, own_randomness_and_threads, peak_memory_mb, reset_peak_memory
from recsys.evaluation.ranking import default_chunk
from recsys.evaluation.result import Evaluation
from recsys.graph.sparse_operator import use_backend
from recsys.models.base import Fitted, Recommender
from recsys.models.build import build_model
from recsys.models.options.base import FamilyOptions
from recsys.models.options.lightgcn import LightGcnOptions
from recsys.models.options.mf_bpr import MfBprOptions
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.seeds import seeded
from recsys.training.distributed import SINGLE_PROCESS, Team
from recsys.training.job import FitJob, Log, TrainingJob
from recsys.training.judge import Judge
from recsys.training.launch import launch, launched
from recsys.training.memory import Explanation, explained
from recsys.training.optimise import optimise
from recsys.training.sharded.model import ShardedLightGCN, check_shardable
from recsys.training.sharded.snapshot import ShardedSnapshot, save_gathered
from recsys.training.snapshot import Snapshot
from recsys.training.start import Start


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
    start: Start | None = None,
) -> dict[str, Any]:
    """Trains one model with one seed and writes its folder. A killed training goes on where its last snapshot was.

    Initial parameters and observed triplets depend on the seed alone, so two variants that differ in what they are
    given start alike and see the same interactions.

    Args:
        dataset: its test interactions are sealed until the epoch is chosen, and throughout without `judge_test`.
        model: family and its options; its `training` overrides `training`.
        side: features and suggested edges.
        seed: of this training.
        out: the folder.
        variant, fingerprint: copied into metrics.json; a changed fingerprint voids a snapshot.
        ticker: advanced once per epoch (a closed form: once).
        judge_test: whether the test split is evaluated at the end. A search for options leaves it alone.
        start: embeddings to begin with, instead of those that the seed draws.

    Returns:
        The content of metrics.json.

    Raises:
        AugrecError: the loss is not finite; the data lack validation or test interactions; the device does not exist.
    """
    side.check(dataset.n_users, dataset.n_items)
    training = model.training_within(training)
    if not judge_test:
        dataset = dataset.sealed()
    noise = false_interactions(dataset, training.noise, seed)
    dataset = with_false_interactions(dataset, noise.pairs)
    job = TrainingJob(
        dataset, model, side, training, evaluation, seed, out, variant, fingerprint, judge_test, noise, start
    )
    if job.learns and training.processes > 1 and not launched():
        if training.shard:
            check_shardable(model, training.processes)
        launch(
            _run,
            (job,),
            processes=training.processes,
            device=training.device,
            threads=training.threads,
            ticker=ticker,
        )
        return read_json(TrainingFolder(out).metrics)
    return _run(job, ticker)


def _run(job: TrainingJob, ticker: Ticker | None) -> dict[str, Any]:
    """Trains in this process: the only one, or one that `launch` started."""
    return TrainingProcess(job, ticker).run()


class TrainingProcess:
    """One training, in the one process it has or in one of several."""

    def __init__(self, job: TrainingJob, ticker: Ticker | None) -> None:
        self.accelerator = accelerator_for(job.training)
        self.team = Team.of(self.accelerator)
        self.training = job.training.model_copy(update={"processes": self.team.size if job.learns else 1})
        self.shard = job.learns and job.training.shard
        self.begun: dict[str, int] = {}
        if self.shard:
            check_shardable(job.model, self.team.size)
            if job.start is not None:
                raise UsageError(
                    "a model that is split over processes cannot start from another's embeddings",
                    where="training.shard",
                    remedy="set training.shard=false, or leave start_from out",
                )
        self.job, self.ticker = job, ticker
        self.identity = {
            "variant": job.variant,
            "model": job.model.family,
            "seed": job.seed,
            "fingerprint": job.fingerprint,
        }
        self.options = {
            "model": job.model.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json"),
        }
        self.choosing = job.dataset.sealed()
        own = self.team if self.shard else SINGLE_PROCESS
        self.explanation = _explanation(job.dataset, job.model, self.training, job.evaluation, own)

    def run(self) -> dict[str, Any]:
        """Trains, judges, writes; returns the content of metrics.json."""
        job, team = self.job, self.team
        if team.main:
            check_inside(TrainingFolder(job.out).log)
            job.out.mkdir(parents=True, exist_ok=True)
            TrainingFolder(job.out).metrics.unlink(missing_ok=True)
            write_noise(TrainingFolder(job.out).noise, job.noise.pairs)
        snapshot = (ShardedSnapshot if self.shard else Snapshot)(job.out, {**self.identity, **self.options}, team)
        reset_peak_memory(self.accelerator.device)
        begun = time.monotonic()
        log_path, resumed = TrainingFolder(job.out).log if team.main else Path(os.devnull), snapshot.exists()
        with (
            EnergyMeter() as meter,
            log_path.open("a" if resumed else "w", encoding="utf-8", buffering=1) as log_file,
            own_randomness_and_threads(seeded(job.seed, "layers").initial_seed(), self.training.threads),
        ):
            log: Log = lambda line: print(line, file=log_file)  # noqa: E731
            log(f"{json.dumps(self.identity)}\n{json.dumps(self.options)}")
            recommender = self._built(log)
            judge = self._judge(recommender, self.choosing)
            fitted = recommender.fit(self._fit_job(judge, snapshot, log))
            if self.ticker is not None and not fitted.epochs:
                self.ticker.advance()
            seconds = fitted.seconds or time.monotonic() - begun
            valid = judge("valid") if len(job.dataset.valid) else None
            test = self._judge(recommender, job.dataset)("test") if job.judge_test else None
            if test is not None:
                log("test  " + "  ".join(f"{name} {value:.5f}" for name, value in test.mean.items()))
        metrics = team.decide(self._metrics(recommender, fitted, valid, test, seconds))
        metrics["energy_joules"] = None if resumed else meter.joules
        _write(job.out, recommender, test, metrics, team, keep=self.training.keep_checkpoint)
        snapshot.discard()
        team.gather(None)  # nobody goes on before the files are there
        return metrics

    def _judge(self, recommender: Recommender, dataset: Dataset) -> Judge:
        """What evaluates the model on the splits of `dataset` that can be read."""
        job = self.job
        return Judge(recommender, job.model.judged, dataset, self.training, job.evaluation, self.team, self.explanation)

    def _built(self, log: Log) -> Recommender:
        """The model with its initial parameters, on the device."""
        job = self.job
        recommender: Recommender
        with explained("building the model", self.explanation):
            generator = seeded(job.seed, "parameters")
            if self.shard:
                assert isinstance(job.model, LightGcnOptions | MfBprOptions)
                recommender = ShardedLightGCN(self.choosing, job.model, generator, self.team)
            else:
                recommender = build_model(self.choosing, job.side, job.model, generator)
            if job.start is not None:
                self.begun = job.start.put_into(recommender, job.model.family)
                log(f"starts from {job.start.where}: {self.begun['users']} users, {self.begun['items']} items")
            use_backend(recommender, self.training.backend)
            return recommender.to(self.accelerator.device)

    def _fit_job(self, judge: Judge, snapshot: Snapshot, log: Log) -> FitJob:
        return FitJob(
            **{**vars(self.job), "dataset": self.choosing, "training": self.training},
            accelerator=self.accelerator,
            validate=lambda: judge("valid").mean,
            optimise=optimise,
            train_member=self._train_member,
            snapshot=snapshot,
            log=log,
            ticker=self.ticker,
            memory=self.explanation,
        )

    def _train_member(self, member: FamilyOptions, name: str, fingerprint: str) -> Path:
        """See `FitJob.train_member`; one that is there with the same fingerprint is not trained again."""
        job, folder = self.job, TrainingFolder(self.job.out).member(name).root
        if not _finished(folder, fingerprint):
            train(
                self.choosing,
                member,
                job.side,
                self.training.model_copy(update={"noise": 0.0}),  # the job's data have it already
                job.evaluation,
                job.seed,
                folder,
                f"{job.variant}/{name}",
                fingerprint,
                judge_test=False,
            )
        return folder

    def _metrics(
        self,
        recommender: Recommender,
        fitted: Fitted,
        valid: Evaluation | None,
        test: Evaluation | None,
        seconds: float,
    ) -> dict[str, Any]:
        """The content of metrics.json."""
        history, device = list(fitted.history), self.accelerator.device
        size = _size(recommender)
        evaluations = [part for part in (valid, test) if part is not None]
        names = dict.fromkeys(name for part in evaluations for name in part.mean)
        settings = dict(evaluations[-1].settings) if evaluations else {}
        return {
            **self.identity,
            "judged": self.job.model.judged.value,
            "lower_is_better": [name for name in names if Metric.parse(name).lower_is_better],
            **({"judged_with": settings} if settings else {}),
            "valid": stored_means(valid.mean) if valid else {},
            "test": stored_means(test.mean) if test else {},
            "deterministic": self.job.deterministic,
            "best_epoch": fitted.best_epoch,
            "epochs": fitted.epochs,
            "history": history,
            "parameters": sum(self.team.gather(size)) if self.shard else size,
            "seconds": seconds,
            "seconds_per_epoch": statistics.median(epoch["seconds"] for epoch in history) if history else None,
            "processes": self.training.processes,
            "peak_memory_mb": max(self.team.gather(peak_memory_mb(device))),
            "device": str(device),
            "n_test_users": test.n_users if test else 0,
            "n_valid_users": valid.n_users if valid else 0,
            **({"noise": self._noise()} if self.training.noise else {}),
            **({"start": self.begun} if self.begun else {}),
            **fitted.details,
        }

    def _noise(self) -> dict[str, Any]:
        noise = self.job.noise
        return {"share": self.training.noise, "false": len(noise.pairs), "held_out": noise.held_out}


def _explanation(
    dataset: Dataset, model: FamilyOptions, training: TrainingOptions, evaluation: EvaluationOptions, team: Team
) -> Explanation:
    """What this training needs on each device."""
    n_users, n_items = -(-dataset.n_users // team.size), -(-dataset.n_items // team.size)
    return Explanation(
        n_users=n_users,
        n_items=n_items,
        dim=getattr(model, "dim", 0),
        n_edges=-(-len(dataset.train) // team.size),
        batch_size=training.batch_size,
        chunk=evaluation.chunk or default_chunk(n_items),
        candidates=n_items,
    )


def _finished(folder: Path, fingerprint: str) -> bool:
    there = TrainingFolder(folder)
    if not (there.metrics.exists() and there.model.exists()):
        return False
    return read_json(there.metrics, remedy="delete this file and run again").get("fingerprint") == fingerprint


def _size(recommender: Recommender) -> int:
    learned = [p for p in recommender.parameters() if p.requires_grad] or recommender.state_dict().values()
    return sum(tensor.numel() for tensor in learned)


def _write(
    out: Path, recommender: Recommender, test: Evaluation | None, metrics: dict[str, Any], team: Team, *, keep: bool
) -> None:
    if keep and isinstance(recommender, ShardedLightGCN):
        save_gathered(recommender, TrainingFolder(out).model)
    if not team.main:
        return
    if keep and not isinstance(recommender, ShardedLightGCN):
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in recommender.state_dict().items()}
        with atomic_path(TrainingFolder(out).model) as temporary:
            save_file(state, temporary)
    if test is not None:
        users = np.arange(len(next(iter(test.per_user.values()))), dtype=np.int32)
        write_parquet(TrainingFolder(out).per_user, pa.table({"user": users, **test.per_user}))
    write_json(TrainingFolder(out).metrics, metrics)
