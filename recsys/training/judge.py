"""A model judged on a split, always in the same way, by one process or by several that share the users."""

from __future__ import annotations

from typing import Any

import numpy as np

from augrec.artefacts.errors import AugrecError
from recsys.data.dataset import Dataset
from recsys.evaluation.ranking import evaluate
from recsys.evaluation.result import Evaluation
from recsys.models.base import Recommender
from recsys.options import EvaluationOptions, TrainingOptions
from recsys.training.distributed import Team, merged
from recsys.training.memory import Explanation, explained
from recsys.training.sharded.evaluation import evaluate_sharded
from recsys.training.sharded.model import ShardedLightGCN


class Judge:
    """Evaluates a model as it stands.

    Args:
        recommender: the model.
        dataset: a split is read only when it is asked for.
        training: its monitor is computed beside the cutoffs of `options`.
        options: the protocol.
        team: the processes that share the users.
        explanation: what is said when memory runs out.
    """

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
        """The evaluation on "valid" or "test"; nobody with truth there is an `AugrecError`."""
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
