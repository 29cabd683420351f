"""What an import or export found and did: a table for the terminal, a JSON file beside the artefacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.exchange.artefacts import PUBLISHED
from augrec.pipeline.exchange.claimed_folder import claim, complete
from augrec.pipeline.host.terminal import OpenTable
from augrec.pipeline.probes.suggested_edges import edge_lines, judge_edges
from augrec.pipeline.probes.text_alignment import alignment_lines, probe_texts
from augrec.report.pages.alignment import read_alignments
from augrec.report.pages.edges import read_edge_worths
from recsys.data.dataset import Dataset
from recsys.data.released.reader import Finding

IMPORT_FILE = "import.json"


def begin(out: Path, layout: str) -> None:
    """Takes a folder for an import, in place of an earlier one or of what is left of one.

    Raises:
        UsageError: it holds something else, or an import of another layout, whose files would be mixed with these.
    """
    claim(out, IMPORT_FILE, {"layout": layout})


def finish(out: Path, about: dict[str, Any], findings: Sequence[Finding]) -> dict[str, Any]:
    """Writes `import.json`, last, so that its presence says that the import is whole.

    What was written is asked whether its texts belong to their ids, by its training interactions, and what its edges
    are worth, by validation.
    """
    dataset, run = Dataset.load(RunFolder(out).dataset), RunFolder(out)
    tasks = {PUBLISHED: [task.name for task in run.source(PUBLISHED).tasks()]}
    n_users, n_items = dataset.n_users, dataset.n_items
    probed = probe_texts(run, tasks, dataset.train, n_users=n_users, n_items=n_items)
    held_out = len(dataset.valid) > 0  # nothing is judged by interactions that are not there
    worth = judge_edges(run, tasks, dataset.train, dataset.valid, n_users=n_users, n_items=n_items) if held_out else ()
    written = about | {
        f"{kind}s": [
            {"file": finding.file, "what": finding.what, "count": finding.count}
            for finding in findings
            if finding.kind == kind
        ]
        for kind in ("fault", "note")
    }
    written |= {"alignment": [asdict(found) for found in probed], "edge_worth": [asdict(found) for found in worth]}
    complete(out, IMPORT_FILE, written)
    return read_json(out / IMPORT_FILE)


def render(written: dict[str, Any], out: Path, console: Console, file: str = IMPORT_FILE) -> None:
    """Prints counts, faults, notes, and what texts and edges say; `file` holds them too."""
    console.print(
        ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in written["counts"].items()),
        markup=False,
        highlight=False,
    )
    for kind, title in (("faults", "Faults in the files"), ("notes", "Worth knowing")):
        if not written[kind]:
            continue
        rows = [(finding["file"], f"{finding['count']:,}", finding["what"]) for finding in written[kind]]
        console.print(OpenTable({"file": "text", "rows": "number", "what": "text"}, rows, title=title))
    for line in (*alignment_lines(read_alignments(written)), *edge_lines(read_edge_worths(written))):
        console.print(line, markup=False, highlight=False)
    if not written["faults"] and file == IMPORT_FILE:
        console.print("No fault was found in the files.")
    console.print(f"Written to {out}; everything above is in {out / file}", markup=False, highlight=False)
