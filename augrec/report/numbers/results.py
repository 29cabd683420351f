"""The numbers of a run: every seed's values, their summary, and each variant's difference to the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from augrec.report.numbers.comparison import Comparison, Comparisons, corrected, describe_family, family_sizes
from augrec.report.numbers.effects import POWER
from augrec.report.numbers.estimates import Estimate, estimate
from augrec.report.numbers.resampling import Resampling
from augrec.report.numbers.user_spread import SHARES, UserSpread, user_spread
from augrec.report.numbers.variants import Trained, metric_order
from augrec.report.numbers.verdicts import verdict
from augrec.report.options import ReportOptions
from augrec.report.render.wording import per_cent

Names = tuple[str, str]
"""A variant, and the one it is compared with."""


@dataclass(frozen=True)
class Results:
    """What a run's page says of its variants.

    Attributes:
        estimates: by (variant, metric), in the order of the variants.
        versus: by (variant, metric), to the baseline; the baseline itself has no entry.
        controls: of the claim to each of its controls, in the primary metric, by (claim, control).
        family: the sentence on what the p-values are corrected over.
        users: variant -> how the primary metric is spread over users.
    """

    estimates: dict[Names, Estimate]
    versus: dict[Names, Comparison]
    controls: dict[Names, Comparison]
    family: str
    users: dict[str, UserSpread]

    def of(self, variant: str, metric: str) -> Comparison:
        """A variant's comparison to the baseline; an empty one for the baseline."""
        return self.versus.get((variant, metric), Comparison())

    @property
    def metrics(self) -> list[str]:
        """All metrics, in order."""
        return list(dict.fromkeys(metric for _, metric in self.estimates))


def summarise(trained: dict[str, Trained], options: ReportOptions, controls: Sequence[Names] = ()) -> Results:
    """Mean, spread and comparisons of every variant and metric.

    The family of the primary metric is all comparisons that the page shows in it: of the variants to the baseline and
    of the claim to its controls. Other metrics are not corrected: the page shows their means alone.

    Args:
        trained: the variants, in the order in which they are shown.
        options: the baseline, the primary metric and how sure a difference has to be.
        controls: further pairs to compare, (claim, control).
    """
    metrics = sorted({m for v in trained.values() for run in v.metrics.values() for m in run["test"]}, key=metric_order)
    estimates = {(name, metric): estimate(variant, metric) for name, variant in trained.items() for metric in metrics}
    baseline, primary = trained[options.baseline], options.primary
    comparisons = Comparisons[Names](Resampling(options.inference))
    others = [(name, variant) for name, variant in trained.items() if variant is not baseline]
    for metric in metrics:  # of all variants one after the other, so that each of them is read once
        for name, variant in others:
            comparisons.add((name, options.baseline), variant, baseline, metric)
        if metric == primary:
            for claim, control in controls:
                comparisons.add((claim, control), trained[claim], trained[control], metric)
    versus = {name: comparisons.of((name, options.baseline)) for name, _ in others}
    shown = {(name, options.baseline): {primary: found[primary]} for name, found in versus.items()}
    shown |= {pair: {primary: comparisons.of(pair)[primary]} for pair in controls}
    judged = corrected(shown)
    for name, found in versus.items():
        found[primary] = judged[name, options.baseline][primary]
    return Results(
        estimates,
        {(name, metric): found[metric] for name, found in versus.items() for metric in metrics},
        {pair: judged[pair][primary] for pair in controls},
        describe_family(family_sizes(shown)),
        {name: spread for name, one in trained.items() if (spread := user_spread(one, primary)) is not None},
    )


def results_json(trained: dict[str, Trained], results: Results, options: ReportOptions) -> dict[str, Any]:
    """The content of results.json: values at full precision, no timings, NaN as null, in a fixed order."""
    rows = [
        {"variant": name, "seed": seed, "metric": metric, "value": variant.values(metric).get(seed)}
        for name, variant in trained.items()
        for seed in variant.metrics
        for metric in results.metrics
    ]
    return {
        "baseline": options.baseline,
        "primary": options.primary,
        "alpha": options.alpha,
        "equivalence_margin": options.equivalence_margin,
        "tests": describe_tests(results, options),
        "rows": rows,
        "summary": [
            {"variant": variant, "metric": metric, "mean": found.mean, "std": found.std, "n_seeds": found.n_seeds}
            | asdict(results.of(variant, metric))
            | {"verdict": _word(results.of(variant, metric), metric, options)}
            for (variant, metric), found in results.estimates.items()
        ],
        "users": {
            "metric": options.primary,
            "shares": list(SHARES),
            "variants": {name: asdict(spread) for name, spread in results.users.items()},
        },
        "controls": [
            {"variant": claim, "control": control, "metric": options.primary}
            | asdict(found)
            | {"verdict": _word(found, options.primary, options)}
            for (claim, control), found in results.controls.items()
        ],
    }


def _word(found: Comparison, metric: str, options: ReportOptions) -> str | None:
    """The verdict; None where nothing is compared, or the page corrects nothing."""
    compared = found.difference is not None and metric == options.primary
    return verdict(found, metric, options.alpha).word if compared else None


def describe_tests(results: Results, options: ReportOptions) -> str:
    """Says exactly which tests stand behind the p-values and intervals."""
    return (
        f"All p-values are two-sided and compare a variant with {options.baseline}, or the claim with a control, on "
        "the test split, over the users with a value in both variants and the seeds that both were trained with. "
        "p_users: paired t-test over users, each user's value being the mean over seeds. p_users_randomisation: "
        "sign-flip randomisation test of the mean difference on the same pairs. "
        f"p_users_holm: after correction. {results.family} Other metrics than {options.primary} are not corrected. "
        "p_seeds: paired t-test over seeds, on the metric's mean over users; a variant that draws nothing has its one "
        "value for every seed of the other. "
        "p_equivalence_users, p_equivalence_seeds: two one-sided t-tests on the same pairs that the difference is at "
        f"least as large as the margin, {per_cent(options.equivalence_margin)} of the mean of what is compared with. "
        "ci_low and ci_high: bootstrap over users and over training seeds of the mean difference, "
        f"{options.bootstrap} resamples, {per_cent(1 - options.alpha)}; error: its standard error. "
        "family_low and family_high: the same interval, widened for chance over users as Bonferroni does for the "
        f"number of comparisons in {options.primary} (family_size). "
        "effect: d_z, the mean difference of users in standard deviations of their differences. detectable_users, "
        f"detectable_seeds: the difference that as many users, or seeds, show with a chance of {per_cent(POWER)} at "
        f"{per_cent(options.alpha)}, before correction. "
        "The tests over users hold for the models as they were trained; those over seeds speak of training again, and "
        "the interval of both. None knows of other data sets. "
        "n_differ: users whose value is another with any seed or draw; of none, the two are identical, in no family. "
        "null: no test is possible, with the reason beside it."
    )
