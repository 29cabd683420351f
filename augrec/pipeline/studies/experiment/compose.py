"""From an experiment to run configs: one for every data set and setting."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from augrec.artefacts.errors import UsageError
from augrec.artefacts.metrics import Metric
from augrec.artefacts.names import LONGEST
from augrec.artefacts.study_folder import ExperimentFolder
from augrec.pipeline.config.run_config import CandidateOptions
from augrec.pipeline.studies.experiment.options import Experiment, Sweep
from augrec.pipeline.studies.sections import merged
from recsys.options import EvaluationOptions

KEPT_MODELS = {
    ("candidates", "model"): "candidates-base",
    ("base", "model"): "hints-base",
    ("base", "vectors"): "hints-vectors",
}
"""(section, key) of a config that names a model, and what its copy is called that a search leaves alone."""


def compose(
    experiment: Experiment,
    base: Mapping[str, Any],
    dataset: str,
    setting: str,
    tuned: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The sections of one run: base, then the experiment's changes, the data set's and the setting's, then sweeps.

    Args:
        experiment: the experiment.
        base: the sections of its base.
        dataset, setting: names.
        tuned: options found by the search, by model; dotted keys.
    """
    raw = merged(base, experiment.change)
    raw["models"] = merged(raw.get("models") or {}, experiment.models)
    if experiment.variants is not None:
        raw["variants"] = copy.deepcopy(experiment.variants)
    if experiment.seeds is not None:
        raw["seeds"] = list(experiment.seeds)
    raw = merged(raw, experiment.datasets[dataset].change)
    raw = merged(raw, experiment.settings[setting].change)
    if experiment.search is not None:
        _keep_stages_models(raw)
        _give_rows_their_models(raw)
    for model, options in (tuned or {}).items():
        raw["models"][model] = merged(raw["models"][model], options)
    for name, sweep in experiment.sweeps.items():
        for variant, line in sweep.lines(name).items():
            _add_line(raw, name, sweep, variant, line)
    raw["name"] = re.sub(r"[^A-Za-z0-9_+-]", "-", f"{experiment.name}-{dataset}-{setting}")[:LONGEST]
    raw["output"] = str(ExperimentFolder(experiment.folder).run(dataset, setting))
    raw["report"] = _report(experiment, raw, dataset, setting)
    return raw


def swept_variant(line: str, value: Any) -> str:
    """The name of the variant that a line of a sweep (see `Sweep.lines`) has at one value."""
    return re.sub(r"[^A-Za-z0-9_+.=-]", "-", f"{line}={value}")


def points(sweep: Sweep, varied: str, line: str) -> tuple[tuple[Any, str], ...]:
    """Each value of a line with the variant that has it, in the order of the plot; at `own` that is the varied one."""
    own = ((sweep.own, varied),) if sweep.own is not None else ()
    return own + tuple((value, swept_variant(line, value)) for value in sweep.values)


def _add_line(raw: dict[str, Any], name: str, sweep: Sweep, varied: str, line: str) -> None:
    """A model and a variant for every value."""
    variant = (raw.get("variants") or {}).get(varied)
    if not isinstance(variant, dict) or not isinstance(raw["models"].get(variant.get("model")), dict):
        known = ", ".join(raw.get("variants") or {}) or "there are none"
        key = "variant" if sweep.variant is not None else "variants"
        raise UsageError(f"sweeps.{name}.{key}: '{varied}' is not a variant with a model ({known})")
    for value in sweep.values:
        made = swept_variant(line, value)
        if made in raw["variants"] or made in raw["models"]:
            raise UsageError(
                f"sweeps.{name}.values: {value!r} makes a second variant or model called '{made}'",
                remedy="give the sweep, or what is called like that, another name",
            )
        raw["models"][made] = merged(raw["models"][variant["model"]], {sweep.option: value})
        raw["variants"][made] = {**variant, "model": made}


def _keep_stages_models(raw: dict[str, Any]) -> None:
    """The models that stages before the trainings use keep their options, whatever the search finds for their names."""
    raw.setdefault("candidates", {}).setdefault("model", CandidateOptions().model)
    for (section, key), kept in KEPT_MODELS.items():
        options = raw.get(section)
        model = options.get(key) if isinstance(options, dict) else None
        if isinstance(options, dict) and model in raw["models"]:
            raw["models"][kept] = copy.deepcopy(raw["models"][model])
            options[key] = kept


def _give_rows_their_models(raw: dict[str, Any]) -> None:
    """A model that several variants use becomes one for each of them, so that each is searched with its own budget.

    The first variant keeps the model's name; the others get copies (see `row_model`). Options that suit what one row
    is given would otherwise be handed to rows that are given something else, its controls above all.
    """
    taken: set[str] = set()
    for name, variant in (raw.get("variants") or {}).items():
        model = variant.get("model") if isinstance(variant, dict) else None
        if model in taken and model in raw["models"]:
            own = row_model(model, name)
            if own in raw["models"]:
                raise UsageError(
                    f"models.{own}: so is called the copy of '{model}' that is searched for the variant '{name}'",
                    remedy="give this model or the variant another name",
                )
            raw["models"][own] = copy.deepcopy(raw["models"][model])
            variant["model"] = own
        elif isinstance(model, str):
            taken.add(model)


def row_model(model: str, variant: str) -> str:
    """What the copy of a model is called that is searched for one variant."""
    return f"{model}+{variant}"


def _report(experiment: Experiment, raw: dict[str, Any], dataset: str, setting: str) -> dict[str, Any]:
    """The `report` section of a run: its own page shows what the first table shows. Mistakes in that table are left
    out here, because they are named where the table is checked."""
    shown = [
        (table.metrics, [table.baseline, *table.against.values()])
        for table in experiment.tables.values()
        if dataset in (table.datasets or (dataset,)) and setting in (table.settings or (setting,))
    ]
    shown += [(sweep.metrics, list(sweep.lines(name))) for name, sweep in experiment.sweeps.items()]
    wanted, baselines = shown[0] if shown else ((), [])
    variants = list(raw.get("variants") or {})
    cutoffs = (raw.get("evaluation") or {}).get("cutoffs") or EvaluationOptions().cutoffs
    metrics = [metric for metric in wanted if Metric.parse(metric).computed(cutoffs)]
    primary, *others = metrics or [f"recall@{cutoffs[0]}"]
    baseline = next((name for name in (*baselines, *variants) if name in variants), "none")
    title = f"{experiment.title or experiment.name}: {dataset}, {setting}"
    return {"baseline": baseline, "primary": primary, "secondary": others, "title": title}
