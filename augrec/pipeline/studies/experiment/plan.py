"""Reads an experiment: its own sections, and every run config that follows from them, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import UsageError
from augrec.artefacts.metrics import Metric
from augrec.artefacts.names import did_you_mean
from augrec.pipeline.config.controls import given_texts
from augrec.pipeline.config.kinds import EXPERIMENT, check_kind, kind_of
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.config.sections import read_sections, validated
from augrec.pipeline.studies.experiment.compose import KEPT_MODELS, compose, row_model, swept_variant
from augrec.pipeline.studies.experiment.options import Experiment, Sweep, TableOptions
from augrec.pipeline.studies.plan import Cell, Plan
from augrec.pipeline.studies.search.spaces import Space, read_spaces
from augrec.pipeline.studies.search.subject import Values
from augrec.pipeline.studies.sections import merged
from recsys.models.options.base import SideAugmentation
from recsys.models.registry import FAMILIES


@dataclass(frozen=True)
class ExperimentPlan(Plan):
    """An experiment that was read and checked."""

    experiment: Experiment
    path: Path
    base: dict[str, Any]
    cells: list[Cell]
    spaces: dict[str, Space]
    """By family, for a search."""

    @property
    def folder(self) -> Path:
        """See `Plan.folder`."""
        return self.experiment.folder

    def tuned(self, cell: Cell, options: Mapping[str, Values]) -> Config:
        """See `Plan.tuned`."""
        return validated(compose(self.experiment, self.base, cell.dataset, cell.setting, options), Config, self.path)

    def swept(self) -> set[str]:
        """The names of the variants that sweeps make."""
        sweeps = self.experiment.sweeps.items()
        return {
            swept_variant(line, value)
            for name, sweep in sweeps
            for line in sweep.lines(name).values()
            for value in sweep.values
        }


def read_experiment(path: Path, overrides: list[str] | None = None) -> ExperimentPlan:
    """Reads an experiment's YAML file and checks all that follows from it.

    Raises:
        UsageError: the file, an override, a value, or a run config that results from them is wrong.
    """
    raw = read_sections(path, overrides)
    check_kind(raw, EXPERIMENT, path)
    experiment = validated(raw, Experiment, path)
    base = read_sections(path.parent / experiment.base) if isinstance(experiment.base, Path) else experiment.base
    if kind_of(base) is EXPERIMENT:
        raise UsageError("the base of an experiment must be a run config, not an experiment", where=path)
    cells = []
    for dataset in experiment.datasets:
        for setting in experiment.settings:
            config = validated(
                compose(experiment, base, dataset, setting), Config, f"{path}, data set {dataset}, setting {setting}"
            )
            _check_needs(config, path)
            cells.append(Cell(dataset, setting, config))
    for name, table in experiment.tables.items():
        _check_table(name, table, experiment, cells, path)
    for name, sweep in experiment.sweeps.items():
        for metric in sweep.metrics:
            _check_metric(metric, f"sweeps.{name}.metrics", cells, path)
        if sweep.own is not None:
            _check_own(name, sweep, cells, path)
    return ExperimentPlan(experiment, path, base, cells, _spaces(experiment, cells, path))


def _check_needs(config: Config, path: Path) -> None:
    """Refuses variants whose data will lack what their model cannot do without."""
    for name, variant in config.variants.items():
        options = config.models[variant.model]
        family = FAMILIES[options.family]
        source = config.generation.sources[variant.source] if config.generation and variant.source else None
        profiles = given_texts(variant.model_dump(), source, "user")
        wants_profiles = isinstance(options, SideAugmentation) and options.side.profile > 0
        needs_profiles = "user" in family.needed(options)
        if (needs_profiles or wants_profiles) and not profiles:
            what = f"family {family.name}" if needs_profiles else f"models.{variant.model}.side.profile"
            raise UsageError(
                f"variants.{name}: {what} needs user profiles, and nothing writes them for this variant",
                where=path,
                remedy="give the variant a `source` with a task of texts about users, e.g. user_profile, and no "
                "`change` that leaves it out",
            )


def _check_table(name: str, table: TableOptions, experiment: Experiment, cells: list[Cell], path: Path) -> None:
    for key in ("datasets", "settings"):
        for name_of_part in getattr(table, key) or ():
            _known(name_of_part, getattr(experiment, key), f"tables.{name}.{key}", path)
    if table.baseline_setting is not None:
        _known(table.baseline_setting, experiment.settings, f"tables.{name}.baseline_setting", path)
    shown = [
        cell
        for cell in cells
        if cell.dataset in (table.datasets or experiment.datasets)
        and cell.setting in (table.settings or experiment.settings)
    ]
    for cell in shown:
        named = {
            "rows": table.rows or (),
            "baseline": [table.baseline] if table.baseline else [],
            "against": [*table.against, *table.against.values()],
            "labels": table.labels,
        }
        for key, variants in named.items():
            for variant in variants:
                _known(variant, [*cell.config.variants, *cell.config.reranked], f"tables.{name}.{key}", path)
    for metric in table.metrics:
        _check_metric(metric, f"tables.{name}.metrics", shown, path)


def _check_own(name: str, sweep: Sweep, cells: list[Cell], path: Path) -> None:
    """Refuses a point that would stand where the variant's own model does not."""
    for cell in cells:
        for varied in sweep.lines(name):
            model = cell.config.models[cell.config.variants[varied].model]
            given = model.model_dump(mode="json", exclude=set() if model.training else {"training"})
            at_own = type(model).model_validate(merged(given, {sweep.option: sweep.own}))
            within = [each.training_within(cell.config.training) for each in (model, at_own)]
            rest = [each.model_dump(exclude={"training"}) for each in (model, at_own)]
            if within[0] != within[1] or rest[0] != rest[1]:
                raise UsageError(
                    f"sweeps.{name}.own: the model of '{varied}' has another {sweep.option} than {sweep.own!r}",
                    where=path,
                    remedy="put that value into `values`, which trains a variant with it",
                )


