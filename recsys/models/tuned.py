"""Tuned: one model with the options that validation prefers, for data on which nobody has tuned it before.

Source: coordinate search, as by hand; nothing here is a paper's.
Fit: options are settled in the order of `space`. For each, every value is tried with those settled so far, and the best
by the monitored metric on validation is kept; the value in place wins a tie. `rounds` goes through all of them again.
Every model that is tried is a training of its own, without a look at the test split; one that an interrupted run has
finished is not trained again. metrics.json says what was tried and what was chosen.
State: that of the chosen model, and the place of each chosen value in its list.
Cost: the sum over values of all options, less one for each option but the first, of trainings.
Relations: a `blend` of tuned models chooses its weights afterwards; a search over seeds and several options at once is
`augrec experiment`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor

from augrec.artefacts.files import digest, read_json
from augrec.artefacts.metrics import Metric
from augrec.artefacts.run_folder import TrainingFolder
from recsys.batches.base import Queries
from recsys.models.base import Fitted, Newcomer, Recommender
from recsys.models.build import build_model
from recsys.models.options.base import FamilyOptions
from recsys.models.options.tuned import TunedOptions
from recsys.options import TrainingOverrides

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.training.job import FitJob

OWN = -1  # the place of a value that is the model's own and in no list


class Tuned(Recommender):
    """See the module.

    Args:
        options: what is tried.
        make: builds a model of the given options, ready for its state.

    Attributes:
        model: of the options that are chosen; before that, of those where the search starts.
        chosen: int64 [options], the place of each value in its list; `OWN` where it is the model's own.
    """

    chosen: Tensor

    def __init__(self, options: TunedOptions, make: Callable[[FamilyOptions], Recommender]) -> None:
        super().__init__()
        self.options, self._make = options, make
        self.model = make(options.model)
        self.register_buffer("chosen", torch.full((len(options.space),), OWN, dtype=torch.int64))

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: TunedOptions, generator: torch.Generator) -> Tuned:
        """See `recsys.models.build`."""
        return cls(options, lambda model: build_model(dataset, side, model, generator))

    @property
    def inductive(self) -> frozenset[Newcomer]:
        """See `Recommender.inductive`: whom the chosen model can."""
        return cast(Recommender, self.model).inductive

    def fit(self, job: FitJob) -> Fitted:
        """Tries the values, and takes the best model in; see `Recommender.fit`.

        Raises:
            DataError: there is no validation interaction.
        """
        job.require_validation("options", ", or train the model without `tuned`")
        trials = Trials(job)
        best = self._settle(trials)
        options = self.options.at(self._values(best))
        state = load_file(trials.weights(options))
        self._take({f"model.{name}": tensor for name, tensor in state.items()}, torch.tensor(best))
        trials.discard()
        chosen = {
            "monitor": job.training.monitor,
            "options": self._values(best),
            "valid": trials.metric.sign * trials.value(options),
            "tried": trials.table,
        }
        return Fitted(details={"tuned": chosen})

    def _settle(self, trials: Trials) -> tuple[int, ...]:
        """The place of each option's best value."""

        def value(places: tuple[int, ...]) -> float:
            return trials.value(self.options.at(self._values(places)))

        best = (OWN,) * len(self.options.space)
        for _ in range(self.options.rounds):
            before = best
            for axis, values in enumerate(self.options.space.values()):
                for place in range(len(values)):
                    tried = (*best[:axis], place, *best[axis + 1 :])
                    if value(tried) > value(best):
                        best = tried
            if best == before:
                break
        return best

    def _values(self, places: tuple[int, ...]) -> dict[str, Any]:
        """The values at these places of the lists, by option, without those that are the model's own."""
        space = self.options.space.items()
        return {key: values[place] for (key, values), place in zip(space, places, strict=True) if place != OWN}

    def _take(self, state: Mapping[str, Tensor], chosen: Tensor) -> None:
        """Makes the model of the chosen options, with this state."""
        device = self.chosen.device
        options = self.options.at(self._values(tuple(chosen.tolist())))
        self.model = self._make(options).to(device)
        super().load_state_dict({**state, "chosen": chosen})
        self.eval()

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """See `nn.Module.load_state_dict`; the model becomes one of the options that the state was chosen with."""
        self._take({name: tensor for name, tensor in state_dict.items() if name != "chosen"}, state_dict["chosen"])

    def scores(self, queries: Queries) -> Tensor:
        """See `Recommender.scores`."""
        return cast(Recommender, self.model).scores(queries)

    def rate(self, pairs: Tensor) -> Tensor:
        """See `Recommender.rate`."""
        return cast(Recommender, self.model).rate(pairs)


class Trials:
    """What was tried in one fit, each a training in a folder of its own; only the best one's weights are kept.

    Args:
        job: of the fit.

    Attributes:
        metric: the monitored one.
        table: what was tried, in order: the options, and the metric on validation.
    """

    def __init__(self, job: FitJob) -> None:
        self._job = job
        self.metric = Metric.parse(job.training.monitor)
        self.table: list[dict[str, Any]] = []
        self._known: dict[str, float] = {}
        self._best: str | None = None

    def value(self, options: FamilyOptions) -> float:
        """The metric of the model with these options, larger being better; trained where it is not yet."""
        name = _name(options)
        if name not in self._known:
            value = (self._finished(options) or self._trained(options))["valid"][str(self.metric)]
            self._known[name] = -math.inf if value is None else self.metric.sign * value
            self.table.append({"options": options.model_dump(mode="json", exclude={"training"}), "valid": value})
            self._keep_the_better(name)
        return self._known[name]

    def weights(self, options: FamilyOptions) -> Path:
        """The file of the model with these options, trained again where it is gone."""
        self._trained(options)
        return self._of(_name(options)).model

    def discard(self) -> None:
        """Removes the weights of the best one where nobody wants them."""
        if self._best is not None and not self._job.training.keep_checkpoint:
            self._of(self._best).model.unlink(missing_ok=True)

    def _keep_the_better(self, name: str) -> None:
        if self._best is None or self._known[name] > self._known[self._best]:
            self._best, name = name, self._best or ""
        if name:
            self._of(name).model.unlink(missing_ok=True)

    def _of(self, name: str) -> TrainingFolder:
        return TrainingFolder(self._job.out).member(name)

    def _trained(self, options: FamilyOptions) -> dict[str, Any]:
        overrides = (options.training or TrainingOverrides()).model_copy(update={"keep_checkpoint": True})
        member = options.model_copy(update={"training": overrides})
        folder = self._job.train_member(member, _name(options), self._fingerprint(options))
        found: dict[str, Any] = read_json(TrainingFolder(folder).metrics)
        return found

    def _finished(self, options: FamilyOptions) -> dict[str, Any] | None:
        """The metrics of an earlier training of these very options; its weights may be gone."""
        path = self._of(_name(options)).metrics
        if not path.exists():
            return None
        found: dict[str, Any] = read_json(path, remedy="delete this file and run again")
        return found if found.get("fingerprint") == self._fingerprint(options) else None

    def _fingerprint(self, options: FamilyOptions) -> str:
        job = self._job
        settings = [section.model_dump(mode="json") for section in (options, job.training, job.evaluation)]
        return digest([job.fingerprint, *settings])


def _name(options: FamilyOptions) -> str:
    return f"trial-{digest(options.model_dump(mode='json'))[:12]}"
