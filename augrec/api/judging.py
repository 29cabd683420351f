"""Evaluates trained models on held-out interactions, and compares them with a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from augrec.api.arguments import require
from augrec.api.training import TrainedModel
from augrec.artefacts.counts import counted
from augrec.artefacts.errors import UsageError
from augrec.artefacts.metrics import Metric
from augrec.pipeline.config.sections import validated
from augrec.report.numbers.comparison import Comparison, corrected
from augrec.report.numbers.comparison import compare as compare_pair
from augrec.report.numbers.variants import Trained
from augrec.report.numbers.verdicts import Word, evidence, verdict
from augrec.report.options import Inference
from recsys.batches.base import Split
from recsys.evaluation.result import Evaluation
from recsys.options import EvaluationOptions
from recsys.training.distributed import SINGLE_PROCESS
from recsys.training.judge import Judge
from recsys.training.memory import Explanation

PREFERRED = ("ndcg@10", "recall@20", "rmse")


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The metrics of one model on a split.

    Attributes:
        name: the name of the model.
        split: the split.
        by_seed: seed -> the metrics per user and their means.
        deterministic: whether the model has no randomness, so that every seed gives the same result.
    """

    name: str
    split: str
    by_seed: Mapping[int, Evaluation]
    deterministic: bool

    def __repr__(self) -> str:
        means = ", ".join(f"{metric} {value:.4f}" for metric, value in self.mean.items())
        return f"<{self.name} on {self.split}, {counted(len(self.by_seed), 'seed')}: {means}>"

    @property
    def mean(self) -> dict[str, float]:
        """metric -> its mean over users and seeds."""
        tables = [one.mean for one in self.by_seed.values()]
        return {metric: float(np.mean([table[metric] for table in tables])) for metric in tables[0]}

    def trained(self) -> Trained:
        """The same as a variant of a report."""
        per_seed = {seed: dict(one.per_user) for seed, one in self.by_seed.items()}
        tables = list(per_seed.values())
        users = np.arange(len(next(iter(tables[0].values()))))
        metrics = {
            seed: {"model": self.name, "test": dict(one.mean), "deterministic": self.deterministic}
            for seed, one in self.by_seed.items()
        }
        per_user = {metric: np.mean([table[metric] for table in tables], axis=0) for metric in tables[0]}
        return Trained(self.name, metrics, users, per_user, per_seed)


@dataclass(frozen=True)
class Compared:
    """The comparison of one model with the baseline in one metric.

    Attributes:
        name, baseline, metric: what was compared.
        word: the verdict: better, worse, equivalent, identical or undecided.
        why: the verdict and its reason in a sentence.
        evidence: the numbers behind it in words: difference, interval, p-values after correction.
        comparison: all numbers.
    """

    name: str
    baseline: str
    metric: str
    word: Word
    why: str
    evidence: str
    comparison: Comparison

    def __str__(self) -> str:
        return f"{self.name} against {self.baseline}, {self.metric}: {self.why} ({self.evidence})"

    __repr__ = __str__  # a notebook shows the list of `compare`


def evaluate(
    model: TrainedModel,
    *,
    split: Split = "test",
    cutoffs: Sequence[int] | int = (10, 20),
    protocol: str = "standard",
) -> Evaluated:
    """Evaluates every seed of a model: ranks all items, or predicts the ratings, of users with held-out interactions.

    Args:
        model: the trained model.
        split: "test", which should be used once, after everything else is decided; or "valid".
        cutoffs: the k of recall@k, ndcg@k and the other ranking metrics.
        protocol: see `recsys.options.EvaluationOptions`.

    Raises:
        AugrecError: the split has no interactions, or an argument is wrong.
    """
    require(model, TrainedModel, "model", "evaluate()", "train() gives one")
    given = {"cutoffs": [cutoffs] if isinstance(cutoffs, int) else list(cutoffs), "protocol": protocol}
    options = validated(given, EvaluationOptions, "evaluate()", "arguments")
    data = model.dataset
    size = Explanation(n_users=data.n_users, n_items=data.n_items, n_edges=len(data.train), candidates=data.n_items)
    found = {}
    for seed in model.seeds:
        judge = Judge(
            model.recommender(seed), model.options.judged, data, model.training, options, SINGLE_PROCESS, size
        )
        found[seed] = judge(split)
    deterministic = all(result.deterministic for result in model.results.values())
    return Evaluated(model.name, split, found, deterministic)


def compare(
    baseline: Evaluated,
    *others: Evaluated,
    metric: str | None = None,
    alpha: float = 0.05,
    margin: float = 0.02,
) -> tuple[Compared, ...]:
    """Compares models with a baseline, by the rules of reports: better, worse, equivalent, identical or undecided.

    "Better" and "worse" need a significant difference over users, after Holm's correction over all comparisons of the
    call, and over seeds. "Equivalent" needs a difference that is significantly below the margin, in the same way.
    "Identical" means that every user has the same value with both models and every seed, so nothing is tested.

    Args:
        baseline: the model that the others are compared with.
        others: one or more models.
        metric: a metric that all models have per user; by default ndcg@10, recall@20 or rmse.
        alpha: the level; intervals cover 1 - alpha.
        margin: the smallest difference that matters, as a share of the baseline's mean; declare it beforehand.

    Raises:
        UsageError: there is nothing to compare, two models have the same name, or a metric is missing.
    """
    everybody = (baseline, *others)
    for one in everybody:
        require(
            one, Evaluated, "a model", "compare()", "evaluate(model) gives one, load_run(folder).evaluated(variant) too"
        )
    names = [one.name for one in everybody]
    if not others or len(set(names)) < len(names) or len({one.split for one in everybody}) > 1:
        raise UsageError(
            f"compare() got {', '.join(names)}",
            remedy="give a baseline and others, evaluated on one split, each with a name of its own: train(..., name=)",
        )
    shared = set.intersection(*({*next(iter(one.by_seed.values())).per_user} for one in everybody))
    chosen = metric or next((name for name in PREFERRED if name in shared), None)
    if chosen is None or chosen not in shared:
        raise UsageError(f"not all have {metric or PREFERRED[0]} per user", where="metric",
                         remedy=f"one of {', '.join(sorted(shared))}")  # fmt: skip
    inference = Inference(alpha=alpha, margin=margin)
    trained = {one.name: one.trained() for one in everybody}
    pairs = {name: compare_pair(trained[name], trained[names[0]], [chosen], inference) for name in names[1:]}
    judged = corrected(pairs)
    return tuple(_compared(name, names[0], chosen, judged[name][chosen], alpha) for name in names[1:])


def _compared(name: str, baseline: str, metric: str, found: Comparison, alpha: float) -> Compared:
    decided = verdict(found, str(Metric.parse(metric)), alpha)
    return Compared(name, baseline, metric, decided.word, decided.sentence, evidence(found, alpha), found)
