"""Tables of what was compared and of how each arm did under each recommender."""

from __future__ import annotations

import math
from typing import Any

from augrec.report.pages.comparison.looks import arm_looks, arm_titles, recommender_titles
from augrec.report.render.tables import Cell, Table, named, numbers, table, word, words
from augrec.report.render.wording import DASH, count, number, p_value, signed

Versus = dict[str, Any]


def arms_table(content: dict[str, Any]) -> Table | None:
    """Every arm: what wrote its text, and what was done to it."""
    looks = arm_looks(content)
    rows = [
        [
            word(arm.get("title") or arm["name"], look=looks[arm["name"]], strong=arm["name"] == content.get("claim")),
            word(looks[arm["name"]].title),
            word(arm.get("source")),
            word(arm.get("model")),
            word(_parts(arm)),
            _counted(arm.get("users"), "all" if arm.get("source") else DASH),
            word(arm.get("note")),
        ]
        for arm in content["arms"]
    ]
    columns = words("arm", "kind", "texts from", "written by", "changed")
    columns += (*numbers("users asked"), *words("note"))
    return table("arms-table", "The arms. Each recommender gets every arm's texts in the same way", columns, rows)


def _parts(arm: dict[str, Any]) -> str | None:
    """What differs from taking a source's texts as they are."""
    if not arm.get("source"):
        return None
    changed = [f"{part} {arm[part]}" for part in ("profiles", "edges", "attributes") if arm.get(part) not in _AS_GIVEN]
    return ", ".join(changed) or "nothing"


_AS_GIVEN = (None, "as-is")


def _counted(value: int | None, otherwise: str = DASH) -> Cell:
    return Cell(otherwise) if value is None else Cell(count(value), value)


def recommenders_table(content: dict[str, Any]) -> Table | None:
    """Every recommender, and the one option that was tuned for each arm."""
    rows = [
        [
            word(found.get("title") or found["name"]),
            word(found.get("family")),
            word(found.get("scale_option")),
            word(", ".join(f"{scale:g}" for scale in found.get("scales") or [] if scale is not None)),
        ]
        for found in content["recommenders"]
    ]
    caption = "The recommenders. The grid is the same for every arm; the choice is made on validation"
    return table("recommenders-table", caption, words("recommender", "family", "tuned option", "tried"), rows)


def results_table(content: dict[str, Any], group: dict[str, Any]) -> Table | None:
    """Arm x recommender for one group of users: the primary metric in full, the others with their difference."""
    arms, recommenders, looks = arm_titles(content), recommender_titles(content), arm_looks(content)
    baseline, primary = content["baseline"], content["primary"]
    others = [metric for metric in content["metrics"] if metric != primary]
    rows, notes = [], []
    best = {metric: _best(content, group["name"], metric) for metric in content["metrics"]}
    digits = {metric: digits_of(content, metric) for metric in content["metrics"]}
    for one in content["downstream"]:
        values = (one.get("groups") or {}).get(group["name"]) or {}
        is_baseline = one["arm"] == baseline
        under = ("baseline",) if is_baseline else ("the claim",) if one["arm"] == content.get("claim") else ()
        versus = {} if is_baseline else _versus(values.get(primary), baseline)
        title, judge = arms.get(one["arm"], one["arm"]), recommenders.get(one["recommender"], one["recommender"])
        if one.get("problem"):
            notes.append(f"{title} under {judge}: {one['problem']}")
        rows.append(
            [
                word(title, look=looks.get(one["arm"]), under=under),
                word(judge),
                _mean(values.get(primary), best[primary].get(one["recommender"]), digits[primary]),
                *_difference(versus, digits[primary]),
                Cell(p_value(versus.get("p_users_holm")), versus.get("p_users_holm")),
                Cell(p_value(versus.get("p_seeds")), versus.get("p_seeds")),
                Cell(DASH if one.get("scale") is None else f"{one['scale']:g}", one.get("scale")),
                *(
                    _other(values.get(m), None if is_baseline else baseline, best[m].get(one["recommender"]), digits[m])
                    for m in others
                ),
            ]
        )
    columns = words("arm", "recommender")
    columns += numbers(primary, "difference", "interval", "p\u00a0users|Holm", "p\u00a0seeds|t-test", "scale")
    columns += numbers(*(f"{metric}|difference, interval, p Holm" for metric in others))
    shown = group.get("title") or group["name"]
    caption = f"{shown}: differences are those to “{arms.get(baseline, baseline)}”; bold, the best of a recommender"
    return table(f"results-{group['number']}", caption, columns, rows, [*notes, *_why_dashes(content)])


def _best(content: dict[str, Any], group: str, metric: str) -> dict[str, float]:
    """Recommender -> highest mean, where several arms have one."""
    means: dict[str, list[float]] = {}
    for one in content["downstream"]:
        mean = (((one.get("groups") or {}).get(group) or {}).get(metric) or {}).get("mean")
        if mean is not None:
            means.setdefault(one["recommender"], []).append(mean)
    return {recommender: max(found) for recommender, found in means.items() if len(found) > 1}


