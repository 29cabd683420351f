"""A trained model as a folder that a hub takes: model.safetensors, what its rows mean, and a card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import atomic_path, read_json, sha256_file, write_json, write_parquet, write_text
from augrec.artefacts.run_folder import TrainingFolder
from augrec.artefacts.side_tables import read_side_table
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.trainings import TrainingResult, read_training
from augrec.pipeline.exchange.claimed_folder import claim, complete
from augrec.pipeline.exchange.exported import EXPORT_FILE
from augrec.pipeline.recommend.choice import Choice, chosen_training
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.saved_run import run_at_home
from recsys.models.registry import FAMILIES

CARD, CONFIG = "README.md", "config.json"


def export_model(
    folder: Path, out: Path, *, variant: str | None = None, seed: int | None = None, user_ids: bool = False
) -> dict[str, Any]:
    """Writes model.safetensors, config.json, items.parquet, README.md and, last, export.json.

    Args:
        folder: of a run whose trainings kept their models.
        out: a new or empty folder, or an earlier export.
        variant, seed: see `chosen_training`.
        user_ids: whether users.parquet says what the source calls them, which may tell who they are.

    Returns:
        What export.json holds.

    Raises:
        UsageError: there is no such variant or seed, or `out` holds something else.
        DataError: the training has not finished or kept no model.
    """
    out = out.absolute()
    with run_at_home(folder) as run:
        choice = chosen_training(run, variant, seed)
        files = TrainingFolder(choice.training.out)
        if not files.model.exists():
            raise DataError("the trained model is not there", where=files.model,
                            remedy="train it again, with training.keep_checkpoint on")  # fmt: skip
        claim(out, EXPORT_FILE)
        with confined(out):
            return _write(run, choice, files, out, user_ids)


def _write(run: Run, choice: Choice, files: TrainingFolder, out: Path, user_ids: bool) -> dict[str, Any]:
    result, about = read_training(files), read_json(run.files.dataset_json)
    variant = run.config.variants[choice.training.variant]
    options = run.config.models[variant.model]
    with atomic_path(out / files.model.name) as temporary:
        shutil.copyfile(files.model, temporary)
    described = {
        "family": options.family,
        "options": options.model_dump(mode="json"),
        "training": run.config.training.model_dump(mode="json"),
        "evaluation": run.config.evaluation.model_dump(mode="json"),
        "seed": result.seed,
        "dataset": {name: about.get(name) for name in ("name", "counts", "protocol", "licence", "split_sha256")},
        "augmentation": _engine(run, variant.source),
        "valid": _numbers(result.valid),
        "test": _numbers(result.test),
    }
    write_json(out / CONFIG, described)
    write_parquet(out / run.files.items.name, read_side_table(run.files.items, "item", columns=["source_id", "title"]))
    users = out / run.files.users.name
    if user_ids:
        write_parquet(users, read_side_table(run.files.users, "user", columns=["source_id"]))
    elif users.exists():
        users.unlink()
    write_text(out / CARD, _card(choice, result, described, user_ids))
    written = {"layout": "model", "variant": result.variant, "seed": result.seed, "why": choice.why,
               "sha256": sha256_file(out / files.model.name), "user_ids": user_ids}  # fmt: skip
    complete(out, EXPORT_FILE, written)
    return written


def _engine(run: Run, source: str | None) -> dict[str, Any] | None:
    """What wrote the texts that the model was given; None where it was given none."""
    if source is None:
        return None
    path = SourceFolder(run.files.augment / source).engine_json
    engine = read_json(path) if path.exists() else {}
    return {"source": source, **{name: engine[name] for name in ("engine", "model", "model_sha256") if name in engine}}


def _card(choice: Choice, result: TrainingResult, described: Mapping[str, Any], user_ids: bool) -> str:
    data, family = described["dataset"], FAMILIES[described["family"]]
    counts = data.get("counts") or {}
    licence = data.get("licence") or "not known"
    head = {"library_name": "augrec", "tags": ["recommender", described["family"]], "license": "other"}
    front = "\n".join(f"{name}: {json.dumps(value)}" for name, value in head.items())
    given = described["augmentation"]
    augmentation = "nothing that a language model wrote" if given is None else code_span(json.dumps(given))
    rows = "\n".join(
        f"| {metric} | {_shown(result.valid.get(metric))} | {_shown(result.test.get(metric))} |"
        for metric in dict.fromkeys([*result.valid, *result.test])
    )
    return f"""---
{front}
---

# {code_span(result.variant)}

{family.title} ({family.paper}), one training with seed {result.seed}, selected on validation and tested once. Taken
from its run as: {code_span(choice.why)}.

- Data: {code_span(str(data.get("name")))}, {counts.get("users", 0):,} users, {counts.get("items", 0):,} items,
  {counts.get("train", 0):,} training interactions.
- Terms of the data: {code_span(str(licence))}. They bind the weights as far as these repeat the data; this card grants
  nothing.
- Given beside interactions: {augmentation}.
- Row i of a table of items is the item i of `items.parquet`, with the id of the data's source. What users are called
  is {"in `users.parquet`" if user_ids else "not here"}.

| metric | validation | test |
|---|---|---|
{rows}

One training says little: a verdict needs several seeds, and the page of the run has it.

`config.json` holds the options. `recsys.training.restore` reads `model.safetensors` beside the data set that it was
trained on; graph models need its training interactions too.
"""


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if value == value else None for name, value in values.items()}


def _shown(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4f}"


def code_span(text: str) -> str:
    """For a card: text of others as code, in which Markdown and HTML mean nothing."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"