def _check_metric(metric: str, key: str, cells: list[Cell], path: Path) -> None:
    for cell in cells:
        if not Metric.parse(metric).computed(cell.config.evaluation.cutoffs):
            cutoffs = ", ".join(str(cutoff) for cutoff in cell.config.evaluation.cutoffs)
            raise UsageError(f"{key}: {metric} is not computed; evaluation.cutoffs are {cutoffs}", where=path)


def _known(name: str, names: Iterable[str], key: str, path: Path) -> None:
    names = list(names)
    if name not in names:
        raise UsageError(f"{key}: '{name}' is not one of {', '.join(names)}{did_you_mean(name, names)}", where=path)


def _spaces(experiment: Experiment, cells: list[Cell], path: Path) -> dict[str, Space]:
    search = experiment.search
    if search is None:
        return {}
    for cell in cells:
        trained = {seed for variant in cell.config.variants for seed in cell.config.seeds_of(variant)}
        reported = sorted(set(search.seeds) & (trained | set(cell.config.seeds)))
        if reported:
            raise UsageError(
                f"search.seeds: seed {reported[0]} is also reported; what is chosen on it would be judged on it",
                where=path,
                remedy="list other seeds, e.g. search.seeds: [1001]",
            )
        for model in search.models or ():
            _known(model, cell.config.models, "search.models", path)
    return read_spaces(path.parent / search.spaces)


def searched_models(search_models: tuple[str, ...] | None, config: Config, swept: set[str]) -> list[str]:
    """The models that a search covers, in the order of the variants that use them."""
    used: dict[str, str] = {}
    for name, variant in config.variants.items():
        if name not in swept:
            used.setdefault(variant.model, name)
    named = search_models or ()
    return [
        model
        for model, variant in used.items()
        if model not in KEPT_MODELS.values()
        and (search_models is None or model in named or any(model == row_model(name, variant) for name in named))
    ]
