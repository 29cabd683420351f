"""augment: every source (an LLM, or a control without one) writes edges, profiles and attributes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, read_json, remove_file, write_json
from augrec.artefacts.progress import say
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.identity.code_identity import code_identity
from augrec.pipeline.stages.base import Marker, Piece, Resources, Run, Stage, Worker
from augrec.pipeline.stages.selection import ByGroup, CommandOption

if TYPE_CHECKING:
    from augment.engines.stoppable import StoppableEngine
    from augment.options import SourceOptions


class Augment(Stage):
    """Writes `augment/<source>/<task>/records.parquet` and `augment/summary.json`.

    A piece is a shard of a source. Where tasks quote the answers to others, shards are counted on from wave to wave: of
    4 shards in two waves, pieces 0 to 3 are answered before 4 to 7.
    """

    name = "augment"
    help = "Let each source (an LLM, or the heuristic control) write edges, profiles and attributes."
    after = ("prepare", "base", "tune", "candidates")
    pieces_name = "shards"
    selection = ByGroup(
        CommandOption("--source", "NAME", "Only answer for this source; nothing is merged."),
        "source",
        CommandOption("--shards", "LIST", "Of that source only these, e.g. 3-5,9."),
        "shard",
    )
    resources = Resources(
        costly_start=True,
        array_per_group=True,
        per_task="shards_per_task",
        per_task_help="Shards that one array task answers in turn. A task should run for half an hour or more: an "
        "engine takes minutes to start.",
        merge=("--merge",),
        merge_job="merge",
    )

    def code(self, run: Run) -> tuple[str, ...]:
        """See `Stage.code`; with the engines and the tasks of all sources."""
        sources = run.config.generation.asked.values() if run.config.generation else ()
        return (*super().code(run), *(module for source in sources for module in source_code(source)))

    def section(self, run: Run) -> dict[str, Any]:
        """See `Stage.section`; weights, templates and replayed records count by their content."""
        generation = run.config.generation
        if generation is None:
            return {"generation": None}
        from augment.prompts.rendering import replaced_templates

        asked = generation.asked
        answering = {name: answering_source(run, name) for name in asked}
        resolved = {name: source_model(source) for name, source in answering.items()}
        models = {name: model.sha256 for name, model in resolved.items() if model is not None}
        used = {task for source in asked.values() for task in source.tasks}
        values = generation.model_dump(
            mode="json",
            exclude={
                "sources": {name: {"engine": set(source.engine.changes_no_answer)} for name, source in asked.items()}
                | dict.fromkeys(generation.sources.keys() - asked.keys(), True),
                "tasks": set(type(generation.tasks).model_fields) - used,
                "templates": True,
            },
        )
        for name in models:
            del values["sources"][name]["engine"]["model"]  # a name or a folder, and the hash says which weights
        return {
            "generation": values,
            "templates": replaced_templates(generation.templates),
            "models": models,
            "files": {name: source.engine.file_hashes() for name, source in answering.items()},
            "seed": run.config.seed,
        }

    def pieces(self, run: Run, *, known: bool = True) -> list[Piece]:
        """See `Stage.pieces`: a shard of a source, in a wave of tasks that begins when those they read are done."""
        generation = run.config.generation
        if generation is None:
            return []
        identity = self.identity(run) if known else None
        pieces: list[Piece] = []
        for source, options in generation.asked.items():
            files = run.files.source(source)
            fingerprint = digest(self._of_source(identity, run, source)) if identity else None
            for number in range(generation.shards * len(generation.waves(options))):
                attempts = Attempts(files.attempt_log(number), fingerprint)
                wave = number // generation.shards
                pieces.append(Piece(self.name, source, number, f"{source} {number}", attempts, wave))
        return pieces

    def _of_source(self, identity: dict[str, Any], run: Run, source: str) -> dict[str, Any]:
        """The stage's identity without what only concerns other sources."""
        assert run.config.generation is not None
        options, section = run.config.generation.sources[source], dict(identity["section"])
        for key in ("models", "files"):
            section[key] = section[key].get(source)
        generation = section["generation"]
        tasks = {task: generation["tasks"].get(task) for task in options.tasks}  # of replayed ones there may be none
        section["generation"] = {**generation, "sources": generation["sources"][source], "tasks": tasks}
        # What was tuned is among the source's own files or models, where it is used.
        inputs = {stage: content for stage, content in identity["inputs"].items() if stage != "tune"}
        return {
            **identity,
            "inputs": inputs,
            "section": section,
            "code": code_identity((*super().code(run), *source_code(options))),
        }

    @contextmanager
    def worker(self, run: Run, group: str) -> Iterator[Worker]:
        """See `Stage.worker`: the source's engine, which starts with the first question that it is asked."""
        catalog = catalog_of(run)
        engine = engine_of(run, group, catalog, f"-{os.environ.get('SLURM_JOB_ID', os.getpid())}")
        with engine or nullcontext():
            yield _Answering(run, group, catalog, stoppable(engine, run) if engine else None)

    def gpus(self, run: Run, group: str) -> int | None:
        """See `Stage.gpus`: as many as the source's engine says, 0 where it needs none."""
        return gpus_of_source(run, group)

    def finish(self, run: Run) -> dict[str, Any]:
        """See `Stage.finish`: answers what is open, and merges the shards into tables.

        Raises:
            AugrecError: requests have no record; the same command goes on with them.
        """
        from augment.runner import run_source

        generation = run.config.generation
        summaries: dict[str, Any] = {}
        unfinished: list[str] = []
        if generation is not None:
            catalog = catalog_of(run)
            for name, source in generation.asked.items():
                with engine_of(run, name, catalog) or nullcontext() as engine:
                    summaries[name] = run_source(
                        catalog,
                        name,
                        source,
                        generation,
                        folder=run.files.source(name).root,
                        seed=run.config.seed,
                        engine=stoppable(engine, run) if engine else None,
                    )
                if "open" in summaries[name]:
                    unfinished.append(name)
                for part in run.files.source(name).parts():
                    remove_file(part)  # a worker's own table; the merged one has all of them
        require_answered(run, unfinished)
        tasks = [task for summary in summaries.values() for task in summary["tasks"].values()]
        totals = {key: sum(task[key] for task in tasks) for key in ("requests", "ok", "failed")}
        write_json(run.files.summary, {"sources": summaries, "totals": totals})
        return totals

    def open(self, run: Run, group: str) -> str:
        """See `Stage.open`: requests without a record, or how many records there are where no run came to its end."""
        from augment.store.open_requests import read_open

        left = read_open(run.files.source(group).root)
        if left is not None:
            return str(left)
        tasks = run.files.source(group).tasks_with_shards()
        stored = sum(_lines(shard) for task in tasks for shard in task.shard_files())
        return f"{counted(stored, 'record')} stored" if stored else ""

    def parts(self, run: Run) -> list[Path]:
        """See `Stage.parts`: a folder for each source."""
        sources = run.config.generation.asked if run.config.generation else ()
        return [run.files.source(name).root for name in sources]

    def outputs(self, run: Run) -> Iterable[Path]:
        """See `Stage.outputs`: the records of each source and task, and what the task says of its answers."""
        summary = read_json(run.files.summary)
        tasks = [
            run.files.source(source).task(task)
            for source, content in summary["sources"].items()
            for task in content["tasks"]
        ]
        return [path for task in tasks for path in (task.records, task.card)]

    def damaged(self, run: Run, marker: Marker) -> list[str]:
        """See `Stage.damaged`; with what was counted, on which no later stage depends."""
        try:
            whole = "sources" in read_json(run.files.summary)
        except (DataError, TypeError):
            whole = False
        own = run.files.summary.relative_to(run.folder).as_posix()
        return [*super().damaged(run, marker), *([] if whole else [own])]

    def summary(self, details: dict[str, Any]) -> str:
        """See `Stage.summary`."""
        return f"{counted(details['requests'], 'request')}, {details['ok']:,} ok, {details['failed']:,} failed"


