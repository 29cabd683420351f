"""What several comparisons, each over a data set of its own, say of the same arms."""

from __future__ import annotations

from collections.abc import Mapping

from augrec.artefacts.errors import UsageError
from augrec.report.pages.across import Across, Effect, across_table, effect_of, together
from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.render.tables import Table


def across_comparisons(found: Mapping[str, ComparisonResults]) -> list[Across]:
    """Every arm, recommender and metric that two comparisons or more share, over all test users.

    Arms and recommenders are the same where their names in the configs are; titles are those of the first.

    Args:
        found: comparisons by what their data sets are called here.

    Raises:
        UsageError: there are fewer than two, they have other levels, or two are of the same data.
    """
    _check(found)
    rows: dict[tuple[str, str, str, str], dict[str, Effect]] = {}
    labels: dict[tuple[str, str], str] = {}
    for data, results in found.items():
        for judged in results.downstream:
            name = f"{results.recommender_titles[judged.recommender]}: {results.arm_titles[judged.arm]}"
            label = labels.setdefault((judged.recommender, judged.arm), name)
            for metric, value in judged.groups.get("all", {}).items():
                for other, versus in value.versus.items():
                    against = labels.setdefault(("", other), results.arm_titles.get(other, other))
                    effect = effect_of(versus)
                    if effect is not None:
                        rows.setdefault(("across", label, against, metric), {})[data] = effect
    alpha = next(iter(found.values())).alpha
    return [
        Across(*key, effects, together(list(effects.values()), alpha))
        for key, effects in rows.items()
        if len(effects) > 1
    ]


def table_across(found: Mapping[str, ComparisonResults], rows: list[Across]) -> Table | None:
    """The rows as a table; None where the comparisons share nothing."""
    alpha = next(iter(found.values())).alpha
    return across_table("comparisons", "Several comparisons", rows, {data: data for data in found}, alpha)


def _check(found: Mapping[str, ComparisonResults]) -> None:
    if len(found) < 2:
        raise UsageError("one comparison is of one data set", remedy="name two folders or more")
    levels = {data: results.alpha for data, results in found.items()}
    if len(set(levels.values())) > 1:
        told = ", ".join(f"{data}: {level:g}" for data, level in levels.items())
        raise UsageError(
            f"the comparisons have different levels ({told})", remedy="set the same alpha, and run them again"
        )
    seen: dict[str, str] = {}
    for data, results in found.items():
        split = str((results.provenance.config.get("dataset"), results.provenance.config.get("seed")))
        if split in seen:
            raise UsageError(
                f"'{seen[split]}' and '{data}' are of the same data, which would count twice",
                remedy="name comparisons over different data sets",
            )
        seen[split] = data
