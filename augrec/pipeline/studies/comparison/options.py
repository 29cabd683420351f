"""What a comparison is made of: the sections of its YAML file. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator, model_validator

from augrec.artefacts.metrics import MetricName
from augrec.artefacts.names import Folder, Name, Named, name_problem
from augrec.artefacts.options import Options
from augrec.pipeline.config.run_config import Augmentation, Variant
from augrec.pipeline.config.seeds import Seed
from augrec.pipeline.studies.comparison.local_models import LocalModels, with_model_arms
from augrec.report.options import Margin


class Release(Options):
    """A released augmentation, imported before anything else runs; sources replay it by its name."""

    layout: Literal["rlmrec", "llmrec"]
    """Whose files these are."""
    path: str | None = None
    """The released folder; that of the data set unless given."""


class Arm(Augmentation):
    """One augmentation as every recommender receives it: a source, or a control made from one.

    With a recommender's model it is a variant of the run.
    """

    title: str | None = None
    """Its name in tables and plots; the key unless given."""
    against: tuple[str, ...] = ()
    """The arms it is tested against, beside the baseline."""
    note: str | None = None
    """What a reader has to know of it."""

    def variant(self, model: str, seeds: list[Seed] | None) -> Variant:
        """The arm as a run's variant of one model."""
        options = {name: getattr(self, name) for name in Augmentation.model_fields}
        return Variant(model=model, seeds=seeds, **options)


class RecommenderOptions(Options):
    """One model that judges every arm, and the option that says how much the arm's features weigh in it."""

    title: str | None = None
    """Its name in tables and plots; the key unless given."""
    model: str
    """A name from `models`."""
    scale: str
    """The model's option that is tuned for every arm alike, e.g. `profile_scale`."""
    scales: tuple[NonNegativeFloat, ...] = Field(min_length=1)
    """The values that are tried for every arm, on validation. The best is kept; the first one where several are."""
    seeds: list[Seed] | None = Field(None, min_length=1)
    """Training seeds; those of the comparison unless given. One is enough for a model in closed form; arms that are
    drawn (shuffled, random) get at least as many as the comparison has."""

    @model_validator(mode="after")
    def _distinct(self) -> RecommenderOptions:
        if len(set(self.scales)) < len(self.scales):
            raise ValueError("scales: a value is listed twice")
        return self


def variant_name(arm: str, recommender: str) -> str:
    """What a run calls one arm under one recommender."""
    return f"{recommender}+{arm}"


class MemorisationPair(Options):
    """A source and its twin whose prompts name no titles: what the model knows by name shows in the difference."""

    named: str
    """The source that was shown titles."""
    anonymous: str
    """The source whose `titles` are anonymous."""


