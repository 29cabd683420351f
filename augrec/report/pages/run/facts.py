"""What was run on what, as the run folder tells it: data, LLMs, embeddings, requests, audit and stages."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from augrec.artefacts.domains import domain_in_words
from augrec.artefacts.files import read_json
from augrec.artefacts.named import matrix_facts, named_sources
from augrec.artefacts.run_folder import RunFolder
from augrec.report.numbers.variants import Trained
from augrec.report.pages.alignment import alignment_table, read_alignments
from augrec.report.pages.edges import edges_table, read_edge_worths
from augrec.report.pages.run.device_limits import Limit, read_limits
from augrec.report.pages.run.provenance import Group, read_provenance
from augrec.report.pages.run.servers import servers_table
from augrec.report.render.tables import Cell, Table, numbers, table, word, words
from augrec.report.render.wording import count, counted, percent, rate, seconds
from augrec.report.sources import is_llm

Pairs = list[tuple[str, str]]
TOLD_APART = ("checks", "violations", "augmented_pairs", "alignment", "edge_worth")
"""What of an audit has its own words or table."""


@dataclass(frozen=True)
class Facts:
    """Everything about the run that is not a result."""

    dataset: dict[str, Any]
    data: Pairs
    counts: Pairs
    dropped: Pairs
    protocol: Pairs
    sources: list[tuple[str, bool, Pairs]]
    embeddings: Table | None
    requests: Table | None
    limits: list[Limit]
    servers: Table | None
    audit: Pairs | None
    alignment: Table | None
    edges: Table | None
    training: Pairs
    machine: str
    stages: Table | None
    summaries: dict[str, dict[str, Any]]
    provenance: list[Group]
    files: Pairs
    config: str

    @property
    def llm_sources(self) -> list[str]:
        """The sources that are an LLM's work."""
        return [name for name, llm, _ in self.sources if llm]


def read_facts(
    run: Path, trained: dict[str, Trained], config: dict[str, Any], stages: Sequence[str] | None = None
) -> Facts:
    """Reads what describes a run: its data set, sources, matrices, audit and completion markers.

    Args:
        run: the run folder.
        trained: its variants.
        config: the resolved config, to be shown.
        stages: the folders of the stages that made it, in their order; None for all that have a marker, by name.
    """
    dataset = read_json(RunFolder(run).dataset_json, remedy="run the dataset stage")
    summary = _optional(RunFolder(run).summary)
    sources = summary.get("sources") or {}
    engines = {name: (sources.get(name) or {}).get("engine") or {} for name in named_sources(run)}
    if stages is None:
        folders = [path.parent for path in RunFolder(run).stage_markers()]
        stages = [folder.name for folder in folders if folder != RunFolder(run).report]
    markers = _markers(run, stages)
    source = dataset.get("source") or {}
    data = [("name", dataset.get("name")), ("format", source.get("format")), ("read from", source.get("path"))]
    data += [("licence", dataset.get("licence")), ("domain", domain_in_words(dataset.get("domain")))]
    audit = _optional(RunFolder(run).audit_json)
    return Facts(
        dataset=dataset,
        data=[(name, str(value)) for name, value in data if value],
        counts=flatten(dataset.get("counts") or {}),
        dropped=flatten(dataset.get("dropped") or {}),
        protocol=flatten(dataset.get("protocol") or {}),
        sources=[(name, is_llm(described), flatten(described)) for name, described in engines.items()],
        embeddings=_embeddings(run),
        requests=_requests(sources),
        limits=read_limits(sources),
        servers=servers_table(sources),
        audit=_audit(audit) if RunFolder(run).audit_json.exists() else None,
        alignment=alignment_table(read_alignments(audit)),
        edges=edges_table(read_edge_worths(audit)),
        training=_training(trained),
        machine=next((text for marker in reversed(markers) if (text := _machine(marker))), "not recorded"),
        stages=_stages(markers),
        summaries={name: sources.get(name) or {} for name in engines},
        provenance=read_provenance(run, dataset, engines, stages),
        files=_files(RunFolder(run)),
        config=as_yaml(config),
    )


def flatten(value: dict[str, Any], prefix: str = "") -> Pairs:
    """A nested mapping as (dotted name, text) pairs; nulls and empty values are left out."""
    pairs: Pairs = []
    for key, entry in value.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(entry, dict):
            pairs += flatten(entry, f"{name}: ")
        elif isinstance(entry, list | tuple):
            pairs += [(name, ", ".join(str(part) for part in entry))] if entry else []
        elif entry is not None and entry != "":
            told = str(entry) if "seed" in name else count(entry)
            pairs.append((name, {True: "yes", False: "no"}[entry] if isinstance(entry, bool) else told))
    return pairs


def as_yaml(config: dict[str, Any]) -> str:
    """The resolved config as YAML, in its own order."""
    plain = json.loads(json.dumps(config, default=str))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100))


def _files(run: RunFolder) -> Pairs:
    """What lies beside the page and may be opened: (what it is, the link from the page)."""
    named = [
        ("the config", run.config),
        ("every number of this page", run.results),
        ("what the audit found", run.audit_json),
        ("the data set's counts and hashes", run.dataset_json),
        ("interactions and their splits", run.interactions),
        ("requests, tokens and times by source", run.summary),
    ]
    records = [task.records for source in run.sources() for task in source.tasks()]
    named += [(f"records of {path.parent.parent.name}, {path.parent.name}", path) for path in records]
    return [
        (name, quote(Path("..", path.relative_to(run.root)).as_posix()))
        for name, path in named
        if path.exists() or path == run.results
    ]


