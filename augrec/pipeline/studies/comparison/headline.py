"""What a comparison found, in sentences made from its numbers by fixed rules.

A difference counts only when it is significant over users (after Holm's correction) and over seeds; one that is
significant over users and could not be tested over seeds is named as that. That none was found is never reported as
equality. An arm that was asked about some users only is judged on these, and the sentence says so.
"""

from __future__ import annotations

from typing import Any

from augrec.pipeline.studies.comparison.options import Compare
from augrec.report.numbers.statistics import decided
from augrec.report.render.wording import count, counted, interval, listed, number, p_equals, signed

ALL = "all"
PROFILED = "profiled"
WRITTEN = ("llm", "published")


def headline(
    compare: Compare, arms: list[dict[str, Any]], downstream: list[dict[str, Any]], groups: list[dict[str, Any]]
) -> dict[str, Any]:
    """The entry `headline` of compare.json, from its other entries.

    Args:
        compare: the comparison's options.
        arms, downstream, groups: those entries.
    """
    kinds = {arm["name"]: arm["kind"] for arm in arms}
    claim = compare.claim or next((name for name, kind in kinds.items() if kind in WRITTEN), None)
    if claim is None or claim == compare.baseline:
        return {"lead": "No arm of a language model was compared with the baseline.", "evidence": "", "details": []}
    writer = _Writer(compare, arms, downstream, groups)
    written = [name for name, kind in kinds.items() if kind in WRITTEN and name not in (claim, compare.baseline)]
    rest = [name for name in kinds if name not in (claim, compare.baseline, *written)]
    details = [
        *writer.controls(claim),
        *(sentence for name in written for sentence in (writer.beside_baseline(name), *writer.controls(name))),
        *(writer.beside_baseline(name) for name in rest),
        *writer.best(),
    ]
    return {"lead": writer.beside_baseline(claim), "evidence": writer.evidence(claim), "details": details}


class _Writer:
    """Sentences about arms."""

    def __init__(
        self,
        compare: Compare,
        arms: list[dict[str, Any]],
        downstream: list[dict[str, Any]],
        groups: list[dict[str, Any]],
    ) -> None:
        self._compare, self._metric = compare, compare.metrics[0]
        self._titles = {arm["name"]: arm["title"] for arm in arms}
        self._partial = {arm["name"] for arm in arms if arm["users"] is not None}
        self._rows = {(row["arm"], row["recommender"]): row for row in downstream}
        self._sizes = {group["name"]: group["users"] for group in groups}

    def _group(self, arm: str) -> str:
        return PROFILED if arm in self._partial and PROFILED in self._sizes else ALL

    def _cell(self, arm: str, recommender: str, group: str) -> dict[str, Any]:
        cell: dict[str, Any] = self._rows[arm, recommender]["groups"][group][self._metric]
        return cell

    def _named(self, recommender: str) -> str:
        return self._compare.recommenders[recommender].title or recommender

    def _verdicts(self, arm: str, other: str) -> str:
        """Better, worse and open, each with the recommenders that say so."""
        found: dict[str, list[str]] = {"better": [], "worse": [], "above": [], "below": [], "open": []}
        for recommender in self._compare.recommenders:
            versus = self._cell(arm, recommender, self._group(arm))["versus"].get(other)
            if versus is not None:
                kind = verdict(versus, self._compare.alpha)
                if kind == "open":
                    kind = _over_users_alone(versus, self._compare.alpha)
                found[kind].append(self._named(recommender))
        words = {
            "better": "significantly better",
            "worse": "significantly worse",
            "above": "above over users, untested over seeds,",
            "below": "below over users, untested over seeds,",
            "open": "not distinguishable",
        }
        return ", ".join(f"{words[kind]} with {listed(names)}" for kind, names in found.items() if names)

    def beside_baseline(self, arm: str) -> str:
        """One sentence: an arm and the baseline."""
        base, group = self._compare.baseline, self._group(arm)
        means = ", ".join(
            f"{self._named(name)} {number(self._cell(arm, name, group)['mean'])} against "
            f"{number(self._cell(base, name, group)['mean'])}"
            for name in self._compare.recommenders
        )
        where = "" if group == ALL else f" on the {count(self._sizes[group])} test users it was asked about"
        numbers = f"({self._metric}{where}: {means})"
        return f"{self._titles[arm]} beside {self._titles[base]}: {self._verdicts(arm, base)} {numbers}."

    def controls(self, arm: str) -> list[str]:
        """One sentence for each further arm it is tested against."""
        others = [other for other in self._compare.arms[arm].against if other != self._compare.baseline]
        return [f"{self._titles[arm]} beside {self._titles[other]}: {self._verdicts(arm, other)}." for other in others]

    def evidence(self, arm: str) -> str:
        """The numbers behind the first sentence, by recommender."""
        parts = []
        for recommender in self._compare.recommenders:
            versus = self._cell(arm, recommender, self._group(arm))["versus"].get(self._compare.baseline)
            if versus is None or versus["difference"] is None:
                continue
            text = f"{self._named(recommender)}: difference {signed(versus['difference'])}"
            if versus["low"] is not None:
                level = f"{100 * (1 - self._compare.alpha):g}\u00a0%"
                text += f", {level} interval {interval(versus['low'], versus['high'])}"
            if versus["p_users_holm"] is not None:
                text += f", over users {p_equals(versus['p_users_holm'])} (Holm)"
            if versus["p_seeds"] is not None:
                text += f", over seeds {p_equals(versus['p_seeds'])}"
            parts.append(text)
        return "; ".join(parts) + "." if parts else ""

    def best(self) -> list[str]:
        """Which arm has the highest mean over all users, by recommender; and a word on few seeds."""
        sentences = []
        for name in self._compare.recommenders:
            means = {arm: self._cell(arm, name, ALL)["mean"] for arm in self._compare.arms}
            known = {arm: mean for arm, mean in means.items() if mean is not None}
            if known:
                arm = max(known, key=lambda arm: known[arm])
                mean = number(known[arm])
                sentences.append(f"The highest mean with {self._named(name)} is that of {self._titles[arm]}, {mean}.")
        fewest = min((len(row["seeds"]) for row in self._rows.values()), default=0)
        if 1 < fewest < 5:
            told = counted(fewest, "seed")
            sentences.append(f"With {told} the spread of training is known poorly; five seeds or more are advisable.")
        return sentences


def verdict(versus: dict[str, Any], alpha: float) -> str:
    """ "better", "worse" or "open", by the tests over users (corrected) and over seeds together."""
    sign = decided(versus["difference"], versus["p_users_holm"], versus["p_seeds"], alpha)
    return {1: "better", -1: "worse", 0: "open"}[sign]


def _over_users_alone(versus: dict[str, Any], alpha: float) -> str:
    """ "above" or "below" where the users decide and no test over seeds is possible, else "open"."""
    users = versus["p_users_holm"]
    if versus["p_seeds"] is not None or users is None or users >= alpha or not versus["difference"]:
        return "open"
    return "above" if versus["difference"] > 0 else "below"
