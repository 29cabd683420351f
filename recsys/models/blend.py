"""Blend: a weighted sum of the scores of several models.

Source: linear combination of rankers, e.g. Fox & Shaw, "Combination of Multiple Searches", TREC-2, 1994 (CombSUM);
weights on a grid, on validation, as in Vogt & Cottrell, "Fusion Via a Linear Combination of Scores", 1999.
Equations: score(u, i) = sum_m w_m z_m(u, i), w >= 0, sum w = 1. With `standardise`, z_m(u, .) is member m's score less
its mean and divided by its standard deviation over the items that u does not have in training (the candidates: what a
model says of training items is never ranked, and would set the scale); a member that scores all of them alike
contributes 0. Otherwise z_m is the score itself.
Fit: the members one by one, then their weights on validation alone, see `recsys.models.parts.weight_search`.
Cost: that of the members, whose states are all kept here; time of scoring is the sum over those with a weight.
Relations: weight 1 on a member ranks as that member.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from augrec.artefacts.files import digest
from augrec.artefacts.metrics import Metric
from augrec.artefacts.run_folder import TrainingFolder
from recsys.batches.base import Queries
from recsys.evaluation.judgement import judgement
from recsys.evaluation.ranking import evaluate
from recsys.models.base import Fitted, Newcomer, Recommender
from recsys.models.build import build_model
from recsys.models.options.blend import BlendOptions
from recsys.models.parts.histories import Histories
from recsys.models.parts.weight_search import corners, search
from recsys.options import TrainingOverrides

if TYPE_CHECKING:
    from recsys.augmentation import SideInformation
    from recsys.data.dataset import Dataset
    from recsys.training.job import FitJob

CHUNK = 2**22  # scores per member that are in memory while weightings are compared
EQUAL = 1e-7  # a spread below this share of the largest score is rounding


class Blend(Recommender):
    """See the module.

    Args:
        edges: int64 [m, 2] of training (user, item) pairs.
        n_users, n_items: the sizes.
        members: the models, ready to score once `fit` has put their states in.
        standardise: see the module.

    Attributes:
        weights: float64 [members]; equal until they are chosen.
    """

    weights: Tensor

    def __init__(
        self, edges: np.ndarray, n_users: int, n_items: int, members: Sequence[Recommender], *, standardise: bool
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.standardise = standardise
        self.histories = Histories(edges, n_users, n_items)
        self.register_buffer("weights", torch.full((len(members),), 1 / len(members), dtype=torch.float64))

    @classmethod
    def build(cls, dataset: Dataset, side: SideInformation, options: BlendOptions, generator: torch.Generator) -> Blend:
        """See `recsys.models.build`."""
        members = [build_model(dataset, side, member, generator) for member in options.members.values()]
        return cls(dataset.train, dataset.n_users, dataset.n_items, members, standardise=options.standardise)

    @property
    def inductive(self) -> frozenset[Newcomer]:
        """See `Recommender.inductive`: whom all of its members can."""
        return frozenset.intersection(*(cast(Recommender, member).inductive for member in self.members))

    def fit(self, job: FitJob) -> Fitted:
        """Trains the members, reads them in, and chooses the weights; see `Recommender.fit`.

        A member that an interrupted run has finished, with the same fingerprint and options, is not trained again.
        metrics.json gets the weights, each member's own monitored value on validation, and how many weightings were
        tried.

        Raises:
            DataError: there is no validation interaction.
        """
        job.require_validation("the blend's weights")
        assert isinstance(job.model, BlendOptions)
        names, steps, metric = list(job.model.members), job.model.steps, Metric.parse(job.training.monitor)
        folders = self._train_members(job)
        self.eval()
        tried: dict[tuple[int, ...], float] = {}

        def judge(weightings: Sequence[tuple[int, ...]]) -> None:
            new = [weighting for weighting in dict.fromkeys(weightings) if weighting not in tried]
            if new:
                values = self._validated(job, np.array(new) / steps, metric)
                tried.update(zip(new, (metric.sign * value for value in values), strict=True))

        best = search(judge, tried, len(names), steps)
        singles = corners(len(names), steps)
        judge(singles)
        self.weights.copy_(torch.tensor(best, dtype=torch.float64) / steps)
        for folder in folders if not job.training.keep_checkpoint else ():
            TrainingFolder(folder).model.unlink()
        chosen = {
            "monitor": job.training.monitor,
            "weights": {name: part / steps for name, part in zip(names, best, strict=True)},
            "valid": metric.sign * tried[best],
            "members": {name: metric.sign * tried[single] for name, single in zip(names, singles, strict=True)},
            "tried": len(tried),
        }
        return Fitted(details={"blend": chosen})

    def _train_members(self, job: FitJob) -> list[Path]:
        """Their folders."""
        assert isinstance(job.model, BlendOptions)
        folders = []
        for model, (name, options) in zip(self.members, job.model.members.items(), strict=True):
            overrides = (options.training or TrainingOverrides()).model_copy(update={"keep_checkpoint": True})
            member = options.model_copy(update={"training": overrides})
            settings = [section.model_dump(mode="json") for section in (member, job.training, job.evaluation)]
            folder = job.train_member(member, name, digest([job.fingerprint, *settings]))
            model.load_state_dict(load_file(TrainingFolder(folder).model))
            folders.append(folder)
        return folders

    @torch.no_grad()
    def _validated(self, job: FitJob, weightings: np.ndarray, metric: Metric) -> list[float]:
        """The monitored metric on validation of each weighting (float64 [n, members]); users are scored once."""
        data = job.dataset
        how = judgement(data, "valid", job.model.judged, job.evaluation)
        totals, users = np.zeros(len(weightings)), how.users
        step = max(1, CHUNK // max(data.n_items, 1))
        for start in range(0, len(users), step):
            batch = users[start : start + step]
            scores = self.member_scores(Queries(torch.from_numpy(batch).to(job.accelerator.device), "valid"))
            for position, weights in enumerate(weightings.tolist()):

                def blended(_: Tensor, weights: list[float] = weights, scores: list[Tensor] = scores) -> Tensor:
                    return combined(scores, weights)

                result = evaluate(
                    how.allowed(blended),
                    how.truth,
                    "valid",
                    cutoffs=[metric.k] if metric.k else [],
                    tie_seed=job.evaluation.tie_seed,
                    official=how.official,
                    chunk=len(batch),
                    users=batch,
                    device=job.accelerator.device,
                )
                totals[position] += result.per_user[str(metric)][batch].sum()
        return (totals / len(users)).tolist()

    def scores(self, queries: Queries) -> Tensor:
        """See `Recommender.scores`."""
        weights = self.weights.tolist()
        used = [position for position, weight in enumerate(weights) if weight > 0]
        return combined(self.member_scores(queries, used), [weights[position] for position in used])

    def member_scores(self, queries: Queries, members: Sequence[int] | None = None) -> list[Tensor]:
        """What is summed: z_m(u, .), float32 [b, n_items], of the members at these positions; of all when None."""
        chosen = range(len(self.members)) if members is None else members
        scores = [cast(Recommender, self.members[position]).scores(queries) for position in chosen]
        if not self.standardise:
            return scores
        owned = self.histories.contains(queries.users)
        return [standardised(matrix, owned) for matrix in scores]


def combined(scores: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted sum; a score of -inf (never recommended) counts where its weight is not 0."""
    terms = [weight * matrix for matrix, weight in zip(scores, weights, strict=True) if weight > 0]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def standardised(scores: Tensor, owned: Tensor) -> Tensor:
    """Each row at mean 0 and variance 1 over its finite scores outside of `owned` (bool, same shape); float32."""
    counted = ~owned & scores.isfinite()
    count = counted.sum(dim=1, keepdim=True).clamp(min=1)
    values = scores.masked_fill(~counted, 0.0).double()
    mean = values.sum(dim=1, keepdim=True) / count
    spread = ((values - mean).masked_fill(~counted, 0.0).square().sum(dim=1, keepdim=True) / count).sqrt()
    real = spread > EQUAL * values.abs().amax(dim=1, keepdim=True)
    flat = torch.where(scores.isfinite(), 0.0, scores)
    return torch.where(real, (scores - mean) / spread.where(real, 1.0), flat).float()
