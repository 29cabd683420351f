"""The epoch loop of trained models: sample, step, evaluate on validation, keep the best, stop early."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from augrec.artefacts.errors import AugrecError, DataError
from augrec.artefacts.progress import Ticker
from recsys.augmentation import SideInformation
from recsys.batches.triplets import BprSampler, EdgeMixer, Triplets
from recsys.data.dataset import Dataset
from recsys.models.base import TrainedRecommender
from recsys.models.options.base import EdgeAugmentation, FamilyOptions
from recsys.options import TrainingOptions
from recsys.seeds import seeded
from recsys.training.distributed import NO_TERMS, Team, align_buffers, averaged, share_of
from recsys.training.early_stopping import Selection
from recsys.training.memory import Explanation, explained
from recsys.training.snapshot import Progress, Snapshot

Log = Callable[[str], None]


class Optimisation:
    """One model's way to its best validation epoch.

    Args:
        model: on the accelerator's device.
        options: the model's; `aug_sample_rate` adds `side.edges` to the batches.
        validate: gives the validation metrics of the model as it is.
        snapshot: where to keep an unfinished training, if anywhere.
        log: takes one line of text.
        out_of_memory: what to say when memory runs out in a step.
        sharded: the model is split over the processes and computes the loss of whole batches; else each process has
            the whole model and takes its share of a batch.
    """

    def __init__(
        self,
        model: TrainedRecommender,
        dataset: Dataset,
        side: SideInformation,
        options: FamilyOptions,
        training: TrainingOptions,
        *,
        accelerator: Accelerator,
        validate: Callable[[], dict[str, float]],
        seed: int,
        snapshot: Snapshot | None,
        log: Log,
        ticker: Ticker | None,
        out_of_memory: Explanation | None = None,
        sharded: bool = False,
    ) -> None:
        if not len(dataset.valid):
            raise DataError(
                "there is no validation interaction to choose the epoch on",
                remedy="give dataset.split a part for validation",
            )
        self.model, self.training, self.accelerator, self.validate = model, training, accelerator, validate
        self.snapshot, self.log, self.ticker = snapshot, log, ticker
        self.team, self.sharded = Team.of(accelerator), sharded
        self.out_of_memory = out_of_memory or Explanation()
        # What is split over GPUs leaves them no room for the interactions of everybody.
        sizes, device = (dataset.n_users, dataset.n_items), "cpu" if sharded else accelerator.device
        self.generators = {name: seeded(seed, name, device) for name in ("sampler", "edges")}
        self.sampler = BprSampler(
            dataset.train,
            *sizes,
            batch_size=training.batch_size,
            generator=self.generators["sampler"],
            mode=training.sampler,
        )
        if self.sampler.skipped_users:
            log(f"{self.sampler.skipped_users} users own every item and are left out of training")
        rate = options.aug_sample_rate if isinstance(options, EdgeAugmentation) else 0.0
        self.mixer: EdgeMixer | None = None
        if rate and side.edges is not None and len(side.edges):
            self.mixer = EdgeMixer(side.edges, *sizes, rate=rate, generator=self.generators["edges"])
            log(f"{len(side.edges)} suggested triplets, {self.mixer.ignored} of them ignored (unknown user or item)")
        self.optimiser = _optimiser(model, training)
        self.selection = Selection(training.patience)
        self.progress = Progress()
        self.wrapped: nn.Module | None = None
        if self.team.size > 1 and not sharded:
            self.wrapped = averaged(model, accelerator)

    def run(self) -> None:
        """Trains and leaves the model in its best state; `progress` and `selection` tell how it went."""
        if self.snapshot is not None:
            found = self.snapshot.restore(self.model, self.optimiser, self.selection, self.generators)
            if self.snapshot.refused:
                self.log(f"starting anew: {self.snapshot.refused}")
            if len(set(self.team.gather(found and found.epoch))) > 1:
                raise AugrecError(
                    "the processes of this training do not find the same snapshot",
                    where=self.snapshot.folder,
                    remedy="delete unfinished* there, and give all processes the same disk",
                )
            if found is not None:
                self.progress = found
                self.log(f"going on after epoch {found.epoch}")
                if self.ticker is not None:
                    self.ticker.advance(found.epoch)
        begun = saved = time.monotonic()
        before = self.progress.seconds
        while self.progress.epoch < self.training.epochs and not self.selection.exhausted:
            self._epoch()
            self.progress.seconds = before + time.monotonic() - begun
            minutes = self.training.resume_minutes
            due = minutes is not None and time.monotonic() - saved >= 60 * minutes
            if self.snapshot is not None and self.team.decide(due):
                saved = time.monotonic()
                self.snapshot.save(self.progress, self.model, self.optimiser, self.selection, self.generators)
        self.model.load_state_dict(self.selection.state)
        self.model.eval()

    def _epoch(self) -> None:
        begun = time.monotonic()
        epoch = self.progress.epoch + 1
        terms = self._train_once(epoch)
        seconds = time.monotonic() - begun
        loss = math.fsum(terms.values())
        valid: dict[str, float] = {}
        if epoch % self.training.evaluate_every == 0 or epoch == self.training.epochs:
            self.model.eval()
            if not self.sharded:
                align_buffers(self.model, self.team)
            valid = self.validate()
            self.selection.offer(valid[self.training.monitor], epoch, self.model)
        self.progress.epoch = epoch
        self.progress.history.append({"epoch": epoch, "loss": loss, "terms": terms, "valid": valid, "seconds": seconds})
        shown = "  ".join(f"{name} {value:.5f}" for name, value in terms.items())
        text = f"epoch {epoch}  loss {loss:.5f}  {shown}  {seconds:.3f} s"
        if valid:
            monitor = f"{self.training.monitor} {valid[self.training.monitor]:.5f}"
            text += f"  valid {monitor}  best epoch {self.selection.best_epoch}"
            if self.ticker is not None:
                self.ticker.note(f"loss {loss:.4f}  {monitor}")
        self.log(text)
        if self.ticker is not None:
            self.ticker.advance()

    def _train_once(self, epoch: int) -> dict[str, float]:
        """One pass; the mean of each loss term over the batches. Values stay on the device until the pass is over."""
        self.model.train()
        totals: dict[str, Tensor] = {}
        batches = 0
        with explained("training", self.out_of_memory):
            for batch in self.sampler.epoch():
                if self.mixer is not None:
                    batch = self.mixer.mix(batch)
                for number in range(len(self.model.objectives())):
                    for name, value in self._step(number, batch).items():
                        totals[name] = totals[name] + value if name in totals else value
                batches += 1
        if self.team.size > 1 and not self.sharded:
            totals = dict(zip(totals, self.team.sum(torch.stack(list(totals.values()))) / self.team.size, strict=True))
        means = {name: float(total) / batches for name, total in totals.items()}
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            raise AugrecError(
                f"the loss became infinite or NaN in epoch {epoch} (term {', '.join(bad)})",
                remedy=f"lower training.lr (now {self.training.lr:g}), or check the features for outliers",
            )
        return means

    def _step(self, number: int, batch: Triplets) -> dict[str, Tensor]:
        """One move of the optimiser for an objective; its terms, as this process's part of the mean over processes."""
        self.optimiser.zero_grad(set_to_none=True)
        scale = 1.0
        if self.sharded:
            batch = batch.to(self.accelerator.device)
        else:
            batch, scale = share_of(batch, self.team)
        with self.accelerator.autocast():
            terms = self.wrapped(batch, number) if self.wrapped else self.model.objectives()[number](batch)
        if not terms:
            return {}
        loss = torch.stack(list(terms.values())).sum()
        self.accelerator.backward(loss if scale == 1 else loss * scale)
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
