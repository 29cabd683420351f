"""The typed configuration of a run: one YAML file in, one frozen `Config` out.

Every section belongs to the package that uses it; this file only puts them together, and `config_problems` checks what
spans several.
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
from augrec.artefacts.names import Folder, Name, Named, NamedFields
from augrec.artefacts.options import Options
from augrec.artefacts.treatments import AS_IS, Treatment, training_seeds
from augrec.pipeline.config.controls import refuse_old_keys
from augrec.pipeline.config.kinds import RUN, check_kind
from augrec.pipeline.config.llm_draws import draw_name, with_draws
from augrec.pipeline.config.problems import check_names, check_sections
from augrec.pipeline.config.sections import read_sections, validated
from augrec.pipeline.config.seeds import Seed
from augrec.pipeline.host.hooks import Hooks
from augrec.pipeline.reranking.options import RerankOptions, RerankRow, rows_of
from augrec.pipeline.side.budget import Budget
from augrec.pipeline.training.base_options import BaseOptions
from augrec.pipeline.training.start_from import StartFrom
from augrec.pipeline.training.trackers import TrackerName
from augrec.pipeline.tuning.options import TuneOptions
from augrec.report.options import ReportOptions
from embed.options import EmbeddingOptions, FeatureFileOptions
from recsys.data.options import DatasetOptions
from recsys.models.registry import ModelOptions
from recsys.options import EvaluationOptions, TrainingOptions

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

    @property
    def asked(self) -> dict[str, SourceOptions]:
        """The sources that augment."""
        return self.generation.asked if self.generation else {}

    @model_validator(mode="after")
    def _fits(self) -> Config:
        check_names(self)
        check_sections(self)
        return self


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