class Compare(Options):
    """Arms x recommenders on one data set, with the same split, seeds, embedding model and tuning budget."""

    name: Name
    """The comparison's name; also that of its folder under `runs/`."""
    title: str | None = None
    """Heading of the page."""
    output: Folder | None = None
    """The folder; `runs/<name>` unless given."""
    base: Path | dict[str, Any]
    """The run config everything starts from (data, generation, embedding, models, training): a file, relative to this
    one, or its sections. Its variants and its report are replaced."""
    change: dict[str, Any] = Field(default_factory=dict)
    """Changes to the base, as in an experiment."""
    published: Named[Release] = Field(default_factory=dict)
    """Released augmentations by name. `engine: {kind: replay, records: NAME}` replays one; a source of that name is
    made where the base has none."""
    hide_users: bool = False
    """Keep the source's ids of users and their histories from the pages, see `report.hide_users` of a run."""
    arms: Named[Arm] = Field(min_length=2)
    """What is compared; those of `models` are added."""
    reranked: tuple[str, ...] = ()
    """Arms whose lists a language model re-ranks under every recommender, as the section `rerank` of the base says (it
    needs no `variants`). Each row that this makes is an arm of the page: `none+ranking`, and its controls
    `none+ranking-shuffled`, `none+random`. Without, nothing is re-ranked, whatever the base does."""
    models: LocalModels | None = None
    """Several language models that are asked the same, an arm each, and what they give within budgets of users."""
    recommenders: Named[RecommenderOptions] = Field(min_length=1)
    """What judges."""
    baseline: str
    """The arm every other arm is tested against."""
    claim: str | None = None
    """The arm the headline is about, or a row of re-ranking such as `none+ranking`; the first one of a language model
    unless given."""
    seeds: list[Seed] = Field(default=[1, 2, 3, 4, 5], min_length=1)
    """Training seeds of what is reported."""
    tuning_seed: Seed = 1001
    """Training seed of the tuning; none that is reported."""
    metrics: tuple[MetricName, ...] = Field(("recall@20", "ndcg@20"), min_length=1)
    """What is reported; the first is that of the headline and of the tuning."""
    memorisation: tuple[MemorisationPair, ...] = ()
    """Pairs of sources for the memorisation probe."""
    item_vectors: str | None = None
    """The matrix by which the leak check knows items, as group/field under `embed/`; `SOURCE/FIELD` is what a source
    wrote of them. null: the data's own text (`data/text`), or TF-IDF of the texts where that is not embedded."""
    examples: int = Field(4, ge=0, le=50)
    """Users whose texts are shown side by side."""
    alpha: float = Field(0.05, gt=0, lt=0.5)
    """Significance level; intervals cover 1 - alpha."""
    bootstrap: PositiveInt = Field(2000, ge=100)
    """Resamples of the users and seeds behind each interval."""
    equivalence_margin: Margin = 0.02
    """The smallest difference that matters, as a share of the mean of the arm that another is tested against: .02 is
    2 %. Arms are called equivalent when they are shown to differ by less. Declare it before the run."""
    co2_g_per_kwh: float | None = Field(None, gt=0)
    """Grams of CO2 equivalent for a kilowatt-hour of your grid, by which energy is told as emissions."""
    price: str = "gpt-3.5-turbo-0125"
    """The entry of the price list that an improvement per dollar is reckoned with."""

    @property
    def folder(self) -> Path:
        """The comparison's folder."""
        return self.output or Path("runs") / self.name

    _model_arms = model_validator(mode="before")(with_model_arms)

    @field_validator("item_vectors")
    @classmethod
    def _two_names(cls, place: str | None) -> str | None:
        parts = [] if place is None else place.split("/")
        if place is not None and (len(parts) != 2 or any(name_problem(part) for part in parts)):
            raise ValueError("write it as group/field, e.g. data/text")
        return place

    @model_validator(mode="after")
    def _variants_differ(self) -> Compare:
        made: dict[str, tuple[str, str]] = {}
        for recommender in self.recommenders:
            for arm in self.arms:
                other = made.setdefault(variant_name(arm, recommender).casefold(), (arm, recommender))
                if other != (arm, recommender):
                    raise ValueError(
                        f"arms: '{arm}' under '{recommender}' is called like '{other[0]}' under '{other[1]}' "
                        f"({variant_name(arm, recommender)}); rename one"
                    )
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> Compare:
        rows = [arm for arm in self.reranked if (self.claim or "").startswith(f"{arm}+")]  # read_compare knows which
        named = (("baseline", self.baseline), *(("reranked", arm) for arm in self.reranked))
        for key, name in (*named, *(() if rows else (("claim", self.claim),))):
            if name is not None and name not in self.arms:
                raise ValueError(f"{key}: '{name}' is not one of the arms ({', '.join(self.arms)})")
        if len(set(self.reranked)) < len(self.reranked):
            raise ValueError("reranked: an arm is listed twice")
        for name, arm in self.arms.items():
            for other in arm.against:
                if other not in self.arms or other == name:
                    raise ValueError(f"arms.{name}.against: '{other}' is not another arm ({', '.join(self.arms)})")
        reported = {*self.seeds, *(seed for judge in self.recommenders.values() for seed in judge.seeds or ())}
        if self.tuning_seed in reported:
            raise ValueError(f"tuning_seed: {self.tuning_seed} is also reported; what it chooses would be judged on it")
        return self
