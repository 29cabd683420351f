"""What a comparison found, in sentences made from its numbers by fixed rules.

The verdicts are the words of `augrec.report.numbers.verdicts`. An arm that was asked about some users only is judged on
these, and the sentence says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from augrec.artefacts.metrics import Metric
from augrec.report.measures.downstream import Design, GroupSize, Judgement, MetricValue
from augrec.report.numbers.verdicts import WORDS, Verdict, evidence, verdict
from augrec.report.pages.comparison.results import ArmFacts, Headline
from augrec.report.render.wording import count, counted, listed, number

ALL = "all"
PROFILED = "profiled"
WRITTEN = ("llm", "published")


def headline(
    design: Design,
    claim: str | None,
    arms: Sequence[ArmFacts],
    recommenders: Mapping[str, str],
    downstream: Sequence[Judgement],
    groups: Sequence[GroupSize],
) -> Headline:
    """What is said first.

    Args:
        design: what was compared with what.
        claim: the arm the headline is about; the first one of a language model unless given.
        arms: what each is.
        recommenders: name -> title.
        downstream, groups: how each arm did in each group.
    """
    kinds = {arm.name: arm.kind for arm in arms}
    claim = claim or next((name for name, kind in kinds.items() if kind in WRITTEN), None)
    if claim is None or claim == design.baseline:
        return Headline("No arm of a language model was compared with the baseline.", "", ())
    writer = _Writer(design, arms, recommenders, downstream, groups)
    written = [name for name, kind in kinds.items() if kind in WRITTEN and name not in (claim, design.baseline)]
    rest = [name for name in kinds if name not in (claim, design.baseline, *written)]
    details = (
        *writer.controls(claim),
        *(sentence for name in written for sentence in (writer.beside_baseline(name), *writer.controls(name))),
        *(writer.beside_baseline(name) for name in rest),
        *writer.best(),
    )
    return Headline(writer.beside_baseline(claim), writer.evidence(claim), details)


class _Writer:
    """Sentences about arms."""

    def __init__(
        self,
        design: Design,
        arms: Sequence[ArmFacts],
        recommenders: Mapping[str, str],
        downstream: Sequence[Judgement],
        groups: Sequence[GroupSize],
    ) -> None:
        self._design, self._metric = design, design.metrics[0]
        self._titles = {arm.name: arm.title for arm in arms}
        self._judges = recommenders
        self._partial = {arm.name for arm in arms if arm.users is not None}
        self._rows = {(judged.arm, judged.recommender): judged for judged in downstream}
        self._sizes = {group.name: group.users for group in groups}

    def _group(self, arm: str) -> str:
        return PROFILED if arm in self._partial and PROFILED in self._sizes else ALL

    def _value(self, arm: str, recommender: str, group: str) -> MetricValue:
        return self._rows[arm, recommender].groups[group][self._metric]

    def _mean(self, arm: str, recommender: str, group: str) -> str:
        return number(self._value(arm, recommender, group).mean)

    def _verdict(self, arm: str, other: str, recommender: str) -> Verdict | None:
        versus = self._value(arm, recommender, self._group(arm)).versus.get(other)
        return None if versus is None else verdict(versus, self._metric, self._design.alpha)

    def _verdicts(self, arm: str, other: str) -> str:
        """Each verdict with the recommenders that say so."""
        found = {title: self._verdict(arm, other, name) for name, title in self._judges.items()}
        said = {word: [title for title, one in found.items() if one is not None and one.word == word] for word in WORDS}
        return ", ".join(f"{word} with {listed(titles)}" for word, titles in said.items() if titles)

    def _reasons(self, arm: str, other: str) -> str:
        """What is to be added to the verdicts: of one reason that all share, the reason alone."""
        found = {title: self._verdict(arm, other, name) for name, title in self._judges.items()}
        reasons = {title: one.why for title, one in found.items() if one is not None and one.why}
        if len(set(reasons.values())) == 1 and len(reasons) == len(found):
            (why,) = set(reasons.values())
            return f" {why[:1].upper()}{why[1:]}."
        return "".join(f" {title}: {why}." for title, why in reasons.items())

    def beside_baseline(self, arm: str) -> str:
        """One sentence: an arm and the baseline."""
        base, group = self._design.baseline, self._group(arm)
        means = ", ".join(
            f"{title} {self._mean(arm, name, group)} against {self._mean(base, name, group)}"
            for name, title in self._judges.items()
        )
        where = "" if group == ALL else f" on the {count(self._sizes[group])} test users it was asked about"
        numbers = f"({self._metric}{where}: {means})"
        return f"{self._titles[arm]} beside {self._titles[base]}: {self._verdicts(arm, base)} {numbers}."

    def controls(self, arm: str) -> list[str]:
        """One sentence for each further arm it is tested against."""
        others = [other for other in self._design.against.get(arm, ()) if other != self._design.baseline]
        return [f"{self._titles[arm]} beside {self._titles[other]}: {self._verdicts(arm, other)}." for other in others]

    def evidence(self, arm: str) -> str:
        """The numbers behind the first sentence, by recommender."""
        base = self._design.baseline
        of = {title: self._value(arm, name, self._group(arm)).versus.get(base) for name, title in self._judges.items()}
        known = {title: found for title, found in of.items() if found is not None and found.difference is not None}
        parts = [f"{title}: {evidence(found, self._design.alpha)}" for title, found in known.items()]
        return f"{'; '.join(parts)}.{self._reasons(arm, base)}" if parts else ""

    def best(self) -> list[str]:
        """Which arm has the best mean over all users, by recommender; and a word on few seeds."""
        sentences = []
        metric = Metric.parse(self._metric)
        extreme = "lowest" if metric.lower_is_better else "highest"
        for name, title in self._judges.items():
            means = {arm: self._value(arm, name, ALL).mean for arm in self._design.arms}
            known = {arm: mean for arm, mean in means.items() if mean is not None}
            if known:
                best = metric.best(known.values())
                arm = next(arm for arm, mean in known.items() if mean == best)
                sentences.append(f"The {extreme} mean with {title} is that of {self._titles[arm]}, {number(best)}.")
        fewest = min((len(judged.seeds) for judged in self._rows.values()), default=0)
        if 1 < fewest < 5:
            seeds = counted(fewest, "seed")
            sentences.append(f"With {seeds} the spread of training is known poorly; five seeds or more are advisable.")
        return sentences
