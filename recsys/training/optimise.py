"""The epoch loop of trained models: sample, step, evaluate on validation, keep the best, stop early."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor, nn

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.metrics import Metric
from recsys.batches.base import Batch
from recsys.models.base import Fitted, TrainedRecommender
from recsys.options import TrainingOptions
from recsys.training.distributed import NO_TERMS, Team, align_buffers, averaged, share_of
from recsys.training.early_stopping import Selection
from recsys.training.job import FitJob
from recsys.training.snapshot import Progress, Snapshot
from recsys.training.tensor_memory import kept_memory


def optimise(model: TrainedRecommender, job: FitJob) -> Fitted:
    """Trains a model on the accelerator's device until validation gets no better, and puts its best state back.

    Raises:
        DataError: there is no validation interaction.
        AugrecError: the loss is not finite, or memory ran out.
    """
    return Optimisation(model, job).run()


class Optimisation:
    """One model's way to its best validation epoch.

    Args:
        model: on the accelerator's device.
        job: of the training.
    """

    def __init__(self, model: TrainedRecommender, job: FitJob) -> None:
        job.require_validation("the epoch")
        self.model, self.job, self.team = model, job, Team.of(job.accelerator)
        self.batches = model.batches(job)
        for note in self.batches.notes:
            job.log(note)
        self.optimiser = _optimiser(model, job.training)
        self.selection = Selection(job.training.patience, Metric.parse(job.training.monitor))
        self.progress = Progress()
        self.wrapped: nn.Module | None = None
        if self.team.size > 1 and not model.split:
            self.wrapped = averaged(model, job.accelerator)

    def run(self) -> Fitted:
        """Trains and leaves the model in its best state."""
        job, training = self.job, self.job.training
        if job.snapshot is not None:
            self._go_on(job.snapshot)
        begun = saved = time.monotonic()
        before = self.progress.seconds
        with kept_memory():
            while self.progress.epoch < training.epochs and not self.selection.exhausted:
                self._epoch()
                self.progress.seconds = before + time.monotonic() - begun
                minutes = training.resume_minutes
                due = minutes is not None and time.monotonic() - saved >= 60 * minutes
                if job.snapshot is not None and self.team.decide(due):
                    saved = time.monotonic()
                    job.snapshot.save(self.progress, self.model, self.optimiser, self.selection, job.generators)
        self.model.load_state_dict(self.selection.state)
        self.model.eval()
        progress = self.progress
        return Fitted(self.selection.best_epoch, progress.epoch, progress.seconds, progress.history)

    def _go_on(self, snapshot: Snapshot) -> None:
        """Takes up an unfinished training where its snapshot was."""
        found = snapshot.restore(self.model, self.optimiser, self.selection, self.job.generators)
        if snapshot.refused:
            self.job.log(f"starting anew: {snapshot.refused}")
        if len(set(self.team.gather(found and found.epoch))) > 1:
            raise AugrecError(
                "the processes of this training do not find the same snapshot",
                where=snapshot.folder,
                remedy="delete unfinished* there, and give all processes the same disk",
            )
        if found is not None:
            self.progress = found
            self.job.log(f"going on after epoch {found.epoch}")
            if self.job.ticker is not None:
                self.job.ticker.advance(found.epoch)

    def _epoch(self) -> None:
        begun = time.monotonic()
        epoch = self.progress.epoch + 1
        terms = self._train_once(epoch)
        seconds = time.monotonic() - begun
        loss = math.fsum(terms.values())
        valid: dict[str, float] = {}
        if epoch % self.job.training.evaluate_every == 0 or epoch == self.job.training.epochs:
            self.model.eval()
            if not self.model.split:
                align_buffers(self.model, self.team)
            valid = self.job.validate()
            self.selection.offer(valid[self.job.training.monitor], epoch, self.model)
        self.progress.epoch = epoch
        self.progress.history.append({"epoch": epoch, "loss": loss, "terms": terms, "valid": valid, "seconds": seconds})
        shown = "  ".join(f"{name} {value:.5f}" for name, value in terms.items())
        text = f"epoch {epoch}  loss {loss:.5f}  {shown}  {seconds:.3f} s"
        if valid:
            monitor = f"{self.job.training.monitor} {valid[self.job.training.monitor]:.5f}"
            text += f"  valid {monitor}  best epoch {self.selection.best_epoch}"
            if self.job.ticker is not None:
                self.job.ticker.note(f"loss {loss:.4f}  {monitor}")
        self.job.log(text)
        if self.job.ticker is not None:
            self.job.ticker.advance()

    def _train_once(self, epoch: int) -> dict[str, float]:
        """One pass; the mean of each loss term over the batches. Values stay on the device until the pass is over."""
        self.model.train()
        totals: dict[str, Tensor] = {}
        batches = 0
        with self.job.explained("training"):
            for step, batch in enumerate(self.batches.epoch()):
                self.model.before_step(step)
                for number in range(len(self.model.objectives())):
                    for name, value in self._step(number, batch).items():
                        totals[name] = totals[name] + value if name in totals else value
                batches += 1
        if self.team.size > 1 and not self.model.split:
            totals = dict(zip(totals, self.team.sum(torch.stack(list(totals.values()))) / self.team.size, strict=True))
        means = {name: float(total) / batches for name, total in totals.items()}
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            raise AugrecError(
                f"the loss became infinite or NaN in epoch {epoch} (term {', '.join(bad)})",
                remedy=f"lower training.lr (now {self.job.training.lr:g}), or check the features for outliers",
            )
        return means

    def _step(self, number: int, batch: Batch) -> dict[str, Tensor]:
        """One move of the optimiser for an objective; its terms, as this process's part of the mean over processes."""
        self.optimiser.zero_grad(set_to_none=True)
        accelerator, scale = self.job.accelerator, 1.0
        if not self.model.split:
            batch, scale = share_of(batch, self.team)
        batch = batch.to(accelerator.device)
        with accelerator.autocast():
            terms = self.wrapped(batch, number) if self.wrapped else self.model.objectives()[number](batch)
        if not terms:
            return {}
        loss = torch.stack(list(terms.values())).sum()
        accelerator.backward(loss if scale == 1 else loss * scale)
        if self._passed_over(terms):
            return {}
        self.optimiser.step()
        return {name: value.detach() if scale == 1 else value.detach() * scale for name, value in terms.items()}

    def _passed_over(self, terms: dict[str, Tensor]) -> bool:
        """Whether an objective had no terms for the share of some process; all of them then make no move."""
        if self.wrapped is None or len(self.model.objectives()) == 1:
            return False
        return bool(
            self.team.minimum(torch.tensor(NO_TERMS not in terms, dtype=torch.int, device=self.team.device)) == 0
        )


def _optimiser(model: TrainedRecommender, training: TrainingOptions) -> torch.optim.Optimizer:
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training.optimiser]
    return kind(model.parameter_groups(), lr=training.lr, weight_decay=training.weight_decay, fused=True)