def _optional(path: Path) -> dict[str, Any]:
    content = read_json(path) if path.exists() else {}
    return content if isinstance(content, dict) else {"content": content}


def _requests(sources: dict[str, dict[str, Any]]) -> Table | None:
    """Requests by source and task."""
    columns = words("source", "task") + numbers("requests", "ok", "failed") + words("reasons")
    columns += numbers("repaired", "prompt tokens", "written tokens", "prompt/s", "written/s", "prefix hits", "took")
    rows = [
        _request_cells(name, task, counts)
        for name, described in sources.items()
        for task, counts in (described.get("tasks") or {}).items()
    ]
    caption = (
        "Requests by source and task. Rates are tokens per second; prefix hits are the share of prompt tokens found in "
        "the cache"
    )
    return table("requests-table", caption, columns, rows)


def _request_cells(source: str, task: str, counts: dict[str, Any]) -> list[Cell]:
    reasons = sorted((counts.get("failed_by_reason") or {}).items(), key=lambda pair: (-pair[1], pair[0]))
    failed = int(counts.get("failed") or 0)

    def shown(name: str, wording: Callable[[Any], str]) -> Cell:
        return Cell(wording(counts.get(name)), counts.get(name))

    return [
        word(source),
        word(task.replace("_", " ")),
        shown("requests", count),
        shown("ok", count),
        Cell(f"✗ {count(failed)}" if failed else "0", failed, strong=bool(failed)),
        word(", ".join(f"{reason} {count(times)}" for reason, times in reasons)),
        shown("repaired", count),
        shown("prompt_tokens", count),
        shown("completion_tokens", count),
        shown("prompt_tokens_per_second", rate),
        shown("completion_tokens_per_second", rate),
        shown("prefix_cache_hit_rate", percent),
        shown("seconds", seconds),
    ]


def _audit(audit: dict[str, Any]) -> Pairs:
    """The checks in one line, and per source the augmented pairs that are held-out interactions."""
    pairs: Pairs = []
    if isinstance(checks := audit.get("checks"), list):
        violations = audit.get("violations") or 0
        result = f"✗ {counted(violations, 'violation')}" if violations else "✓ all passed"
        pairs.append(("checks", f"{counted(len(checks), 'check')}, {result}"))
    overlaps = audit.get("augmented_pairs")
    if isinstance(overlaps, dict):
        pairs += flatten(overlaps)
    return pairs + flatten({name: found for name, found in audit.items() if name not in TOLD_APART})


def _embeddings(run: Path) -> Table | None:
    rows = []
    for path in matrix_facts(run):
        meta = _optional(path)
        missing = meta.get("missing")
        absent = len(missing) if isinstance(missing, list) else missing
        rows.append(
            [
                word(meta.get("group", path.parent.name)),
                word(meta.get("field", path.stem)),
                word(meta.get("model")),
                Cell(f"{count(meta.get('rows'))} × {count(meta.get('dim'))}", meta.get("rows")),
                Cell(count(meta.get("distinct")), meta.get("distinct")),
                Cell(count(absent), absent),
                word(str(meta.get("model_sha256") or "")[:12], code=True),
            ]
        )
    columns = words("source", "field", "model") + numbers("rows × dimensions", "distinct", "missing")
    return table("embeddings-table", "Embedded text by source and field", (*columns, *words("weights")), rows)


def _training(trained: dict[str, Trained]) -> Pairs:
    runs = [metrics for variant in trained.values() for metrics in variant.metrics.values()]
    seeds = sorted({seed for variant in trained.values() for seed in variant.metrics})
    per_variant = {len(variant.metrics) for variant in trained.values()}
    told = counted(len(seeds), "seed") + ("" if len(per_variant) == 1 else ", not all of them for every variant")
    pairs = [("variants", count(len(trained))), ("seeds", f"{told} ({', '.join(map(str, seeds))})")]
    drawn = {name: len(variant.draws) for name, variant in trained.items() if variant.draws}
    if drawn:
        told = "; ".join(f"{counted(draws, 'draw')} of {name}" for name, draws in drawn.items())
        pairs.append(("asked again", told))
    tested = {run["n_test_users"] for run in runs if "n_test_users" in run}
    if tested:
        pairs.append(("test users", " or ".join(count(number) for number in sorted(tested))))
    devices = sorted({str(run["device"]) for run in runs if run.get("device")})
    return pairs + ([("trained on", ", ".join(devices))] if devices else [])


def _markers(run: Path, stages: Sequence[str]) -> list[dict[str, Any]]:
    """The completion markers of the stages, in their order."""
    paths = [path for stage in stages if (path := RunFolder(run).stage_marker(stage)).exists()]
    return [{"stage": path.parent.name, **_optional(path)} for path in paths]


def _machine(marker: dict[str, Any]) -> str:
    machine = marker.get("machine")
    if isinstance(machine, dict):
        return ", ".join(f"{name} {text}" for name, text in flatten(machine))
    return str(machine) if machine else ""


def _stages(markers: list[dict[str, Any]]) -> Table | None:
    rows = []
    for marker in markers:
        taken = marker.get("seconds")
        timed = float(taken) if isinstance(taken, int | float) else None
        rows.append(
            [
                word(marker["stage"]),
                word(_machine(marker)),
                Cell(seconds(timed), timed),
                word(marker.get("version")),
                word(str(marker.get("fingerprint") or "")[:12], code=True),
            ]
        )
    columns = (*words("stage", "machine"), *numbers("took"), *words("version", "fingerprint"))
    return table("stages-table", "Stages", columns, rows)
