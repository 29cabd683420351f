"""Tables of what was compared and of how each arm did under each recommender."""

from __future__ import annotations

import math
from collections.abc import Mapping

from augrec.artefacts.metrics import Metric
from augrec.report.measures.downstream import GroupSize, Judgement, MetricValue
from augrec.report.numbers.comparison import Comparison
from augrec.report.numbers.verdicts import verdict
from augrec.report.pages.comparison.legend import arm_looks
from augrec.report.pages.comparison.results import ArmFacts, ComparisonResults
from augrec.report.pages.spread_of_users import spread_cells, spread_table
from augrec.report.pages.verdict_columns import verdict_cell, verdict_cells, verdict_columns
from augrec.report.render.tables import Cell, Row, Table, named, numbers, table, word, words
from augrec.report.render.wording import DASH, count, counted, interval, number, per_cent, signed


def arms_table(results: ComparisonResults) -> Table | None:
    """Every arm: what wrote its text, and what was done to it."""
    looks = arm_looks(results)
    rows = [
        [
            word(arm.title or arm.name, look=looks[arm.name], strong=arm.name == results.claim),
            word(looks[arm.name].title),
            word(arm.source),
            word(arm.model),
            word(_changed(arm)),
            _counted(arm.users, "all" if arm.source else DASH),
            word(arm.note),
        ]
        for arm in results.arms
    ]
    columns = words("arm", "kind", "texts from", "written by", "changed")
    columns += (*numbers("users asked"), *words("note"))
    return table("arms-table", "The arms. Each recommender gets every arm's texts in the same way", columns, rows)


def _changed(arm: ArmFacts) -> str | None:
    """What differs from taking a source's texts as they are."""
    if not arm.source:
        return None
    return ", ".join(f"{task.replace('_', ' ')} {treatment}" for task, treatment in arm.change.items()) or "nothing"


def _counted(value: int | None, otherwise: str = DASH) -> Cell:
    return Cell(otherwise) if value is None else Cell(count(value), value)


def recommenders_table(results: ComparisonResults) -> Table | None:
    """Every recommender, and the one option that was tuned for each arm."""
    rows = [
        [
            word(results.recommender_titles[recommender.name]),
            word(recommender.family),
            word(recommender.scale_option),
            word(", ".join(f"{scale:g}" for scale in recommender.scales)),
        ]
        for recommender in results.recommenders
    ]
    caption = "The recommenders. The grid is the same for every arm; the choice is made on validation"
    return table("recommenders-table", caption, words("recommender", "family", "tuned option", "tried"), rows)


def results_table(results: ComparisonResults, group: GroupSize, number_of_group: int) -> Table | None:
    """Arm x recommender for one group of users: the primary metric in full, the others with their difference."""
    baseline, primary = results.baseline, results.primary
    secondary = [metric for metric in results.metrics if metric != primary]
    best = {metric: best_means(results, group.name, metric) for metric in results.metrics}
    digits = {metric: digits_of(results, metric) for metric in results.metrics}
    rows, notes = [], []
    for judged in results.downstream:
        title, judge = _titles(results, judged)
        top = {metric: best[metric].get(judged.recommender) for metric in results.metrics}
        versus = judged.versus(group.name, primary, baseline)
        value, versus_value = judged.value(group.name, primary), versus or NO_TEST
        if judged.problem:
            notes.append(f"{title} under {judge}: {judged.problem}")
        rows.append(
            [
                word(title, look=arm_looks(results).get(judged.arm), under=_role(results, judged.arm)),
                word(judge),
                _mean(value, top[primary], digits[primary]),
                *_difference(versus_value, digits[primary]),
                _verdict(versus, primary, results.alpha),
                Cell(DASH if judged.scale is None else f"{judged.scale:g}", judged.scale),
                Cell(str(len(judged.tuned)), len(judged.tuned)),
                *(
                    _secondary(judged.value(group.name, metric), results, metric, top[metric], digits[metric])
                    for metric in secondary
                ),
            ]
        )
    columns = words("arm", "recommender")
    columns += numbers(primary, "difference", "interval|simultaneous")
    columns += (*words("verdict"), *numbers("scale", "trials"))
    columns += numbers(*(f"{metric}|difference, interval, verdict" for metric in secondary))
    against = results.arm_titles.get(baseline, baseline)
    caption = f"{group.title or group.name}: differences are those to “{against}”; bold, the best of a recommender"
    notes += [*_one_seed(results), budgets(results)]
    return table(f"results-{number_of_group}", caption, columns, rows, notes)


def budgets(results: ComparisonResults) -> str:
    """Whether every arm with something to weigh had equally many trials under each recommender."""
    arms, judges = results.arm_titles, results.recommender_titles
    words = []
    for name in judges:
        counts: dict[int, list[str]] = {}
        for judged in results.judged_by(name):
            if judged.tuned:
                counts.setdefault(len(judged.tuned), []).append(arms.get(judged.arm, judged.arm))
        if len(counts) > 1:
            each = "; ".join(f"{counted(trials, 'trial')}: {', '.join(counts[trials])}" for trials in counts)
            words.append(f"under {judges[name]} unequal budgets: {each}")
        elif counts:
            words.append(f"{counted(next(iter(counts)), 'trial')} for every arm with texts under {judges[name]}")
    without = [arms.get(judged.arm, judged.arm) for judged in results.downstream if not judged.tuned]
    more = f" Nothing to weigh, and so no trial: {', '.join(dict.fromkeys(without))}." if without else ""
    return f"Budget of the tuning: {'; '.join(words) or 'nothing was tuned'}.{more}"


