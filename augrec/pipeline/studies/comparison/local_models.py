"""Several language models in one comparison: the same questions to each, and what each gives when fewer are asked.

`models` copies one source of the base for every model, with other weights and nothing else changed, and makes an arm of
each copy. Its `budgets` make further arms, which are given what the model says of some users only: nothing is asked
again for them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from augrec.artefacts.errors import UsageError
from augrec.artefacts.names import Named, did_you_mean
from augrec.artefacts.options import Options
from augrec.artefacts.treatments import Treatment
from augrec.pipeline.side.budget import Budget
from augrec.pipeline.studies.sections import merged


class LocalModel(Options):
    """One language model."""

    model: str
    """Its weights, as in an engine's `model`."""
    title: str | None = None
    """Its name in tables and plots; the key unless given."""
    engine: dict[str, Any] = Field(default_factory=dict)
    """What else its engine needs otherwise, e.g. `max_num_seqs`."""


class LocalModels(Options):
    """Models that answer the same questions, an arm each."""

    like: str
    """A source of the base: its engine, tasks and users are those of every model. It is not asked itself unless an arm
    names it."""
    each: Named[LocalModel] = Field(min_length=1)
    """The models by the name of their source and arm, in the order of their tables."""
    change: dict[str, Treatment] = Field(default_factory=dict)
    """What their arms do not receive as it is, see an arm's `change`."""
    against: tuple[str, ...] = ()
    """The arms that each is tested against, beside the baseline."""
    budgets: tuple[Budget, ...] = ()
    """Further arms of each model: what it says of so many users, e.g. `{users: 50, by: tail}`."""


def budget_arm(model: str, budget: Mapping[str, Any]) -> str:
    """What the arm of a model within a budget is called."""
    return f"{model}-{budget.get('by', 'tail')}-{budget.get('users')}"


def with_model_arms(raw: Any) -> Any:
    """The sections of a comparison with an arm for every model and budget; arms that are written down stay.

    Sections that are not as they should be are left to those that check them.
    """
    models = raw.get("models") if isinstance(raw, Mapping) else None
    if not isinstance(models, Mapping) or not isinstance(models.get("each"), Mapping):
        return raw
    arms = dict(raw.get("arms") or {})
    shared = {key: copy.deepcopy(models[key]) for key in ("change", "against") if models.get(key)}
    for name, model in models["each"].items():
        title = (model.get("title") if isinstance(model, Mapping) else None) or name
        arms.setdefault(name, {"title": title, "source": name, **shared})
        for budget in models.get("budgets") or ():
            if isinstance(budget, Mapping):
                told = f"{title}, {budget.get('users')} users, {budget.get('by', 'tail')}"
                arm = {"title": told, "source": name, "asked": dict(budget), "change": shared.get("change", {})}
                arms.setdefault(budget_arm(name, budget), arm)
    return {**raw, "arms": arms}


def add_model_sources(models: LocalModels, used: set[str | None], raw: dict[str, Any]) -> None:
    """Gives a run's sections the source of every model, and takes the one that they are like away where none uses it.

    Args:
        models: the section.
        used: the sources that arms or probes name.
        raw: the sections of the run, changed in place.

    Raises:
        UsageError: the base has no such source.
    """
    sources = raw.setdefault("generation", {}).setdefault("sources", {})
    if models.like not in sources:
        known = ", ".join(sources) or "there are none"
        hint = did_you_mean(models.like, sources)
        raise UsageError(f"models.like: '{models.like}' is not a source of the base ({known}){hint}")
    pattern = sources[models.like]
    made = {
        name: merged(pattern, {"engine": {**model.engine, "model": model.model}}) for name, model in models.each.items()
    }
    if models.like not in used:
        del sources[models.like]
    sources.update(made)
