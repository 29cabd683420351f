"""A model judged on a split, always in the same way, by one process or by several that share the users."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.metrics import Metric
from recsys.batches.base import Split
from recsys.data.dataset import Dataset
from recsys.evaluation.judgement import judgement
from recsys.evaluation.next_item import of_next_item
from recsys.evaluation.ranking import evaluate
from recsys.evaluation.rating import evaluate_ratings
from recsys.evaluation.result import Evaluation
from recsys.models.base import Recommender
from recsys.options import EvaluationOptions, Judged, TrainingOptions
from recsys.training.distributed import Team, merged
from recsys.training.memory import Explanation, explained
from recsys.training.sharded.evaluation import evaluate_sharded
from recsys.training.sharded.model import ShardedLightGCN


class Judge:
    """Evaluates a model as it stands.

    Args:
        recommender: the model.
        judged: what of it.
        dataset: a split is read only when it is asked for.
        training: its monitor is computed beside the cutoffs of `options`.
        options: the protocol.
        team: the processes that share the users.
        explanation: what is said when memory runs out.
    """

    def __init__(
        self,
        recommender: Recommender,
        judged: Judged,
        dataset: Dataset,
        training: TrainingOptions,
        options: EvaluationOptions,
        team: Team,
        explanation: Explanation,
    ) -> None:
        self.recommender, self.judged, self.dataset, self.options = recommender, judged, dataset, options
        self.team, self.explanation = team, explanation
        monitor = Metric.parse(training.monitor)
        if not judged.has(monitor):
            raise AugrecError(
                f"training.monitor is {monitor}, and the model is judged by {judged.words}",
                remedy=f"set training.monitor={'rmse' if judged is Judged.RATING else 'ndcg@10'}",
            )
        if isinstance(recommender, ShardedLightGCN) and options.protocol == "llama4rec":
            raise AugrecError(
                "evaluation.protocol: llama4rec does not judge a model that is split by training.shard",
                remedy="set training.shard=false, or another protocol",
            )
        self.cutoffs = sorted({*options.cutoffs, *([monitor.k] if monitor.k else [])})

    def __call__(self, split: Split) -> Evaluation:
        """The evaluation on "valid" or "test"; nobody with truth there is an `AugrecError`."""
        self.recommender.eval()
        with explained("evaluation", self.explanation):
            result = self._evaluated(split)
        if not result.n_users:
            raise AugrecError(f"no user has a {split} interaction", remedy="check dataset.split and dataset.k_core")
        return result

    def _evaluated(self, split: Split) -> Evaluation:
        if self.judged is Judged.RATING:  # by every process: pairs are few, and a rating each
            clip = self.options.clip_ratings
            return evaluate_ratings(self.recommender.rate, self.dataset, split, clip=clip, device=self.team.device)
        how = judgement(self.dataset, split, self.judged, self.options)
        options: dict[str, Any] = {
            "cutoffs": self.cutoffs,
            "tie_seed": self.options.tie_seed,
            "chunk": self.options.chunk,
            "device": self.team.device,
        }
        ranking: dict[str, Any] = {"mask_valid_at_test": how.mask_valid_at_test, "official": how.official}
        if isinstance(self.recommender, ShardedLightGCN):
            return evaluate_sharded(self.recommender, self.dataset, split, **options, **ranking)
        scores = how.allowed(self.recommender.scorer(how.context))
        users = how.users[self.team.rank :: self.team.size]
        part = evaluate(scores, how.truth, split, users=users, mask_train=how.mask_train, **options, **ranking)
        if self.judged is Judged.NEXT_ITEM:
            part = of_next_item(part, self.cutoffs, mask_known=how.mask_train)
        return replace(merged(part, how.users, self.team), settings={**part.settings, **how.settings})
