"""The typed configuration of a run: one YAML file in, one frozen `Config` out.

Every section belongs to the package that uses it; this file only puts them together and checks what spans several.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, PositiveInt, field_validator, model_validator

from augment.options import GenerationOptions, SourceOptions
from augrec.artefacts.files import write_text
from augrec.artefacts.metrics import METRICS, Metric
from augrec.artefacts.names import Folder, Name, Named, NamedFields
from augrec.artefacts.options import Options
from augrec.artefacts.tasks import Text
from augrec.artefacts.treatments import AS_IS, Treatment, training_seeds
from augrec.pipeline.base_options import BaseOptions, check_hints, check_monitor
from augrec.pipeline.budget import Budget
from augrec.pipeline.config_kinds import RUN, check_kind
from augrec.pipeline.controls import cards_of, given_texts, problems, refuse_old_keys, writes_text
from augrec.pipeline.hooks import Hooks
from augrec.pipeline.llm_draws import draw_name, with_draws
from augrec.pipeline.reranking.options import RerankOptions, RerankRow, rows_of
from augrec.pipeline.reranking.problems import reranking_problems
from augrec.pipeline.sections import read_sections, validated
from augrec.pipeline.seeds import Seed
from augrec.pipeline.start_from import StartFrom
from augrec.pipeline.trackers import TrackerName
from augrec.pipeline.tuning.options import TuneOptions, check_tuned
from augrec.report.options import ReportOptions
from embed.options import EmbeddingOptions, FeatureFileOptions
from recsys.data.options import DatasetOptions
from recsys.models.options.base import FamilyOptions, ModalityOptions, SideAugmentation
from recsys.models.registry import FAMILIES, ModelOptions
from recsys.options import EvaluationOptions, Judged, TrainingOptions

COUNT_FROM = "# Relative paths count from "


class CandidateOptions(Options):
    """The base recommender that proposes items for the LLM to judge."""

    size: PositiveInt = 10
    """|C|, the number of candidates shown per user (LLMRec uses 10)."""
    model: str = "lightgcn"
    """The base recommender: a name from `models`. It is trained on training interactions alone."""


class Augmentation(Options):
    """What a model is given of a source: a variant of a run says it for one model, an arm of a comparison for all."""

    source: str | None = None
    """A name from `generation.sources`: whose augmentation the model receives. None: no augmentation at all."""
    change: dict[str, Treatment] = Field(default_factory=dict)
    """What it does not receive of its source as it is, by task: `none` leaves a task's answers out, and controls keep
    their amount and lose their content. Texts and attributes: `shuffled` gives every user (item) those of another, all
    attributes of an item together. Texts: `random` draws Gaussian unit vectors, `constant` gives everybody the mean
    vector, `interactions` gives vectors that are made of the training interactions alone. Edges and insertions keep
    their number and the users: `random-candidates` draws their items from those that the same record showed, so that
    only the choice among them is lost; `random` draws unseen items uniformly, so that the list is lost too; `shuffled`
    gives every user those of another. The data's own attributes are always given."""
    asked: Budget | None = None
    """Only what the source says of so many users, as if it had been asked about them alone; of everybody unless given.
    Answers about items are given whole."""
    edge_positives: PositiveInt = 1
    """Of scored edges (`generation.tasks.edges.mode: score`): how many of a user's likeliest candidates become edges,
    each against the least likely one. Other records hold one edge."""
    edge_confidence: Literal["none", "weight", "threshold"] = "none"
    """What the confidence of scored edges does: nothing; `weight` counts an edge as much as its confidence, where an
    observed interaction counts 1; `threshold` leaves edges out below `edge_threshold`. Edges without one count 1."""
    edge_threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    """The least confidence with `edge_confidence: threshold`."""

    _old_keys = model_validator(mode="before")(refuse_old_keys)

    @field_validator("change")
    @classmethod
    def _without_as_is(cls, change: dict[str, Treatment]) -> dict[str, Treatment]:
        return {task: how for task, how in change.items() if how != AS_IS}