class _Answering(Worker):
    """Answers one shard of a source after the other; see `augment.runner`."""

    def __init__(self, run: Run, source: str, catalog: Any, engine: StoppableEngine | None) -> None:
        self._run, self._source, self._catalog, self._engine = run, source, catalog, engine
        self._answered_before = 0

    def do(self, piece: Piece) -> int:
        from augment.runner import run_source

        generation = self._run.config.generation
        assert generation is not None
        self._answered_before = self._engine.answered if self._engine else 0
        wave, shard = divmod(piece.number, generation.shards)
        summary = run_source(
            self._catalog,
            self._source,
            generation.sources[self._source],
            generation,
            folder=self._run.files.source(self._source).root,
            seed=self._run.config.seed,
            shards=[shard],
            wave=wave,
            engine=self._engine,
        )
        require_answered(self._run, [self._source] if "open" in summary else [])
        return sum(task["requests"] for task in summary["tasks"].values())

    def progress(self) -> int:
        """Answers since the shard was begun."""
        return self._engine.answered - self._answered_before if self._engine else 0


def _lines(path: Path) -> int:
    with path.open("rb") as content:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: content.read(1 << 20), b""))


def catalog_of(run: Run) -> Any:
    """What a run's prompts may show."""
    from augment.catalog import Catalog

    return Catalog.load(run.files.dataset, run.files.candidates, run.files.base if run.config.base else None)


