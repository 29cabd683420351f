"""What each row of a run is, in one sentence made from the config."""

from __future__ import annotations

from dataclasses import dataclass

from augrec.report.numbers.variants import Trained
from augrec.report.pages.run.roles import Roles
from augrec.report.render.tables import Table, table, word, words
from augrec.report.render.wording import answers_in_words, counted, listed

TREATED = {
    "none": "without its {}",
    "shuffled": "its {} belonging to somebody else",
    "random": "its {} replaced by random ones of the same amount",
    "random-candidates": "its {} replaced by other choices among the same candidates",
    "constant": "its {} replaced by their mean, the same for everybody",
    "interactions": "its {} replaced by vectors made of the training interactions alone",
}
"""Treatment of a task's answers -> what is said of them."""
ORDERED = {
    "random": "in a random order",
    "popularity": "in the order of popularity",
    "shuffled": "by answers about other items",
    "uniform": "with the same weight for every user",
    "alone": "without the recommender's own word",
}
"""Control of re-ranking -> what is done in its place."""


@dataclass(frozen=True)
class Explained:
    """A row: what it is, and what it is here for."""

    name: str
    sentence: str
    role: str


def explain(name: str, roles: Roles) -> Explained:
    """One row of the results in a sentence, and its part on the page."""
    return Explained(name, _sentence(roles.trained[name], roles), _role(name, roles))


def variants_table(roles: Roles) -> Table | None:
    """Every row of the results, explained."""
    found = [explain(name, roles) for name in roles.trained]
    rows = [[word(one.name), word(one.sentence), word(one.role)] for one in found]
    return table(
        "variants-table", "What each variant is, made from the config", words("variant", "what it is", "here as"), rows
    )


def _role(name: str, roles: Roles) -> str:
    if name == roles.options.baseline:
        return "the baseline, which every row is compared with"
    claim = roles.claim()
    if claim is None:
        return ""
    if name == claim.name:
        return "the claim, which the verdict is about"
    controls = {control.name: control for control in roles.controls(claim)}
    return f"a control: whether {roles.at_stake(claim, controls[name])}" if name in controls else "a row beside it"


def _sentence(variant: Trained, roles: Roles) -> str:
    planned = roles.plan.get(variant.name)
    if planned is None:
        return f"A {variant.model} model; the config is not at hand to say more."
    if planned.reranked is not None:
        lists = f"The lists of {planned.reranked.variant}"
        if planned.reranked.control is not None:
            return f"{lists}, re-ranked {ORDERED.get(planned.reranked.control, planned.reranked.control)}."
        return f"{lists}, re-ranked by the answers to {planned.reranked.task}."
    read = "the training interactions alone"
    if planned.source is not None:
        by = f"the language model of the source {planned.source}"
        by = by if planned.source in roles.llm_sources else f"the source {planned.source}, which is no language model,"
        read = f"the training interactions and from what {by} wrote"
    parts = [f"{variant.model} {'computed' if variant.deterministic else 'learned'} from {read}"]
    treated = [
        TREATED.get(how, f"its {{}} {how}").format(answers_in_words(task)) for task, how in planned.changed.items()
    ]
    parts += [listed(treated)] if treated else []
    parts += ["nothing in it is drawn at random"] if variant.deterministic else []
    parts += [f"asked {counted(len(planned.draws), 'time')}"] if len(planned.draws) > 1 else []
    return f"{'; '.join(parts)}."