class Variant(Augmentation):
    """One row of the comparison: a model and what it is given."""

    model: str
    """A name from `models`."""
    seeds: list[Seed] | None = Field(None, min_length=1)
    """Training seeds of this variant; those of the run unless given. One is enough for a model in closed form, whose
    value is that of every seed; a drawn control (`shuffled`, `random`...) gets at least as many as the run has."""
    start_from: StartFrom | None = None
    """Another run's trainings, e.g. over an earlier `dataset.period`, whose embeddings of users and items these begin
    with. Users and items are matched by their ids in the source; the others begin as the seed draws them."""


class Config(Options):
    """One run: what is prepared, generated, trained and compared."""

    name: Name
    """The run's name; also the name of its folder under `runs/`."""
    output: Folder | None = None
    """The run folder; `runs/<name>` unless given."""
    seed: Seed = 0
    """The seed of splits, prompts and sampling. Training seeds are listed in `seeds`."""
    dataset: DatasetOptions
    candidates: CandidateOptions = CandidateOptions()
    base: BaseOptions | None = None
    """The recommender that hints in prompts are made by; null: prompts show none."""
    tune: TuneOptions | None = None
    """Instruction tuning of a language model before anything is generated; null: it is asked as it comes."""
    generation: GenerationOptions | None = None
    embedding: EmbeddingOptions | None = None
    features: NamedFields[FeatureFileOptions] = Field(default_factory=dict)
    """Item modalities that are brought along as matrices, by name, e.g. `image`."""
    models: Named[ModelOptions]
    """Named recommenders, each with its family and hyper-parameters."""
    training: TrainingOptions = TrainingOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    seeds: list[Seed] = Field(default=[1, 2, 3, 4, 5], min_length=1)
    """Training seeds: every variant is trained once per seed. Five or more for a claim."""
    workers: PositiveInt | None = None
    """Trainings that run side by side; by default one per CPU core, or one on a GPU."""
    variants: Named[Variant] = Field(min_length=1)
    rerank: RerankOptions | None = None
    """Lets a language model judge what trained variants list; null: nothing is re-ranked."""
    report: ReportOptions
    report_to: tuple[TrackerName, ...] = ()
    """Trackers that are told of every finished training: `tensorboard` (files in the run folder), `mlflow`, `wandb`."""
    hooks: Hooks = Hooks()

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.output or Path("runs") / self.name

    def seeds_of(self, variant: str) -> list[int]:
        """The training seeds of a variant."""
        return training_seeds(self.variants[variant].model_dump(), self.seeds)

    @property
    def reranked(self) -> dict[str, RerankRow]:
        """The rows that re-ranking adds to the variants, by name."""
        return {row.name: row for row in rows_of(self.rerank)}

    def draws_of(self, variant: str) -> list[str]:
        """The variants that a variant is trained as, one for each draw of its source; itself first."""
        source = self.variants[variant].source
        drawn = self.generation.sources[source].draws if self.generation and source else 1
        return [draw_name(variant, draw) for draw in range(1, drawn + 1)]

    def shown_variants(self) -> list[str]:
        """The variants that pages show: without those of further draws, which stand in the one they are draws of."""
        further = {name for variant in self.variants for name in self.draws_of(variant)[1:]}
        return [variant for variant in self.variants if variant not in further]

    _with_draws = model_validator(mode="before")(with_draws)

    @model_validator(mode="after")
    def _names_exist(self) -> Config:
        _known(self.candidates.model, self.models, "candidates.model", "models")
        for key, model in self.base.named_models.items() if self.base else ():
            _known(model, self.models, key, "models")
        sources = self.generation.sources if self.generation else {}
        for reranked in self.rerank.variants if self.rerank else ():
            _known(reranked, self.variants, "rerank.variants", "variants")
        if self.rerank:
            _known(self.rerank.source, sources, "rerank.source", "generation.sources")
        rows: dict[str, Any] = {**self.variants, **self.reranked}
        _known(self.report.baseline, rows, "report.baseline", "variants")
        if self.report.claim is not None:
            _known(self.report.claim, rows, "report.claim", "variants")
        for control in self.report.controls or ():
            _known(control, rows, "report.controls", "variants")
        for name, variant in self.variants.items():
            _known(variant.model, self.models, f"variants.{name}.model", "models")
            if variant.source is not None:
                _known(variant.source, sources, f"variants.{name}.source", "generation.sources")
                if variant.source not in self.asked:
                    raise ValueError(f"variants.{name}.source: '{variant.source}' is asked nothing; name its `tasks`")
        return self

    @model_validator(mode="after")
    def _sections_fit(self) -> Config:
        own = [(f"variants.{name}.seeds", variant.seeds) for name, variant in self.variants.items()]
        for key, seeds in (("seeds", self.seeds), *own):
            if seeds and len(set(seeds)) != len(seeds):
                raise ValueError(f"{key}: a seed is listed twice; each training needs its own")
        for name in {"text", *(self.generation.sources if self.generation else ())} & set(self.features):
            raise ValueError(f"features.{name}: the name is taken; call the matrix something else")
        if not self.embedding and any(writes_text(source) for source in self.asked.values()):
            raise ValueError("embedding: missing; the text that `generation` writes must be embedded by some model")
        for name, model in self.models.items():
            self._features_exist(name, model)
        for name, variant in self.variants.items():
            self._changes_fit(name, variant)
        shown = {"report.primary": self.report.primary, "training.monitor": self.training.monitor}
        shown |= {f"report.secondary.{place}": metric for place, metric in enumerate(self.report.secondary)}
        self._judged_alike(shown)
        for problem in reranking_problems(self):
            raise ValueError(problem)
        self._candidates_are_listed()
        self._noise_fits()
        self._starts_fit()
        check_hints(self.base, self.generation, self.models, self.training)
        self._tuning_fits()
        for key, metric in shown.items():
            if not Metric.parse(metric).computed(self.evaluation.cutoffs):
                cutoffs = ", ".join(str(cutoff) for cutoff in self.evaluation.cutoffs)
                raise ValueError(f"{key}: {metric} is not computed; evaluation.cutoffs are {cutoffs}")
        return self

    def _judged_alike(self, shown: dict[str, str]) -> None:
        """Raises ValueError where a metric, by its key, is not one by which the run's models are judged.

        Models that no variant trains are not looked at.
        """
        kinds = {name: self.models[variant.model].judged for name, variant in self.variants.items()}
        first, judged = next(iter(kinds.items()))
        for name, other in kinds.items():
            if other is not judged:
                raise ValueError(
                    f"variants: '{first}' is judged by {judged.words} and '{name}' by {other.words}, which cannot be "
                    "compared; make a run of each"
                )
        protocol = self.evaluation.protocol
        of_both = ("standard", "llama4rec") if judged is Judged.NEXT_ITEM else ("standard",)
        if judged is not Judged.RANKING and protocol not in of_both:
            raise ValueError(
                f"evaluation.protocol: {protocol} is of ranked lists, and the models are judged by {judged.words}"
            )
        monitors = {
            f"models.{name}.training.monitor": model.training.monitor
            for name, model in self.models.items()
            if model.training and "monitor" in model.training.model_fields_set and model.judged is judged
        }
        for key, text in {**shown, **monitors}.items():
            metric = Metric.parse(text)
            fits = judged.has_per_user(metric) if key == "report.primary" else judged.has(metric)
            if not fits:
                usable = [
                    name
                    for name in METRICS
                    if judged.has_per_user(Metric(name, 20 if METRICS[name].at_k else None, False))
                ]
                raise ValueError(
                    f"{key}: {text} is not what models that are judged by {judged.words} are compared by; choose from "
                    f"{', '.join(usable)}"
                )

    def _noise_fits(self) -> None:
        """Raises ValueError for false interactions of a model that cannot have any, or not of its own."""
        for name, model in self.models.items():
            for part, options in model.components.items():
                if options.training is not None and options.training.noise:
                    raise ValueError(
                        f"models.{name}.{part}.training.noise: a model and what it is made of are trained on the same "
                        f"interactions; set models.{name}.training.noise"
                    )
        for name in {variant.model: None for variant in self.variants.values()}:
            model = self.models[name]
            own = model.training_within(self.training)
            if own.noise and model.judged is not Judged.RANKING:
                raise ValueError(
                    f"models.{name}: training.noise is of models that are judged by ranked lists, and this one is "
                    f"judged by {model.judged.words}; a false interaction has no rating and no place in time"
                )

    def _starts_fit(self) -> None:
        """Raises ValueError where a model that is split over processes is to begin with another's embeddings."""
        for name, variant in self.variants.items():
            model = self.models[variant.model]
            if variant.start_from is None or not model.training_within(self.training).shard:
                continue
            own = model.training is not None and "shard" in model.training.model_fields_set
            key = f"models.{variant.model}.training.shard" if own else "training.shard"
            raise ValueError(
                f"variants.{name}.start_from: {key} splits the model over processes, and such a model cannot "
                f"begin with another's embeddings; set {key} to false, or leave start_from out"
            )

    @property
    def asked(self) -> dict[str, SourceOptions]:
        """The sources that augment."""
        return self.generation.asked if self.generation else {}

    def _candidates_are_listed(self) -> None:
        base = self.models[self.candidates.model]
        if base.judged is not Judged.RANKING:
            raise ValueError(
                f"candidates.model: '{self.candidates.model}' is judged by {base.judged.words}, and lists nothing"
            )
        needed = FAMILIES[base.family].needed(base)
        if needed:
            raise ValueError(
                f"candidates.model: '{self.candidates.model}' needs features ({', '.join(sorted(needed))}), and "
                "candidates are listed before there are any; name a model of interactions alone, e.g. lightgcn or ease"
            )
        check_monitor("candidates.model", self.candidates.model, self.models, self.training)

    def _tuning_fits(self) -> None:
        """Raises ValueError where what is taught cannot be made, or where an engine asks for a model nobody tunes."""
        if self.tune and self.tune.instructions.tasks and not self.base:
            raise ValueError(
                "tune.instructions.tasks: instructions are made of what the folds of a base recommender hold out; add "
                "a section `base`"
            )
        for name, source in (self.generation.sources if self.generation else {}).items():
            if source.engine.uses_tuned:
                check_tuned(source.engine, self.tune, f"generation.sources.{name}.engine")

    def _features_exist(self, name: str, model: FamilyOptions) -> None:
        if FAMILIES[model.family].uses_vectors(model) and not (self.embedding or self.features):
            raise ValueError(
                f"models.{name}: family {model.family} needs item features; add an `embedding` section for text, or "
                "`features` with matrices of your own"
            )
        there = [*(["text"] if self.embedding else []), *self.features, *self._texts_of_items()]
        named: tuple[str, ...] = (model.modalities or ()) if isinstance(model, ModalityOptions) else ()
        for modality in named:
            if modality not in there:
                raise ValueError(
                    f"models.{name}.modalities: the data have no '{modality}' features (they have: "
                    f"{', '.join(there)}); name a matrix in features.{modality}.path, or leave it out of `modalities`"
                )
        for part, options in model.components.items():
            self._features_exist(f"{name}.{part}", options)

    def _texts_of_items(self) -> set[str]:
        """What the sources' texts about items are called among the item features."""
        sources = self.generation.sources.values() if self.generation else ()
        cards = [pair for source in sources for pair in cards_of(source).items()]
        known = {card.feature for _, card in cards if card and card.about == "item" and isinstance(card.gives, Text)}
        return known | {task.removeprefix("item_") for task, card in cards if card is None}

    def _changes_fit(self, name: str, variant: Variant) -> None:
        sources = self.generation.sources if self.generation else {}
        plain, source = variant.model_dump(), sources.get(variant.source or "")
        for problem in problems(plain, source):
            raise ValueError(f"variants.{name}.{problem}")
        model = self.models.get(variant.model)
        if isinstance(model, SideAugmentation) and model.side.profile and not given_texts(plain, source, "user"):
            raise ValueError(
                f"variants.{name}: models.{variant.model}.side.profile is {model.side.profile:g}, and nobody makes "
                "profiles for it; name a `source` with a task that gives texts about users, e.g. user_profile, or set "
                "side.profile to 0"
            )


