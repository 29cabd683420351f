"""What the arms are worth to the recommenders: metrics by group of users, with intervals and paired tests.

Users are grouped by how much the graph knows of them: head, middle and tail are the thirds by number of training
interactions; `profiled` are those that every source was asked about, so that a source that was asked about some users
only is judged where it had a say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from augrec.artefacts.run_folder import RunFolder
from augrec.report.numbers.comparison import Comparison, Comparisons, corrected
from augrec.report.numbers.estimates import Estimates
from augrec.report.numbers.resampling import Resampling
from augrec.report.numbers.user_spread import UserSpread, user_spread
from augrec.report.numbers.variants import Trained, read_draws
from augrec.report.options import Inference

THIRDS = ("tail", "middle", "head")
Pair = tuple[str, str, str, str]
"""A recommender, a group, an arm, and the arm it is compared with."""


@dataclass(frozen=True)
class Design:
    """What is compared with what, and how.

    Attributes:
        arms, recommenders: their names, in order.
        baseline: the arm that every other one is tested against.
        against: arm -> further arms that it is tested against.
        metrics: the first is the primary one.
        alpha: significance level; intervals cover 1 - alpha.
        bootstrap: resamples of the users and seeds behind each interval.
        margin: the smallest difference that matters, as a share of the mean of what an arm is tested against.
    """

    arms: tuple[str, ...]
    recommenders: tuple[str, ...]
    baseline: str
    against: Mapping[str, Sequence[str]]
    metrics: tuple[str, ...]
    alpha: float
    bootstrap: int
    margin: float = 0.02

    @property
    def inference(self) -> Inference:
        """How sure a difference has to be."""
        return Inference(self.alpha, self.bootstrap, margin=self.margin)

    def pairs(self) -> dict[str, list[str]]:
        """arm -> the arms it is tested against: the baseline first."""
        return {
            name: [other for other in dict.fromkeys((self.baseline, *self.against.get(name, ()))) if other != name]
            for name in self.arms
        }


@dataclass(frozen=True)
class MetricValue:
    """One metric of one arm on one group: mean and deviation over seeds, the interval of the mean over both.

    `users` is how the primary metric is spread over them; of other metrics it is not kept.
    """

    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    versus: dict[str, Comparison]
    users: UserSpread | None = None


@dataclass(frozen=True)
class TriedScale:
    """One weight of an arm's features, and the metric on validation."""

    scale: float
    valid: float | None


@dataclass(frozen=True)
class Tuning:
    """What was tried for one arm under one recommender, and what was chosen."""

    scale: float | None
    tried: tuple[TriedScale, ...]


NOT_TUNED = Tuning(None, ())


@dataclass(frozen=True)
class Judgement:
    """How one arm did under one recommender.

    Attributes:
        arm, recommender: their names.
        seeds: of its trainings.
        scale: the chosen weight of its features; None where it has none.
        tuned: what was tried.
        problem: why something is missing.
        groups: group -> metric -> value.
    """

    arm: str
    recommender: str
    seeds: tuple[int, ...]
    scale: float | None
    tuned: tuple[TriedScale, ...]
    problem: str | None
    groups: dict[str, dict[str, MetricValue]]

    def value(self, group: str, metric: str) -> MetricValue | None:
        """None where it was not measured."""
        return self.groups.get(group, {}).get(metric)

    def mean(self, group: str, metric: str) -> float | None:
        """None where it was not measured."""
        value = self.value(group, metric)
        return None if value is None else value.mean

    def versus(self, group: str, metric: str, other: str) -> Comparison | None:
        """None where the two were not tested."""
        value = self.value(group, metric)
        return None if value is None else value.versus.get(other)


@dataclass(frozen=True)
class GroupSize:
    """A group as it is shown: how it was drawn, and how many users are in it."""

    name: str
    title: str
    users: int
    rule: str


@dataclass(frozen=True)
class Group:
    """Some of the test users.

    Attributes:
        name, title, rule: for tables, and how it was drawn.
        users: sorted contiguous ids.
    """

    name: str
    title: str
    rule: str
    users: np.ndarray

    def size(self) -> GroupSize:
        """The group without its members."""
        return GroupSize(self.name, self.title, len(self.users), self.rule)


def groups_of(test_users: np.ndarray, train_counts: np.ndarray, profiled: np.ndarray | None) -> list[Group]:
    """All test users, those that every source was asked about (where that is not all), and thirds by activity.

    Users with equally many interactions stay together, so that the thirds are of about the same size, not exactly.

    Args:
        test_users: sorted ids of the users with test items.
        train_counts: training interactions of every user, [n_users].
        profiled: ids of those that every source was asked about; None where that is everybody.
    """
    groups = [Group("all", "all users", "every user with a test item", test_users)]
    if profiled is not None:
        rule = "test users that every source was asked about"
        groups.append(
            Group("profiled", "users all sources were asked about", rule, np.intersect1d(test_users, profiled))
        )
    counts = train_counts[test_users]
    low, high = (int(np.quantile(counts, share, method="lower")) for share in (1 / 3, 2 / 3))
    bounds = {"tail": (0, low), "middle": (low + 1, high), "head": (high + 1, None)}
    for name in reversed(THIRDS):
        least, most = bounds[name]
        chosen = test_users[(counts >= least) & (counts <= (counts.max() if most is None else most))]
        between = f"{least} or more" if most is None else f"at most {most}" if not least else f"{least} to {most}"
        if len(chosen):
            groups.append(Group(name, f"{name} users", f"{between} training interactions", chosen))
    return groups


