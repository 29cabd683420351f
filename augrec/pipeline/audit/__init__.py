"""`augrec audit RUN`: proves that only training interactions were used and that a run's artefacts fit together.

It reads the files a run left behind and derives everything again with its own few lines, so that a mistake in the code
that wrote them cannot hide itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.instructions import read_instructions
from augrec.artefacts.run_folder import RunFolder, nearest_run
from augrec.artefacts.visible import visible
from augrec.pipeline.audit.checks import Audit, Check, Split
from augrec.pipeline.audit.hints import audit_base
from augrec.pipeline.audit.insertions import audit_insertions
from augrec.pipeline.audit.instructions import audit_instructions
from augrec.pipeline.audit.interactions import (
    audit_candidates,
    audit_dataset,
    audit_graph,
    audit_interaction_vectors,
    read_split,
)
from augrec.pipeline.audit.noise import audit_noise
from augrec.pipeline.audit.outputs import audit_outputs
from augrec.pipeline.audit.reranking import audit_reranking
from augrec.pipeline.audit.starts import audit_starts
from augrec.pipeline.audit.text import audit_embeddings, audit_reads, audit_records, text_columns
from augrec.pipeline.host.terminal import OpenTable
from augrec.pipeline.probes.suggested_edges import edge_lines, judge_edges
from augrec.pipeline.probes.text_alignment import alignment_lines, probe_texts

__all__ = ["Audit", "Check", "audit_file", "audit_run", "render"]

SHOWN_ROWS = 10


def audit_run(folder: Path) -> Audit:
    """Audits every stage that has finished in a run folder and writes `audit.json` beside them.

    Raises:
        DataError: there is no run here, or one of another layout, or a file cannot be read at all.
    """
    run = _prepared(folder)
    split, outputs = read_split(run.dataset), audit_outputs(folder)
    try:
        checks, leaks = _checks(run, split)
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # JSON that lacks what it had
        if not any(check.violations for check in outputs):
            raise
        told = f"nothing else was looked at: what was changed cannot be read ({type(error).__name__}: {error})"
        audit = Audit(tuple(outputs), {}, left_out=told)
    else:
        audit = Audit((*outputs, *checks), leaks)
    if not audit.violations:
        audit = _judged(audit, run, split)
    try:
        write_json(run.audit_json, audit.as_json())
    except OSError as error:  # a run that one may only read can be looked at all the same
        return replace(audit, unwritten=f"{run.audit_json} could not be written: {error.strerror or error}")
    return audit


def _checks(run: RunFolder, split: Split) -> tuple[list[Check], dict[str, dict[str, int]]]:
    """What is derived again, stage by stage, and per source how many of its pairs are held out."""
    folder = run.root
    checks = [*audit_dataset(run.dataset, split), *audit_graph(run.dataset, split)]
    checks += audit_interaction_vectors(folder, split)
    checks += audit_noise(folder, split)
    checks += audit_starts(folder, split)
    if run.stage_marker("candidates").exists():
        checks += audit_candidates(run.candidates, split)
    if run.stage_marker("base").exists():
        checks += audit_base(folder, split)
    if run.stage_marker("tune").exists():
        checks += audit_instructions(folder, split)
    leaks: dict[str, dict[str, int]] = {}
    if run.stage_marker("augment").exists():
        for source, summary in _sources(run).items():
            found, overlap = audit_records(folder, source, summary, split)
            checks += found
            leaks[source] = overlap
    if run.stage_marker("embed").exists():
        checks += audit_embeddings(folder, split)
    if run.stage_marker("train").exists():
        checks += [*audit_reads(folder), *audit_insertions(folder, split)]
    if run.stage_marker("rerank").exists():
        checks += audit_reranking(folder, split)
    return checks, leaks


def audit_file(folder: Path, file: Path) -> Audit:
    """Audits a file of instructions against the data and the base recommender that it was made of; writes nothing.

    Args:
        folder: the run whose config wrote the file; its stages `prepare` and `base` are finished.
        file: what `augrec instructions` wrote, wherever it is taught.

    Raises:
        DataError: the folder lacks one of the two, the file is damaged, or none of its lines is of this data set.
    """
    run = _prepared(folder)
    if not run.stage_marker("base").exists():
        raise DataError("the base recommender is not there", where=folder, remedy="run `augrec base CONFIG`")
    name = str(read_json(run.dataset_json)["name"])
    lines = Counter(instruction.dataset for instruction in read_instructions(file))
    others = {dataset: count for dataset, count in lines.items() if dataset != name}
    told = ", ".join(f"{dataset!r} {count:,}" for dataset, count in others.items())
    if not lines[name]:
        what = f"no instruction is of the run's data set {name!r}" + (f" (there are {told})" if told else "")
        raise DataError(what, where=file, remedy="give the folder of the run whose config wrote the file")
    split = read_split(run.dataset)
    checks = [*audit_dataset(run.dataset, split), *audit_graph(run.dataset, split), *audit_base(folder, split)]
    checks += audit_instructions(folder, split, file)
    left_out = f"instructions of other data sets were not looked at: {told}" if told else None
    return Audit(tuple(checks), {}, left_out=left_out)


def _prepared(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    run.check_layout()
    if not run.stage_marker("dataset").exists():
        raise DataError(
            "no prepared run in this folder",
            where=folder,
            remedy=f"{nearest_run(folder)}give the run folder, e.g. `augrec audit runs/demo`",
        )
    return run


def _sources(run: RunFolder) -> dict[str, dict[str, Any]]:
    remedy = "run `augrec augment CONFIG`: it counts again, and asks nothing again"
    summary = read_json(run.summary, remedy=remedy)
    sources = summary.get("sources") if isinstance(summary, dict) else None
    if not isinstance(sources, dict):
        raise DataError("the file holds no sources", where=run.summary, remedy=remedy)
    return sources


def _judged(audit: Audit, run: RunFolder, split: Split) -> Audit:
    """What a sound run's texts say of their ids, by training, and what its edges are worth, by validation."""
    sources = _sources(run) if run.stage_marker("augment").exists() else {}
    tasks = {source: tuple(about["tasks"]) for source, about in sources.items()}
    train, valid, sizes = (
        split.pairs["train"],
        split.pairs["valid"],
        {"n_users": split.n_users, "n_items": split.n_items},
    )
    return replace(
        audit,
        alignment=probe_texts(run, tasks, train, columns=text_columns(run.root), **sizes),
        edge_worth=judge_edges(run, tasks, train, valid, **sizes),
    )