def _known(name: str, names: dict[str, Any], key: str, section: str) -> None:
    if name not in names:
        listed = ", ".join(names) or "it is empty"
        raise ValueError(f"{key}: '{name}' is not defined in `{section}` ({listed})")


def read_config(path: Path | str, overrides: list[str] | None = None) -> Config:
    """Reads a run's YAML file, applies `key=value` overrides and validates.

    Args:
        path: the YAML file.
        overrides: dotted keys with YAML values, e.g. `dataset.k_core=10` or `seeds=[1,2]`; null removes a section.

    Raises:
        UsageError: the file, an override or a value is wrong; every problem is named with its key.
    """
    path = Path(path)
    raw = read_sections(path, overrides)
    check_kind(raw, RUN, path)
    return validated(raw, Config, path)


def as_plain(config: Config) -> dict[str, Any]:
    """The resolved config as plain JSON values, every default filled in."""
    return config.model_dump(mode="json")


def without_places(config: Config) -> dict[str, Any]:
    """The resolved config without where things lie and how many processes work: what a result is, not where.

    Files and weights that are read from outside are identified by their content, in the stages that read them.
    """
    plain = as_plain(config)
    for key in ("output", "workers", "report_to", "hooks"):
        del plain[key]
    _drop_paths(config, plain)
    plain["dataset"] = data_without_places(config.dataset)
    if plain["embedding"]:
        del plain["embedding"]["model"]
    if plain["tune"]:
        del plain["tune"]["model"], plain["tune"]["instructions"]["also"]
    for source in (plain["generation"] or {}).get("sources", {}).values():
        if source["engine"]["kind"] == "vllm":
            del source["engine"]["model"], source["engine"]["tokenizer"]
    return plain


