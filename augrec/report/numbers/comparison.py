"""What sets two variants apart in a metric, how large that is, and how sure.

Every page goes the same way: `Comparisons` of each pair that it shows, `corrected` over all of them together, and
`augrec.report.numbers.verdicts.verdict` of each. Holm's correction is over one family per metric and test: all the
comparisons in that metric that the page shows. The intervals beside them are simultaneous over the same family.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from scipy import stats

from augrec.report.numbers.effects import detectable, standardised
from augrec.report.numbers.pairs import PairedValues, paired_values
from augrec.report.numbers.resampling import Resampling
from augrec.report.numbers.statistics import equivalence_t, holm, paired_t
from augrec.report.numbers.trainings import Trainings
from augrec.report.numbers.variants import Trained
from augrec.report.options import Inference
from augrec.report.render.wording import count, counted

Pair = TypeVar("Pair", bound=Hashable)


@dataclass(frozen=True)
class Comparison:
    """The difference of two variants in one metric, and what is known about it.

    What is called `holm` or `family` is there after `corrected`.

    Attributes:
        difference: of the means over users and seeds, the first minus the second.
        ci_low, ci_high: its interval over users, seeds and draws; over users alone where there is one training.
        family_low, family_high: the same, widened so that chance over users is bounded for all comparisons of the
            page at once.
        family_size: how many these are.
        error: its standard error over the same.
        alpha: the intervals cover 1 - alpha.
        n_users, paired_seeds, paired_draws: what is paired: users with a value in both, seeds that both were trained
            with, and draws of a language model.
        n_differ: of the users, those whose value is another with any seed or draw; None where no seed is shared.
        fixed: whether neither draws anything: there is one seed, and training again repeats the difference exactly.
        reference: the second's mean.
        relative: the difference as a share of it.
        share_above, share_below: of the users, those whose value is higher, and lower, with the first.
        effect: d_z, the mean difference of users in standard deviations of their differences.
        margin: the smallest difference that matters, in the unit of the metric.
        detectable_users, detectable_seeds: the smallest difference that so many users, or seeds, show with a chance of
            80 % at the level before correction.
        p_users, p_seeds: paired t-tests that there is no difference, over users, and over seeds and draws.
        p_users_randomisation: the sign-flip test over users.
        p_equivalence_users, p_equivalence_seeds: two one-sided t-tests that it is at least as large as the margin.
        users_reason, seeds_reason: why there is no test over them.
    """

    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    family_low: float | None = None
    family_high: float | None = None
    family_size: int | None = None
    error: float | None = None
    alpha: float | None = None
    n_users: int = 0
    paired_seeds: int = 0
    paired_draws: int = 1
    n_differ: int | None = None
    fixed: bool = False
    reference: float | None = None
    relative: float | None = None
    share_above: float | None = None
    share_below: float | None = None
    effect: float | None = None
    margin: float | None = None
    detectable_users: float | None = None
    detectable_seeds: float | None = None
    p_users: float | None = None
    p_users_holm: float | None = None
    p_users_randomisation: float | None = None
    p_users_randomisation_holm: float | None = None
    p_seeds: float | None = None
    p_seeds_holm: float | None = None
    p_equivalence_users: float | None = None
    p_equivalence_users_holm: float | None = None
    p_equivalence_seeds: float | None = None
    users_reason: str | None = None
    seeds_reason: str | None = None

    @property
    def identical(self) -> bool:
        """Whether every user has the same value with both, with every seed and draw: there is nothing to test."""
        return self.n_users > 0 and self.n_differ == 0


CORRECTED = ("p_users", "p_users_randomisation", "p_seeds", "p_equivalence_users")
"""The tests that have a family of their own for every metric."""


class Comparisons(Generic[Pair]):
    """Comparisons that are made together: all are added, then resampled at once.

    Args:
        resampling: whom they share their resamples with.
    """

    def __init__(self, resampling: Resampling) -> None:
        self._resampling, self._inference = resampling, resampling.inference
        self._found: dict[Pair, dict[str, Comparison]] = {}
        self._with_values: set[tuple[Pair, str]] = set()

    def add(self, pair: Pair, first: Trained, second: Trained, metric: str) -> None:
        """Adds `first` minus `second` in a metric, over the users with a value in both and the seeds both have.

        The tests over users take each user's mean over these seeds, and over the draws of a language model. Metrics
        without per-user values (coverage) are tested over seeds and draws only.
        """
        values, over_users = paired_values(first, second, metric), None
        if values is not None:
            over_users = _over_users(values, self._inference)
            self._resampling.add(("difference", pair, metric), values.differences, differences=True)
            self._with_values.add((pair, metric))
        found = _with_seeds(over_users, first, second, metric, self._inference)
        self._found.setdefault(pair, {})[metric] = found

    def of(self, pair: Pair) -> dict[str, Comparison]:
        """What was added of a pair, by metric in the order in which it was."""
        return {metric: self._resampled(pair, metric, found) for metric, found in self._found[pair].items()}

    def _resampled(self, pair: Pair, metric: str, found: Comparison) -> Comparison:
        if (pair, metric) not in self._with_values:
            return found
        drawn = self._resampling.of(("difference", pair, metric))
        return replace(
            found,
            ci_low=number_or_none(drawn.interval.low[0]),
            ci_high=number_or_none(drawn.interval.high[0]),
            error=number_or_none(drawn.interval.error[0]),
            alpha=self._inference.alpha,
            p_users_randomisation=drawn.flips.p if drawn.flips else None,
        )


def compare(first: Trained, second: Trained, metrics: Sequence[str], inference: Inference) -> dict[str, Comparison]:
    """`first` minus `second` in each metric, see `Comparisons.add`."""
    comparisons = Comparisons[str](Resampling(inference))
    for metric in metrics:
        comparisons.add("both", first, second, metric)
    return comparisons.of("both")


def _over_users(pair: PairedValues, inference: Inference) -> Comparison:
    """What the users say: all but what is drawn."""
    first, second = pair.first.mean(axis=(0, 1)), pair.second.mean(axis=(0, 1))
    differences = first - second
    users = paired_t(first, second)
    found = Comparison(
        difference=number_or_none(float(differences.mean())) if len(differences) else None,
        n_users=len(differences),
        paired_seeds=pair.seeds,
        paired_draws=pair.draws,
        p_users=users.p,
        n_differ=int((pair.first != pair.second).any(axis=(0, 1)).sum()) if pair.seeds else None,
        users_reason=users.reason,
        effect=standardised(differences) if users.p is not None else None,
        detectable_users=detectable(differences, inference.alpha) if users.p is not None else None,
    )
    if not len(differences):
        return found
    reference = float(second.mean())
    found = replace(
        found,
        reference=reference,
        share_above=float((differences > 0).mean()),
        share_below=float((differences < 0).mean()),
    )
    if found.identical:
        found = replace(found, users_reason="every user has the same value with both")
    margin = _margin(reference, inference)
    if margin is None:
        return found
    equal = None if found.identical else equivalence_t(first, second, margin).p
    return replace(found, margin=margin, relative=(found.difference or 0.0) / reference, p_equivalence_users=equal)


def _margin(reference: float, inference: Inference) -> float | None:
    """The margin in the unit of the metric; None where the mean that it is a share of is zero or unknown."""
    return inference.margin * abs(reference) if math.isfinite(reference) and reference else None


def _with_seeds(
    found: Comparison | None, first: Trained, second: Trained, metric: str, inference: Inference
) -> Comparison:
    """What the seeds say, beside what the users do where the metric has a value for each."""
    trainings = Trainings.of(first, second, metric)
    test = trainings.difference()
    if found is None:
        margin = _margin(second.mean(metric), inference)
        difference = number_or_none(first.mean(metric) - second.mean(metric))
        found = Comparison(
            difference=difference,
            reference=number_or_none(second.mean(metric)),
            margin=margin,
            relative=None if margin is None or difference is None else difference / second.mean(metric),
            users_reason="the metric has no value per user",
        )
    fixed = first.deterministic and second.deterministic and len(trainings.differences) == 1
    margin = None if fixed or found.identical else found.margin
    return replace(
        found,
        fixed=fixed,
        p_seeds=test.p,
        seeds_reason=test.reason,
        detectable_seeds=trainings.detectable(inference.alpha),
        p_equivalence_seeds=None if margin is None else trainings.equivalence(margin).p,
    )


def corrected(comparisons: Mapping[Pair, Mapping[str, Comparison]]) -> dict[Pair, dict[str, Comparison]]:
    """Holm's correction of the comparisons of a page: one family for each metric and test, over all pairs; and the
    intervals that hold for all of a metric's at once.

    What is identical is in no family: it has no p. As equivalence it would have p = 0, which stands first in Holm's
    steps and leaves all others as they are, so that leaving it out corrects nobody less.

    Args:
        comparisons: what the page shows, pair -> metric -> comparison; a pair that it shows twice is in it once.
    """
    result = {pair: dict(of_pair) for pair, of_pair in comparisons.items()}
    for metric in dict.fromkeys(metric for of_pair in comparisons.values() for metric in of_pair):
        pairs = [pair for pair, of_pair in comparisons.items() if metric in of_pair]
        for test in CORRECTED:
            p_values = holm([getattr(comparisons[pair][metric], test) for pair in pairs])
            for pair, p in zip(pairs, p_values, strict=True):
                changes: dict[str, Any] = {f"{test}_holm": p}
                result[pair][metric] = replace(result[pair][metric], **changes)
        size = max(1, sum(comparisons[pair][metric].p_users is not None for pair in pairs))
        for pair in pairs:
            result[pair][metric] = simultaneous(result[pair][metric], size)
    return result


def simultaneous(one: Comparison, size: int) -> Comparison:
    """The comparison with its interval as one of `size` that hold at once.

    As Holm's correction is of the tests over users, and those over seeds are not corrected, the interval is widened by
    what Bonferroni does to a test over users: the ratio of the quantiles of t at alpha / size and at alpha, with the
    users' degrees of freedom. What few seeds leave unknown is in it as for one comparison. The ends are moved away
    from the difference and not resampled further out, where 2,000 resamples of fifty comparisons would have one value
    left; their skew stays. Of two that are identical nothing varies, so that there is no interval.
    """
    if one.identical or one.ci_low is None or one.ci_high is None or one.difference is None or one.alpha is None:
        return one
    degrees = one.n_users - 1
    wider = float(stats.t.isf(one.alpha / size / 2, degrees) / stats.t.isf(one.alpha / 2, degrees))
    low, high = (one.difference + wider * (end - one.difference) for end in (one.ci_low, one.ci_high))
    return replace(one, family_low=low, family_high=high, family_size=size)


def family_sizes(comparisons: Mapping[Pair, Mapping[str, Comparison]]) -> dict[str, int]:
    """metric -> how many of the comparisons have a test over users."""
    sizes: dict[str, int] = {}
    for of_pair in comparisons.values():
        for metric, comparison in of_pair.items():
            sizes[metric] = sizes.get(metric, 0) + (comparison.p_users is not None)
    return sizes


SIMULTANEOUS = (
    "The intervals of differences are simultaneous: widened for chance over users in the same family (Bonferroni), as "
    "the p-values over users are corrected; chance over seeds is in both as for one comparison. An interval holds both "
    "kinds of chance at once and Holm's steps are a little sharper, so a p just below the level may stand beside an "
    "interval that touches zero."
)


def describe_family(sizes: Mapping[str, int]) -> str:
    """One sentence for the page: what its p-values are corrected over. Nothing where it can test nothing.

    Args:
        sizes: metric -> comparisons on the page that have a test over users.
    """
    tested = {metric: size for metric, size in sizes.items() if size}
    if not tested:
        return ""
    if len(tested) == 1:
        metric, size = next(iter(tested.items()))
        over = f"{counted(size, 'comparison')} in {metric}"
        return (
            f"Holm's correction over users is over one family: the {over} that this page shows and can test. The tests "
            f"of equivalence are a second family of as many. {SIMULTANEOUS}"
        )
    named = ", ".join(f"{metric} {count(size)}" for metric, size in tested.items())
    return (
        "Holm's correction over users is over one family per metric: all comparisons in it that this page shows and "
        f"can test ({named}). The tests of equivalence are a second family of as many. {SIMULTANEOUS}"
    )


def number_or_none(value: float) -> float | None:
    """The number, or None for one that is not finite."""
    return float(value) if math.isfinite(value) else None
