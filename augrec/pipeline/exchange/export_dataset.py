"""What sources answered as a folder that `datasets` and a hub take: tables, the prompts' templates, and a card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from augment.prompts.rendering import BUILT_IN
from augrec.artefacts.confinement import confined
from augrec.artefacts.files import atomic_path, read_json, write_text
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.exchange.claimed_folder import claim, complete
from augrec.pipeline.exchange.export_model import code_span
from augrec.pipeline.exchange.export_records import chosen_tasks, remove_tables, write_records
from augrec.pipeline.exchange.exported import EXPORT_FILE
from augrec.pipeline.stages.saved_run import run_at_home

PROMPTS, CARD = "prompts", "README.md"
OF_ENGINES = ("engine", "model", "model_sha256", "made")
"""What the card says of an engine."""


def export_dataset(
    folder: Path, out: Path, *, sources: Sequence[str] = (), tasks: Sequence[str] = (), user_ids: bool = False
) -> dict[str, Any]:
    """Writes the tables of `export_records`, prompts/*.j2, README.md and, last, export.json.

    Args:
        folder: the run, or what an import wrote.
        out: a new or empty folder, or an earlier export.
        sources, tasks: those that are written; all unless named.
        user_ids: whether tables about users say what the source calls them, which may tell who they are.

    Returns:
        What export.json holds: the tables, and how many templates there are.

    Raises:
        UsageError: there is no such source or task, or `out` holds something else.
    """
    run = RunFolder(folder)
    run.check_layout()
    chosen = chosen_tasks(run, sources, tasks)
    templates = _templates(folder) if run.config.exists() else []
    earlier = claim(out, EXPORT_FILE)
    with confined(out):
        remove_tables(out, earlier)
        tables = write_records(run, chosen, out, user_ids=user_ids)
        for path in templates:
            with atomic_path(out / PROMPTS / path.name) as temporary:
                shutil.copyfile(path, temporary)
        engines = {name: _engines(run, name) for name in dict.fromkeys(table["source"] for table in tables)}
        write_text(out / CARD, _card(read_json(run.dataset_json), tables, engines, templates, user_ids))
        written = {"layout": "dataset", "tables": tables, "prompts": len(templates), "user_ids": user_ids}
        complete(out, EXPORT_FILE, written)
    return written


def _templates(folder: Path) -> list[Path]:
    """The templates that the run's prompts were made of: its own in place of the built-in ones of the same name."""
    with run_at_home(folder) as run:
        own = run.config.generation.templates if run.config.generation else None
        folders = [BUILT_IN] if own is None else [BUILT_IN, own]
        found = {path.name: path for templates in folders for path in templates.glob("*.j2")}
        return [found[name].absolute() for name in sorted(found)]


def _engines(run: RunFolder, source: str) -> list[dict[str, Any]]:
    path = run.source(source).engine_json
    read = read_json(path) if path.exists() else {}
    several = list((read.get("engines") or {}).values()) or [read]
    return [{name: one[name] for name in OF_ENGINES if name in one} for one in several]


def _card(
    data: Mapping[str, Any],
    tables: Sequence[Mapping[str, Any]],
    engines: Mapping[str, Sequence[Mapping[str, Any]]],
    templates: Sequence[Path],
    user_ids: bool,
) -> str:
    configs = [{"config_name": f"{one['source']}-{one['task']}", "data_files": one["file"]} for one in tables]
    head = {"configs": configs, "tags": ["recommender", "augrec"], "license": "other"}
    front = "\n".join(f"{name}: {json.dumps(value)}" for name, value in head.items())  # JSON is YAML
    counts = data.get("counts") or {}
    rows = "\n".join(f"| `{one['file']}` | {one['about']} | {one['rows']:,} |" for one in tables)
    made = "\n".join(
        f"- `{source}`: {code_span(json.dumps(one))}" for source, several in engines.items() for one in several
    )
    prompts = (
        f"`{PROMPTS}/` has the {len(templates)} Jinja2 templates that prompts are made of."
        if templates
        else "The templates of the prompts are not known: the records were imported."
    )
    users = (
        "`user_source_id` says what the source calls users, which may tell who they are."
        if user_ids
        else "What the source calls users is left out; what they did still shows in `shown_history`."
    )
    return f"""---
{front}
---

# Answers about {code_span(str(data.get("name")))}

Written for users and items of {code_span(str(data.get("name")))}: {counts.get("users", 0):,} users,
{counts.get("items", 0):,} items, {counts.get("train", 0):,} training interactions, which alone were shown.

| table | about | rows |
|---|---|---|
{rows}

A row is one question: `status` says whether it was answered, `answer_<field>` are the fields of the answer, `text` is
what was written. {users}

## Who wrote it

{made}

{prompts}

## Terms

- The data: {code_span(str(data.get("licence") or "not known"))}. Titles, histories and what follows from them are
  bound by these terms.
- The model: see the licence of its weights, which may bind what it writes. It is not repeated here.

Text of a language model may be wrong, and repeat what it was trained on. This card grants nothing.
"""