def source_code(source: Any, tasks: Iterable[str] | None = None) -> tuple[str, ...]:
    """The modules that only this source needs: its engine's and its tasks', or those of others that it is asked."""
    from augment.engines.registry import ENGINES
    from augment.tasks import TASKS

    asked = (TASKS[task].__module__ for task in (source.tasks if tasks is None else tasks) if task in TASKS)
    return (ENGINES[source.engine.kind].module, *asked)


def require_answered(run: Run, unfinished: Iterable[str]) -> None:
    """Raises when sources have requests that nobody answered: they are asked again before the stage can be finished."""
    refuse_unanswered({name: run.files.source(name).root for name in unfinished}, run.files.augment)


def refuse_unanswered(unfinished: Mapping[str, Path], where: Path) -> None:
    """Raises where there are folders of records, by what they are called, that lack some."""
    from augment.engines.base import EngineFailed
    from augment.store.open_requests import REMEDY, read_open

    waiting = [f"{name}: {read_open(folder) or 'requests are not answered yet'}" for name, folder in unfinished.items()]
    if waiting:
        raise EngineFailed("; ".join(waiting), where=where, remedy=REMEDY)


def answering_source(run: Run, name: str) -> SourceOptions:
    """A source as it answers: with the tuned model in its engine, where it asks for that."""
    from augrec.pipeline.tuning.served import served

    assert run.config.generation is not None
    source = run.config.generation.sources[name]
    return source.model_copy(update={"engine": served(source.engine, run)})


def gpus_of_source(run: Run, name: str) -> int:
    """As many GPUs as the source's engine says, 0 where it needs none."""
    assert run.config.generation is not None
    engine: Any = run.config.generation.sources[name].engine
    return int(engine.gpus) if engine.needs_gpu else 0


def source_model(source: Any) -> Any:
    """The resolved local model of a source, or None for engines without one."""
    from augrec.pipeline.weights.resolve import resolve

    return resolve(source.engine.model) if source.engine.loads_weights else None


def engine_of(run: Run, name: str, catalog: Any, suffix: str = "", folder: Path | None = None) -> Any:
    """A source's engine, not yet entered; None for a replayed one, which the runner knows by its options.

    Args:
        run: the run.
        name: the source.
        catalog: what may be told to a model.
        suffix: put into the name of the engine's log, where several engines write beside each other.
        folder: where it keeps its log and its number format; beside the source's records unless given.
    """
    from augment.engines.base import EngineInputs
    from augment.engines.registry import build_engine
    from augrec.pipeline.probes.foreknown import refuse_foreknown
    from augrec.pipeline.weights.staging import staged

    source = answering_source(run, name)
    if source.engine.replays:
        refuse_foreknown(run, name, source)
        return None
    model = source_model(source)
    weights = (staged(model.path, model.sha256), model.sha256) if model else (None, None)
    _caution_of_other_base(name, source.engine, model)
    beside = folder or run.files.source(name).root
    return build_engine(source.engine, EngineInputs.beside(beside, suffix, *weights))


def _caution_of_other_base(name: str, engine: Any, model: Any) -> None:
    """Says that an adapter was tuned on other weights; stored otherwise, a model has another hash, too."""
    from augment.engines.vllm.lora import base_of
    from augrec.pipeline.weights.adapter_base import other_weights

    lora = getattr(engine, "lora", None)
    base = base_of(lora) if lora is not None and model is not None else ""
    if base and base != engine.lora_base and other_weights(base, model.sha256):
        what = f"caution  {name}: the adapter {lora} was tuned on other weights than those of {engine.model}"
        say(f"{what}; name as `model` what it was tuned on, or say that they are the same: lora_base: {base}")


def stoppable(engine: Any, run: Run) -> Any:
    """The engine, ending in good order when the run's process is asked to stop."""
    from augment.engines.stoppable import StoppableEngine

    return StoppableEngine(engine, check=run.stop.check, polled=run.stop.polled, shielded=run.stop.shielded)
