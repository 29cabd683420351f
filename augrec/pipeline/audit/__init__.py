"""`augrec audit RUN`: proves that only training interactions were used and that a run's artefacts fit together.

It reads the files a run left behind and derives everything again with its own few lines, so that a mistake in the code
that wrote them cannot hide itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.run_folder import RunFolder
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
from augrec.pipeline.audit.reranking import audit_reranking
from augrec.pipeline.audit.starts import audit_starts
from augrec.pipeline.audit.text import audit_embeddings, audit_reads, audit_records, text_columns
from augrec.pipeline.host.terminal import cells
from augrec.pipeline.suggested_edges import edge_lines, judge_edges
from augrec.pipeline.text_alignment import alignment_lines, probe_texts

__all__ = ["Audit", "Check", "audit_run", "render"]

SHOWN_ROWS = 10


def audit_run(folder: Path) -> Audit:
    """Audits every stage that has finished in a run folder and writes `audit.json` beside them.

    Raises:
        DataError: there is no run here, or one of another layout, or a file cannot be read at all.
    """
    run = RunFolder(folder)
    run.check_layout()
    if not run.stage_marker("dataset").exists():
        raise DataError(
            "no prepared run in this folder", where=folder, remedy="give the run folder, e.g. `augrec audit runs/demo`"
        )
    split = read_split(run.dataset)
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
        summary = read_json(run.summary, remedy="run `augrec augment CONFIG`")
        for source in summary["sources"]:
            found, overlap = audit_records(folder, source, summary["sources"][source], split)
            checks += found
            leaks[source] = overlap
    if run.stage_marker("embed").exists():
        checks += audit_embeddings(folder, split)
    if run.stage_marker("train").exists():
        checks += [*audit_reads(folder), *audit_insertions(folder, split)]
    if run.stage_marker("rerank").exists():
        checks += audit_reranking(folder, split)
    audit = Audit(tuple(checks), leaks)
    if not audit.violations:
        audit = _judged(audit, run, split)
    try:
        write_json(run.audit_json, audit.as_json())
    except OSError as error:  # a run that one may only read can be looked at all the same
        return replace(audit, unwritten=f"{run.audit_json} could not be written: {error.strerror or error}")
    return audit


def _judged(audit: Audit, run: RunFolder, split: Split) -> Audit:
    """What a sound run's texts say of their ids, by training, and what its edges are worth, by validation."""
    sources = read_json(run.summary)["sources"] if run.stage_marker("augment").exists() else {}
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
    table = Table(title="Audit", title_justify="left")
    for heading in ("check", "rows", "result"):
        table.add_column(heading, justify="right" if heading == "rows" else "left")
    for check in audit.checks:
        result = "ok" if not check.violations else f"{len(check.violations)} wrong"
        table.add_row(*cells(check.name, f"{check.rows:,}", result))
    console.print(table)
    for check in audit.checks:
        for violation in check.violations[:SHOWN_ROWS]:
            console.print(f"  {check.name}: {violation}", markup=False, highlight=False)
        if len(check.violations) > SHOWN_ROWS:
            more = len(check.violations) - SHOWN_ROWS
            console.print(f"  {check.name}: and {more} more", markup=False, highlight=False)
    if audit.unwritten is not None:
        console.print(audit.unwritten, markup=False, highlight=False)
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