def _versus(value: dict[str, Any] | None, arm: str) -> Versus:
    return ((value or {}).get("versus") or {}).get(arm) or {}


def digits_of(content: dict[str, Any], metric: str) -> int:
    """Digits after the point that leave three figures of the metric's highest mean; at least four."""
    groups = [values for one in content["downstream"] for values in (one.get("groups") or {}).values()]
    means = [((values or {}).get(metric) or {}).get("mean") for values in groups]
    highest = max((abs(mean) for mean in means if mean is not None), default=0.0)
    return 4 if highest == 0 else min(8, max(4, 2 - math.floor(math.log10(highest))))


def _mean(value: dict[str, Any] | None, best: float | None, digits: int) -> Cell:
    value = value or {}
    under = (f"± {number(value['std'], digits)}",) if value.get("std") is not None else ()
    mean = value.get("mean")
    return Cell(number(mean, digits), mean, under, strong=mean is not None and mean == best)


def _between(versus: Versus, digits: int) -> str:
    low, high = versus.get("low"), versus.get("high")
    return DASH if low is None or high is None else f"{signed(low, digits)} to {signed(high, digits)}"


def _difference(versus: Versus, digits: int) -> tuple[Cell, Cell]:
    """The difference and its interval."""
    found = versus.get("difference")
    return Cell(signed(found, digits), found), Cell(_between(versus, digits), versus.get("low"))


def _other(value: dict[str, Any] | None, baseline: str | None, best: float | None, digits: int) -> Cell:
    """A secondary metric: its mean, and under it the difference, its interval and p. No baseline: the mean alone."""
    cell = _mean(value, best, digits)
    versus = _versus(value, baseline) if baseline is not None else {}
    if versus.get("difference") is None:
        return cell
    under = [signed(versus["difference"], digits), _between(versus, digits)]
    under.append(f"p {p_value(versus.get('p_users_holm'))}")
    return Cell(cell.text, cell.value, tuple(under), strong=cell.strong)


def _why_dashes(content: dict[str, Any]) -> list[str]:
    notes = []
    if any(len(one.get("seeds") or ()) == 1 for one in content["downstream"]):
        notes.append("Without a spread: trained with one seed only.")
    groups = [group for one in content["downstream"] for group in (one.get("groups") or {}).values() if group]
    values = [value for group in groups for value in group.values() if value]
    found = [versus for value in values for versus in (value.get("versus") or {}).values() if versus]
    untested = [versus for versus in found if versus.get("p_seeds") is None]
    reasons = dict.fromkeys(versus["seeds_reason"] for versus in untested if versus.get("seeds_reason"))
    return [*notes, *(f"Without a p over seeds: {reason}." for reason in reasons)]


def against_table(content: dict[str, Any], group: dict[str, Any]) -> Table | None:
    """The comparisons with other arms than the baseline (controls, references), on the primary metric."""
    arms, recommenders, looks = arm_titles(content), recommender_titles(content), arm_looks(content)
    rows = []
    for one in content["downstream"]:
        value = ((one.get("groups") or {}).get(group["name"]) or {}).get(content["primary"]) or {}
        for other, versus in (value.get("versus") or {}).items():
            if other == content["baseline"] or not versus:
                continue
            rows.append(
                [
                    named(one["arm"], looks, arms),
                    named(other, looks, arms),
                    word(recommenders.get(one["recommender"], one["recommender"])),
                    *_difference(versus, digits_of(content, content["primary"])),
                    Cell(p_value(versus.get("p_users")), versus.get("p_users")),
                    Cell(p_value(versus.get("p_users_holm")), versus.get("p_users_holm")),
                    Cell(p_value(versus.get("p_seeds")), versus.get("p_seeds")),
                ]
            )
    columns = words("arm", "against", "recommender")
    columns += numbers("difference", "interval", "p users|t-test", "p users|Holm", "p seeds|t-test")
    caption = f"{group.get('title') or group['name']}, against controls and other arms: {content['primary']}"
    return table(f"against-{group['number']}", caption, columns, rows)


def tuning_table(content: dict[str, Any]) -> Table | None:
    """Validation by scale, the chosen one bold."""
    arms, recommenders, looks = arm_titles(content), recommender_titles(content), arm_looks(content)
    rows = [
        [
            named(one["arm"], looks, arms),
            word(recommenders.get(one["recommender"], one["recommender"])),
            Cell(f"{point['scale']:g}", point["scale"], strong=point["scale"] == one.get("scale")),
            Cell(number(point.get("valid")), point.get("valid"), strong=point["scale"] == one.get("scale")),
        ]
        for one in content["downstream"]
        for point in one.get("tuned") or []
        if point.get("scale") is not None
    ]
    columns = (*words("arm", "recommender"), *numbers("scale", f"valid {content['primary']}"))
    return table("tuning-table", "Tuning: the chosen scale is bold", columns, rows)
