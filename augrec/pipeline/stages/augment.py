"""augment: every source (an LLM, or a control without one) writes edges, profiles and attributes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from augrec.artefacts.files import read_json, remove_file, write_json
from augrec.pipeline.stages.base import Run, Stage
from augrec.pipeline.weights.staging import staged


class Augment(Stage):
    """Writes `augment/<source>/<task>/records.parquet` and `augment/summary.json`."""

    name = "augment"
    after = ("prepare", "candidates")

    def code(self, run: Run) -> tuple[str, ...]:
        sources = run.config.generation.sources.values() if run.config.generation else ()
        return (*super().code(run), *(module for source in sources for module in source_code(source)))

    def section(self, run: Run) -> dict[str, Any]:
        generation = run.config.generation
        if generation is None:
            return {"generation": None}
        from augment.prompts.rendering import replaced_templates

        found = {name: source_model(source) for name, source in generation.sources.items()}
        models = {name: model.sha256 for name, model in found.items() if model is not None}
        used = {task for source in generation.sources.values() for task in source.tasks}
        told = generation.model_dump(
            mode="json",
            exclude={
                "sources": {
                    name: {"engine": set(source.engine.changes_no_answer)}
                    for name, source in generation.sources.items()
                },
                "tasks": set(type(generation.tasks).model_fields) - used,
                "templates": True,
            },
        )
        for name in models:
            del told["sources"][name]["engine"]["model"]  # a name or a folder, and the hash says which weights
        return {
            "generation": told,
            "templates": replaced_templates(generation.templates),
            "models": models,
            "files": {name: source.engine.file_hashes() for name, source in generation.sources.items()},
            "seed": run.config.seed,
        }

    def run(self, run: Run) -> dict[str, Any]:
        from augment.catalog import Catalog
        from augment.runner import run_source
        from augrec.pipeline.executors.local import answer_side_by_side

        generation = run.config.generation
        summaries: dict[str, Any] = {}
        unfinished: list[str] = []
        if generation is not None:
            catalog = Catalog.load(run.folder / "dataset", run.folder / "candidates" / "candidates.parquet")
            if (run.workers or 1) > 1:
                answer_side_by_side(run, run.workers or 1)
            for name, source in generation.sources.items():
                with engine_of(run, name, catalog) or nullcontext() as engine:
                    summaries[name] = run_source(
                        catalog,
                        name,
                        source,
                        generation,
                        folder=self.folder(run) / name,
                        seed=run.config.seed,
                        engine=stoppable(engine, run) if engine else None,
                    )
                if "open" in summaries[name]:
                    unfinished.append(name)
                for part in (self.folder(run) / name).glob("*/records-*.parquet"):
                    remove_file(part)  # an array task's own table; the merged one has all of them
        require_answered(run, unfinished)
        tasks = [task for summary in summaries.values() for task in summary["tasks"].values()]
        totals = {key: sum(task[key] for task in tasks) for key in ("requests", "ok", "failed")}
        write_json(self.folder(run) / "summary.json", {"sources": summaries, "totals": totals})
        return totals

    def parts(self, run: Run) -> list[Path]:
        return [self.folder(run) / name for name in (run.config.generation.sources if run.config.generation else ())]

    def outputs(self, run: Run) -> Iterable[Path]:
        summary = read_json(self.folder(run) / "summary.json")
        return [
            self.folder(run) / source / task / name
            for source, content in summary["sources"].items()
            for task in content["tasks"]
            for name in ("records.parquet", "task.json")
        ]

    def summary(self, details: dict[str, Any]) -> str:
        return f"{details['requests']:,} requests, {details['ok']:,} ok, {details['failed']:,} failed"


def source_code(source: Any) -> tuple[str, ...]:
    """The modules that only this source needs: its engine's and its tasks'."""
    from augment.engines.registry import ENGINES
    from augment.tasks import TASKS

    asked = (TASKS[task].__module__ for task in source.tasks if task in TASKS)
    return (ENGINES[source.engine.kind].module, *asked)


def require_answered(run: Run, unfinished: Iterable[str]) -> None:
    """Raises when sources have requests that nobody answered: they are asked again before the stage can be finished."""
    from augment.engines.base import EngineFailed
    from augment.store.open_requests import REMEDY, read_open

    folder = run.folder / "augment"
    waiting = [f"{name}: {read_open(folder / name) or 'requests are not answered yet'}" for name in unfinished]
    if waiting:
        raise EngineFailed("; ".join(waiting), where=folder, remedy=REMEDY)


def source_model(source: Any) -> Any:
    """The resolved local model of a source, or None for engines without one."""
    from augrec.pipeline.weights.resolve import resolve

    return resolve(source.engine.model) if source.engine.loads_weights else None


def engine_of(run: Run, name: str, catalog: Any, suffix: str = "") -> Any:
    """A source's engine, not yet entered; None for a replayed one, which the runner knows by its options.

    Args:
        run: the run.
        name: the source.
        catalog: what may be told to a model.
        suffix: put into the name of the engine's log, where several engines write beside each other.
    """
    from augment.engines.base import EngineInputs
    from augment.engines.registry import build_engine

    assert run.config.generation is not None
    source = run.config.generation.sources[name]
    if source.engine.replays:
        return None
    model = source_model(source)
    weights = (staged(model.path, model.sha256), model.sha256) if model else (None, None)
    return build_engine(source.engine, EngineInputs.beside(run.folder / "augment" / name, suffix, *weights))


def stoppable(engine: Any, run: Run) -> Any:
    """The engine, ending in good order when the run's process is asked to stop."""
    from augment.engines.stoppable import StoppableEngine

    return StoppableEngine(engine, check=run.stop.check, polled=run.stop.polled, shielded=run.stop.shielded)