class Downstream:
    """The trained variants of a comparison.

    Args:
        design: what is compared.
        run: the run folder.
        variants: (arm, recommender) -> the variant's name.
        draws: variant -> the variants it was trained as, one for each draw of its source; others were drawn once.
        seeds: variant -> its training seeds.
        tuned: (arm, recommender) -> what was tried and chosen, of those that were tuned.
        reranked: those of the variants that are rows of re-ranking.
    """

    def __init__(
        self,
        design: Design,
        run: RunFolder,
        variants: Mapping[tuple[str, str], str],
        seeds: Mapping[str, list[int]],
        tuned: Mapping[tuple[str, str], Tuning],
        draws: Mapping[str, Sequence[str]] | None = None,
        reranked: Collection[str] = (),
    ) -> None:
        self.design, self.variants, self.seeds, self.tuned = design, variants, seeds, tuned
        self.trained: dict[str, Trained] = {
            variant: read_draws(
                run,
                variant,
                (draws or {}).get(variant, [variant]),
                wanted,
                by_seed=design.metrics,
                reranked=variant in reranked,
            )
            for variant, wanted in seeds.items()
        }

    @property
    def test_users(self) -> np.ndarray:
        """Sorted ids of the users with test items; the others have no metric."""
        first = next(iter(self.trained.values()))
        return first.users[np.isfinite(first.per_user[self.design.metrics[0]])]

    def judgements(self, groups: list[Group]) -> tuple[Judgement, ...]:
        """Every arm under every recommender, in each group; what is compared is one family per metric."""
        measured = self._measured(groups)
        return tuple(
            self._judgement(recommender, arm, measured)
            for recommender in self.design.recommenders
            for arm in self.design.arms
        )

    def _measured(self, groups: list[Group]) -> _Measured:
        design, drawn = self.design, Resampling(self.design.inference)
        comparisons, estimates, spreads = Comparisons[Pair](drawn), Estimates(drawn), {}
        for metric in design.metrics:  # of all trainings one after the other, so that each is read once
            for group in groups:
                for recommender in design.recommenders:
                    parts = {
                        arm: self.trained[self.variants[arm, recommender]].among(group.users, [metric])
                        for arm in design.arms
                    }
                    for arm, part in parts.items():
                        key = recommender, group.name, arm
                        estimates.add((*key, metric), part, metric)
                        if metric == design.metrics[0]:
                            spreads[key] = user_spread(part, metric)
                        for other in design.pairs()[arm]:
                            comparisons.add((*key, other), part, parts[other], metric)
        pairs: list[Pair] = [
            (recommender, group.name, arm, other)
            for recommender in design.recommenders
            for group in groups
            for arm in design.arms
            for other in design.pairs()[arm]
        ]
        compared = corrected({pair: comparisons.of(pair) for pair in pairs})
        return _Measured(design, [group.name for group in groups], estimates, compared, spreads)

    def _judgement(self, recommender: str, arm: str, measured: _Measured) -> Judgement:
        tuning = self.tuned.get((arm, recommender), NOT_TUNED)
        return Judgement(
            arm=arm,
            recommender=recommender,
            seeds=tuple(self.seeds[self.variants[arm, recommender]]),
            scale=tuning.scale,
            tuned=tuning.tried,
            problem=None,
            groups=measured.of(recommender, arm),
        )


@dataclass(frozen=True)
class _Measured:
    """The numbers of all arms under all recommenders, in all groups.

    Attributes:
        design: what is compared with what.
        groups: their names.
        estimates: of each recommender, group, arm and metric.
        compared: of each pair of arms, by metric, after correction.
        spreads: of the primary metric over users, by recommender, group and arm.
    """

    design: Design
    groups: Sequence[str]
    estimates: Estimates
    compared: Mapping[Pair, Mapping[str, Comparison]]
    spreads: Mapping[tuple[str, str, str], UserSpread | None]

    def of(self, recommender: str, arm: str) -> dict[str, dict[str, MetricValue]]:
        """group -> metric -> value of one arm under one recommender."""
        return {
            group: {metric: self._value(recommender, group, arm, metric) for metric in self.design.metrics}
            for group in self.groups
        }

    def _value(self, recommender: str, group: str, arm: str, metric: str) -> MetricValue:
        found = self.estimates.of((recommender, group, arm, metric))
        versus = {other: self.compared[recommender, group, arm, other][metric] for other in self.design.pairs()[arm]}
        users = self.spreads[recommender, group, arm] if metric == self.design.metrics[0] else None
        return MetricValue(found.mean, found.std, found.low, found.high, versus, users)