def data_without_places(options: DatasetOptions) -> dict[str, Any]:
    """The options of a data set without where its files lie; what is in them is hashed."""
    plain = options.model_dump(mode="json", exclude={"source": {"path"}})
    table = plain["source"].get("table") or {}
    table.update({key: Path(table[key]).name for key in ("interactions", "items", "users") if table.get(key)})
    return plain


def _drop_paths(options: Any, plain: Any) -> None:
    """Removes every value that is a path, at any depth."""
    inner = dict(options) if isinstance(options, Options) else options if isinstance(options, dict) else {}
    for key, value in inner.items():
        if isinstance(value, Path):
            plain.pop(key, None)
        elif isinstance(plain.get(key), dict):
            _drop_paths(value, plain[key])


def save_config(config: Config, path: Path) -> None:
    """Writes the resolved config as YAML beside the results, with the folder that its relative paths count from."""
    text = yaml.safe_dump(as_plain(config), sort_keys=False, allow_unicode=True, width=110)
    head = "# The resolved configuration of this run; written by augrec, edits are not read."
    write_text(path, f"{head}\n{COUNT_FROM}{json.dumps(str(Path.cwd()))}\n{text}")


def counts_from(path: Path) -> Path | None:
    """The folder that the relative paths of a saved config count from; None where it does not say, or is gone."""
    for line in path.read_text(encoding="utf-8").splitlines()[:2]:
        if line.startswith(COUNT_FROM):
            with suppress(ValueError, OSError):
                folder = Path(json.loads(line.removeprefix(COUNT_FROM)))
                return folder if folder.is_dir() else None
    return None
