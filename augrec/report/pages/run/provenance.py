"""What a run was made from, with hashes that can be compared: command, config, code, data, models, records."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from augrec.artefacts.files import read_json, sha256_file
from augrec.artefacts.named import matrix_facts, named_records
from augrec.artefacts.run_folder import RunFolder
from augrec.report.render.wording import counted

FROM_MODEL = ("model_sha256", "tokenizer_sha256", "chat_template_sha256", "lora_sha256")
NAMES = {
    "model_sha256": "sha256 of the model's folder",
    "tokenizer_sha256": "sha256 of the tokenizer's files",
    "chat_template_sha256": "sha256 of the chat template",
    "lora_sha256": "sha256 of the LoRA adapter",
}


@dataclass(frozen=True)
class Entry:
    """A line: what it is, and the value, which somebody may want to copy."""

    name: str
    value: str


Group = tuple[str, list[Entry]]


def read_provenance(
    run: Path, dataset: dict[str, Any], sources: dict[str, dict[str, Any]], stages: Sequence[str]
) -> list[Group]:
    """Groups of lines; what is not recorded is left out.

    Args:
        run: the run folder.
        dataset: dataset.json.
        sources: source -> what describes its engine.
        stages: the folders of the stages that made it, in their order.
    """
    groups = [("The run", _run(run)), ("Data set", _data(dataset))]
    outputs = _outputs(RunFolder(run).stage_marker("augment"))
    groups += [(f"Source: {name}", _source(run, name, engine, outputs)) for name, engine in sources.items()]
    groups += [("Embedding", _embedding(run)), ("Code", _code(run, stages))]
    return [(title, lines) for title, lines in groups if lines]


def _run(run: Path) -> list[Entry]:
    config = RunFolder(run).config
    if not config.exists():
        return []
    command = f"augrec run {shlex.quote(config.as_posix())}"
    return [Entry("command", command), Entry("sha256 of its config, resolved", sha256_file(config))]


def _data(dataset: dict[str, Any]) -> list[Entry]:
    files = (dataset.get("source") or {}).get("files") or {}
    entries = [Entry(f"sha256 of {name}", str(sha)) for name, sha in files.items() if sha]
    split = dataset.get("split_sha256")
    return [*entries, *([Entry("sha256 of the split", str(split))] if split else [])]


def _source(run: Path, source: str, engine: dict[str, Any], outputs: dict[str, str]) -> list[Entry]:
    entries = [Entry(name, str(engine[name])) for name in ("engine", "model", "revision") if engine.get(name)]
    entries += [Entry(NAMES[name], str(engine[name])) for name in FROM_MODEL if engine.get(name)]
    versions = engine.get("versions")
    if isinstance(versions, dict) and versions:
        entries.append(Entry("libraries", " ".join(f"{name}=={number}" for name, number in versions.items())))
    entries += _engines(RunFolder(run).source(source).engine_json)
    for path in named_records(run, source):
        name = path.relative_to(run).as_posix()
        rows = counted(pq.read_metadata(path).num_rows, "row")
        entries.append(
            Entry(f"sha256 of {path.parent.name}/{path.name}, {rows}", outputs.get(name) or sha256_file(path))
        )
    return entries


def _engines(path: Path) -> list[Entry]:
    """How many records each engine made, where several did."""
    made = (read_json(path).get("engines") or {}) if path.exists() else {}
    if len(made) < 2:
        return []
    return [Entry(f"records of engine {name}", f"{one['made']:,} by {_name(one)}") for name, one in made.items()]


def _name(engine: dict[str, Any]) -> str:
    """What tells an engine from another that answered the same source."""
    versions = engine.get("versions")
    libraries = [f"{name}=={number}" for name, number in versions.items()] if isinstance(versions, dict) else []
    known = (engine.get(name) for name in ("engine", "model", "revision", "device"))
    return " ".join([*(str(value) for value in known if value), *libraries])


def _embedding(run: Path) -> list[Entry]:
    models: dict[str, str] = {}
    for path in matrix_facts(run):
        matrix = read_json(path)
        if isinstance(matrix, dict) and matrix.get("model_sha256"):
            models[str(matrix["model_sha256"])] = str(matrix.get("model"))
    return [
        line
        for sha, model in models.items()
        for line in (Entry("model", model), Entry("sha256 of the model's folder", sha))
    ]


def _code(run: Path, stages: Sequence[str]) -> list[Entry]:
    lines = []
    for path in (RunFolder(run).stage_marker(folder) for folder in stages):
        if not path.exists():
            continue
        marker = read_json(path)
        stage, version = marker.get("stage", path.parent.name), marker.get("version")
        code = (marker.get("identity") or {}).get("code")
        lines += [Entry(f"{stage}: code" + (f" (version {version})" if version else ""), str(code))] if code else []
        lines += [Entry(f"{stage}: fingerprint", str(marker["fingerprint"]))] if marker.get("fingerprint") else []
    return lines


def _outputs(marker: Path) -> dict[str, str]:
    outputs = read_json(marker).get("outputs") if marker.exists() else None
    return outputs if isinstance(outputs, dict) else {}
