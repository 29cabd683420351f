"""Which variant the headline is about, and which are its controls.

The options decide; else the config's `variants` section (model, source, and how each task's answers are treated) does;
a variant that the config does not describe is known by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from augrec.report.numbers.variants import Trained
from augrec.report.options import ReportOptions
from augrec.report.render.wording import answers_in_words, listed

BY_NAME = {
    "content": {"shuffled", "shuffle", "permuted", "random", "constant"},
    "heuristic": {"heuristic", "heuristics", "rules"},
    "without": {"without", "none", "plain", "base", "noaug"},
}
AT_STAKE = {
    "content": "the content of the augmentation, rather than merely having more inputs, is what helps",
    "heuristic": "the LLM adds anything to simple rules",
    "without": "the augmentation helps",
}
OF_EDGES = {
    "random-candidates": "the choice among the candidates shown, rather than having edges to them, is what helps",
    "random": "the edges' items, be it by the candidate list or by the choice among it, are what helps",
}
AS_IS, INTERACTIONS = "as-is", "interactions"
OTHERWISE = "what sets the two apart helps"
OF_LISTS = {
    "random": "the order that was given, rather than any other order of the same items, is what helps",
    "popularity": "the answers know more than what is popular",
    "shuffled": "what was said of these very items, rather than how much is moved in a list, is what helps",
    "uniform": "weights that depend on the user help",
    "alone": "the recommender's word beside the answers helps",
}
"""What a control of re-ranking is there to show."""


@dataclass(frozen=True)
class RerankedLists:
    """What a config says of a row of re-ranking.

    Attributes:
        variant: whose lists were judged.
        task: what was asked; None for a control that asks nobody.
        control: None for what is claimed.
    """

    variant: str
    task: str | None
    control: str | None

    def tests(self, claim: RerankedLists) -> bool:
        """Whether it is a control of a claim."""
        return self.control is not None and self.variant == claim.variant and self.task in (None, claim.task)


@dataclass(frozen=True)
class PlannedVariant:
    """What a config says of a variant.

    Attributes:
        model: its model's name in the config.
        source: whose augmentation it is given; None for none.
        changed: the tasks whose answers it is not given as they are -> how each is treated.
        seeds: those it is trained with; None: all that are found.
        reranked: which lists were judged, and how; None for a trained variant.
        draws: the variants it is trained as, one for each draw of its source; empty: itself alone.
    """

    model: str
    source: str | None = None
    changed: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] | None = None
    reranked: RerankedLists | None = None
    draws: tuple[str, ...] = ()


@dataclass(frozen=True)
class Roles:
    """Finds the claim and its controls, and says what a control is there to show.

    Args:
        trained: the variants in display order.
        options: the report's options; `claim` and `controls` there win.
        plan: what the config says of the variants, or an empty mapping.
        llm_sources: the sources that are an LLM's work, in order.
        kinds: task -> what its answers are, of the run's sources.
    """

    trained: dict[str, Trained]
    options: ReportOptions
    plan: Mapping[str, PlannedVariant]
    llm_sources: list[str]
    kinds: Mapping[str, str] = field(default_factory=dict)

    def claim(self) -> Trained | None:
        """The variant the headline is about; None when there is only the baseline."""
        if self.options.claim is not None:
            return self.trained[self.options.claim]
        others = [variant for name, variant in self.trained.items() if name != self.options.baseline]
        candidates = [variant for variant in others if not self._is_control(variant.name)]
        reranked = [variant for variant in candidates if self._reranked(variant)]
        by_llm = [v for source in self.llm_sources for v in candidates if self._uses(v.name, source)]
        baseline = self.trained[self.options.baseline]
        same_model = [variant for variant in candidates if self._model(variant) == self._model(baseline)]
        return next(iter([*reranked, *by_llm, *same_model, *candidates, *others]), None)

    def controls(self, claim: Trained) -> list[Trained]:
        """The claim's controls, without the baseline, which it is compared to anyway."""
        if self.options.controls is not None:
            named = [self.trained[name] for name in self.options.controls]
        elif own := self._reranked(claim):
            pairs = ((variant, self._reranked(variant)) for variant in self.trained.values())
            named = [variant for variant, lists in pairs if lists and lists.tests(own)]
        else:
            trained = [v for v in self.trained.values() if not self._reranked(v)]
            same_model = [v for v in trained if self._model(v) == self._model(claim)]
            named = [variant for variant in same_model if self._is_control(variant.name)]
        return [variant for variant in named if variant.name not in (claim.name, self.options.baseline)]

    def at_stake(self, claim: Trained, control: Trained) -> str:
        """What a difference between the two would support, as a clause after "that"."""
        if claim.name not in self.plan or control.name not in self.plan:
            return AT_STAKE.get(_kind_by_name(control.name) or "", OTHERWISE)
        mine, other = self.plan[claim.name], self.plan[control.name]
        if mine.reranked and other.reranked:
            return OF_LISTS[other.reranked.control or ""] if other.reranked.tests(mine.reranked) else OTHERWISE
        if mine.reranked or other.reranked:
            return OTHERWISE
        if self._model(claim) != self._model(control):
            return OTHERWISE
        if other.source is None:
            return AT_STAKE["without"]
        if other.source != mine.source:
            return OTHERWISE if other.source in self.llm_sources else AT_STAKE["heuristic"]
        parts = dict.fromkeys([*other.changed, *mine.changed])
        treatments = {part: other.changed.get(part, AS_IS) for part in parts}
        changed = {part: how for part, how in treatments.items() if how != mine.changed.get(part, AS_IS)}
        if not changed:
            return OTHERWISE
        edges = [how for task, how in changed.items() if self.kinds.get(task) == "edges"]
        if len(changed) == len(edges) == 1 and edges[0] in OF_EDGES:
            return OF_EDGES[edges[0]]
        named = listed([answers_in_words(task) for task in changed])
        if set(changed.values()) == {INTERACTIONS}:
            return f"what the {named} say, rather than any vectors that know the training interactions, is what helps"
        if "none" not in changed.values():
            return f"the content of the {named}, rather than merely having them, is what helps"
        return f"the {named} help"

    def _model(self, variant: Trained) -> str:
        return self.plan[variant.name].model if variant.name in self.plan else variant.model

    def _uses(self, name: str, source: str) -> bool:
        if name in self.plan:
            return self.plan[name].source == source
        return source.lower() in name.lower()

    def _reranked(self, variant: Trained) -> RerankedLists | None:
        return self.plan[variant.name].reranked if variant.name in self.plan else None

    def _is_control(self, name: str) -> bool:
        if name not in self.plan:
            return _kind_by_name(name) is not None
        planned = self.plan[name]
        if planned.reranked:
            return planned.reranked.control is not None
        return planned.source not in self.llm_sources or bool(planned.changed)


def _kind_by_name(name: str) -> str | None:
    """ "content", "heuristic" or "without" for the name of a control such as "llmrec-shuffled", else None."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return next((kind for kind, tokens in BY_NAME.items() if words & tokens), None)
