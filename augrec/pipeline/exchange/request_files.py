"""A source's questions as batch files, and their answers back into its records.

The questions have the keys that the server engine would give them, so files and a server may share the work: what one
has answered, the other does not ask.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from augment.engines.openai.batch_file import NO_LINE, BatchFileEngine
from augment.engines.openai.options import OpenAIOptions
from augment.runner import run_source
from augrec.artefacts.confinement import confined
from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import atomic_path, read_parquet
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.chain import whole_run
from augrec.pipeline.stages.augment import catalog_of
from augrec.pipeline.stages.base import Run, require_marker
from augrec.pipeline.stages.registry import STAGES, stages_before

SECOND_TRY = "another try: what was answered before is no JSON of the schema, or contradicts itself"


@dataclass(frozen=True)
class Taken:
    """How many requests have their record, how many are open, and the file that asks these."""

    recorded: int
    failed: int
    open: int
    file: Path | None
    reasons: dict[str, int] = field(default_factory=dict)
    """Of open ones that the results name, why they are open."""
    notes: tuple[str, ...] = ()
    """What a person should know of the results, a line each."""


def take_answers(
    config: Path, overrides: list[str] | None, source: str, results: list[Path], file: Path | None
) -> Taken:
    """Stores what the results answer and writes the rest to `file`.

    Args:
        config, overrides: the run.
        source: name of a source whose engine is of kind openai.
        results: every file of results so far; earlier ones say which second tries are due.
        file: the batch file to write; None only counts.

    Raises:
        UsageError: the source is not there, or of another kind.
        DataError: a stage before is not finished, a file is not one of results, or none is about this source.
    """
    _require_room(file, results)
    run = Run(read_config(config, overrides))
    sources = run.config.generation.sources if run.config.generation else {}
    if source not in sources:
        raise UsageError(f"the config has no source '{source}'", where=config, remedy=f"one of {', '.join(sources)}")
    options = sources[source].engine
    if not isinstance(options, OpenAIOptions) or run.config.generation is None:
        raise UsageError(
            f"the engine of '{source}' is of kind {options.kind}",
            where=config,
            remedy="batch files are for `kind: openai`; `model` is the name that the batch service or vLLM knows",
        )
    with whole_run(run):
        for stage in stages_before(STAGES["augment"], run.config):
            require_marker(run, stage.name)
        engine = BatchFileEngine(options, results)
        summary = run_source(
            catalog_of(run),
            source,
            sources[source],
            run.config.generation,
            folder=run.files.source(source).root,
            seed=run.config.seed,
            engine=engine,
        )
        tables = [run.files.source(source).task(task).records for task in sources[source].tasks]
        notes = _notes(engine, tables, results)
        if file is not None:
            _write(engine, file)
    tasks = summary["tasks"].values()
    reasons = sum((Counter(counts) for counts in summary.get("open", {}).values()), Counter[str]())
    second = sum(request.attempt > 1 for request in engine.unanswered)
    reasons += Counter({SECOND_TRY: second} if second else {})
    return Taken(
        sum(task["requests"] for task in tasks),
        sum(task["failed"] for task in tasks),
        len(engine.unanswered),
        file,
        {reason: count for reason, count in reasons.items() if reason != NO_LINE},
        notes,
    )


def _require_room(file: Path | None, results: list[Path]) -> None:
    """Raises where the next file would take the place of answers, which somebody paid for."""
    if file is None:
        return
    if file.is_dir():
        raise UsageError("the batch file is a folder", where=file, remedy="name a file, e.g. questions.jsonl in it")
    if file.exists() and (any(file.samefile(path) for path in results if path.exists()) or _holds_results(file)):
        raise UsageError("the file holds results, and would be written over", where=file, remedy="name another one")


def _holds_results(file: Path) -> bool:
    with file.open("rb") as lines:
        first = next((line for line in lines if line.strip()), b"")
    try:
        return "response" in json.loads(first)
    except (ValueError, TypeError):
        return False


def _notes(engine: BatchFileEngine, tables: list[Path], results: list[Path]) -> tuple[str, ...]:
    """Lines on results that are of other questions, or that contradict each other; `tables` hold the records.

    Raises:
        DataError: all of them are of other questions.
    """
    notes = ["the files of results are empty"] if results and not engine.named else []
    there = [read_parquet(table, columns=["key"]) for table in tables if table.exists()]
    keys = {key for table in there for key in table["key"].to_pylist()}
    strange = engine.strangers(keys | {request.key for request in engine.unanswered})
    if strange:
        text = (
            f"{len(strange):,} of {engine.named:,} results are of no question of this source, e.g. {strange[0][:80]!r}"
        )
        if len(strange) == engine.named:
            raise DataError(
                text,
                where=", ".join(map(str, results)),
                remedy="config, data and the source's `model` have to be those of `augrec requests export`",
            )
        notes.append(text)
    if ahead := engine.ahead():
        notes.append(
            f"{len(ahead):,} of {engine.named:,} results are of second tries whose first answers are in none of these "
            f"files, e.g. {ahead[0][:80]!r}: name every file of results so far, or the first tries are asked again"
        )
    if engine.differing:
        differing = counted(engine.differing, "question has", "questions have")
        notes.append(f"{differing} two answers that differ: the last one counts")
    return tuple(notes)


def _write(engine: BatchFileEngine, file: Path) -> None:
    with confined(file.parent), atomic_path(file) as temporary, temporary.open("w", encoding="utf-8") as out:
        out.writelines(f"{engine.line(request)}\n" for request in engine.unanswered)


def render(taken: Taken, console: Console) -> None:
    """Says what is done and what is left."""
    asked = f", asked in {taken.file}" if taken.file and taken.open else ""
    console.print(
        f"{counted(taken.recorded, 'record')} ({taken.failed:,} failed), {counted(taken.open, 'request')} open{asked}",
        markup=False,
        highlight=False,
    )
    for note in taken.notes:
        console.print(f"  {note}", markup=False, highlight=False)
    for reason, count in sorted(taken.reasons.items()):
        console.print(f"  {count:,} open: {reason}", markup=False, highlight=False)
    if not taken.open:
        console.print("Everything is answered: `augrec augment CONFIG` finishes the stage without a server.")