NO_TEST = Comparison()


def _titles(results: ComparisonResults, judged: Judgement) -> tuple[str, str]:
    """Of the arm and of the recommender."""
    arms, recommenders = results.arm_titles, results.recommender_titles
    return arms.get(judged.arm, judged.arm), recommenders.get(judged.recommender, judged.recommender)


def _role(results: ComparisonResults, arm: str) -> tuple[str, ...]:
    return ("baseline",) if arm == results.baseline else ("the claim",) if arm == results.claim else ()


def best_means(results: ComparisonResults, group: str, metric: str) -> Mapping[str, float]:
    """Recommender -> best mean of a group, where several arms have one."""
    means: dict[str, list[float]] = {}
    for judged in results.downstream:
        mean = judged.mean(group, metric)
        if mean is not None:
            means.setdefault(judged.recommender, []).append(mean)
    best = Metric.parse(metric).best
    return {recommender: best(values) for recommender, values in means.items() if len(values) > 1}


def digits_of(results: ComparisonResults, metric: str) -> int:
    """Digits after the point that leave three figures of the metric's highest mean; at least four."""
    means = [judged.mean(group, metric) for judged in results.downstream for group in judged.groups]
    highest = max((abs(mean) for mean in means if mean is not None), default=0.0)
    return 4 if highest == 0 else min(8, max(4, 2 - math.floor(math.log10(highest))))


def _mean(value: MetricValue | None, best: float | None, digits: int) -> Cell:
    if value is None:
        return Cell()
    under = () if value.std is None else (f"± {number(value.std, digits)}",)
    strong = value.mean is not None and value.mean == best
    return Cell(number(value.mean, digits), value.mean, under, strong=strong)


def _verdict(versus: Comparison | None, metric: str, alpha: float) -> Cell:
    """The word; a dash for the baseline."""
    return Cell() if versus is None else verdict_cell(versus, metric, alpha)


def _difference(versus: Comparison, digits: int) -> tuple[Cell, Cell]:
    """The difference and its interval."""
    found = interval(versus.family_low, versus.family_high, digits)
    return Cell(signed(versus.difference, digits), versus.difference), Cell(found, versus.family_low)


def _secondary(
    value: MetricValue | None, results: ComparisonResults, metric: str, best: float | None, digits: int
) -> Cell:
    """A secondary metric: its mean, and under it the difference to the baseline, its interval and verdict."""
    cell = _mean(value, best, digits)
    versus = value.versus.get(results.baseline) if value is not None else None
    if versus is None or versus.difference is None:
        return cell
    difference, found = _difference(versus, digits)
    under = (difference.text, found.text, verdict(versus, metric, results.alpha).word)
    return Cell(cell.text, cell.value, under, strong=cell.strong)


def _one_seed(results: ComparisonResults) -> list[str]:
    one = any(len(judged.seeds) == 1 for judged in results.downstream)
    return ["Without a spread: trained with one seed only."] if one else []


def against_table(results: ComparisonResults, group: GroupSize, number_of_group: int) -> Table | None:
    """Every comparison of a group, with the baseline and with other arms, on the primary metric."""
    arms, looks, digits = results.arm_titles, arm_looks(results), digits_of(results, results.primary)
    compared = [
        (judged, other, versus)
        for judged in results.downstream
        if (value := judged.value(group.name, results.primary)) is not None
        for other, versus in value.versus.items()
    ]
    rows = [
        [
            named(judged.arm, looks, arms),
            named(other, looks, arms),
            word(_titles(results, judged)[1]),
            *verdict_cells(versus, results.primary, results.alpha, digits),
        ]
        for judged, other, versus in compared
    ]
    columns = (*words("arm", "against", "recommender"), *verdict_columns(results.alpha))
    caption = (
        f"{group.title or group.name}, every comparison in {results.primary}. The margin of equivalence is "
        f"{per_cent(results.equivalence_margin)} of the mean of “against”"
    )
    reasons = dict.fromkeys(versus.seeds_reason for _, _, versus in compared if versus.seeds_reason)
    notes = [f"Without a p over seeds: {reason}." for reason in reasons]
    return table(f"against-{number_of_group}", caption, columns, rows, notes)


def users_table(results: ComparisonResults, group: GroupSize, number_of_group: int) -> Table | None:
    """How the primary metric of every arm is spread over the users of a group."""
    digits = digits_of(results, results.primary)
    rows = [
        Row(
            (
                named(judged.arm, arm_looks(results), results.arm_titles),
                word(_titles(results, judged)[1]),
                *spread_cells(value.users, value.versus.get(results.baseline), digits),
            )
        )
        for judged in results.downstream
        if (value := judged.value(group.name, results.primary)) is not None and value.users is not None
    ]
    return spread_table(f"users-{number_of_group}", results.primary, words("arm", "recommender"), rows)


def tuning_table(results: ComparisonResults) -> Table | None:
    """Validation by scale, the chosen one bold."""
    rows = [
        [
            named(judged.arm, arm_looks(results), results.arm_titles),
            word(_titles(results, judged)[1]),
            Cell(f"{tried.scale:g}", tried.scale, strong=tried.scale == judged.scale),
            Cell(number(tried.valid), tried.valid, strong=tried.scale == judged.scale),
        ]
        for judged in results.downstream
        for tried in judged.tuned
    ]
    columns = (*words("arm", "recommender"), *numbers("scale", f"valid {results.primary}"))
    return table("tuning-table", "Tuning: the chosen scale is bold", columns, rows)