def render(audit: Audit, console: Console) -> None:
    """Prints a row per check, the offending rows, held-out pairs, what texts and edges say."""
    results = ("ok" if not check.violations else f"{len(check.violations)} wrong" for check in audit.checks)
    rows = [(check.name, f"{check.rows:,}", result) for check, result in zip(audit.checks, results, strict=True)]
    console.print(OpenTable({"check": "text", "rows": "number", "result": "name"}, rows, title="Audit"))
    for check in audit.checks:
        for violation in check.violations[:SHOWN_ROWS]:
            console.print(f"  {check.name}: {visible(violation)}", markup=False, highlight=False)
        if len(check.violations) > SHOWN_ROWS:
            more = len(check.violations) - SHOWN_ROWS
            console.print(f"  {check.name}: and {more} more", markup=False, highlight=False)
    for told in filter(None, (audit.unwritten, audit.left_out)):
        console.print(visible(told), markup=False, highlight=False)
    for source, overlap in audit.leaks.items():
        console.print(
            f"{source}: of {overlap['edges']} augmented edges, {overlap['positives_in_valid']} positives and "
            f"{overlap['negatives_in_valid']} negatives fall in valid, {overlap['positives_in_test']} and "
            f"{overlap['negatives_in_test']} in test (reported, never removed: the LLM did not see them)",
            markup=False,
            highlight=False,
        )
    for line in (*alignment_lines(audit.alignment), *edge_lines(audit.edge_worth)):
        console.print(line, markup=False, highlight=False)
