"""Models, adapters, embedders, records and other files that a config names: are they there, and whole?

Nothing is loaded, hashed or converted: files are looked at by names, headers and sizes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from augment.engines.vllm.lora import WEIGHTS
from augment.options import SourceOptions
from augrec.artefacts.errors import UsageError
from augrec.pipeline.preflight.findings import Finding, refusals
from augrec.pipeline.stages.base import Run
from augrec.pipeline.training.start_from import Origin
from augrec.pipeline.weights import find_model
from augrec.pipeline.weights.tensor_files import shard_faults


def sources_asked(run: Run) -> dict[str, SourceOptions]:
    """The sources that a stage asks, while augmenting or re-ranking."""
    generation, rerank = run.config.generation, run.config.rerank
    if generation is None:
        return {}
    named = {rerank.source: generation.sources[rerank.source]} if rerank else {}
    return {**generation.asked, **named}


def engine_key(source: str) -> str:
    """Where a source's engine stands in a config."""
    return f"generation.sources.{source}.engine"


def look_for_models(run: Run, coming: Collection[Path] = ()) -> Iterator[Finding]:
    """What of the models and files that a run names cannot be used.

    Args:
        run: the run.
        coming: folders of records that an earlier step of a study makes.
    """
    config = run.config
    for name, source in sources_asked(run).items():
        engine: Any = source.engine
        if engine.loads_weights:
            yield from refusals(f"{engine_key(name)}.model", partial(find_model, engine.model))
        if not (engine.replays and engine.records in coming):
            yield from refusals(engine_key(name), engine.file_hashes)
            if getattr(engine, "lora", None) is not None:
                yield from refusals(f"{engine_key(name)}.lora", partial(_require_matrices, engine.lora / WEIGHTS))
    if config.generation is not None and config.generation.templates is not None:
        yield from refusals("generation.templates", partial(_require_templates, config.generation.templates))
    if config.embedding is not None and not config.embedding.lexical:
        yield from refusals("embedding.model", partial(find_model, config.embedding.model))
    yield from _look_for_tuning(run)
    yield from _look_for_starts(run)


def _require_matrices(path: Path) -> None:
    """Raises where an adapter's file of weights, which is there, holds none or is cut short."""
    if not path.is_file():
        return  # said of the folder
    fault = shard_faults(path)
    if fault:
        raise UsageError(f"the adapter's weights lack {fault}", where=path, remedy="copy or download it again")


def _require_templates(folder: Path) -> None:
    from augment.prompts.rendering import replaced_templates

    replaced_templates(folder)


def _look_for_tuning(run: Run) -> Iterator[Finding]:
    """The base model, the environment that trains it, and the files that the section names."""
    from augrec.pipeline.tuning.environment import tune_environment

    options = run.config.tune
    if options is None:
        return
    yield from refusals("tune.model", partial(find_model, options.model))
    if not run.files.tune.outcome.exists():
        yield from refusals("tune.python", partial(tune_environment, options.python))
    named = {"tune.accelerate": options.accelerate, "tune.deepspeed": options.deepspeed}
    named |= {f"tune.instructions.also.{place}": path for place, path in enumerate(options.instructions.also)}
    for key, path in named.items():
        if path is not None:
            yield from refusals(key, partial(_require_file, path))


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise UsageError("there is no such file", where=path, remedy="correct the path")


def _look_for_starts(run: Run) -> Iterator[Finding]:
    """The trainings of other runs that trainings here begin with."""
    for name, variant in run.config.variants.items():
        for seed in run.config.seeds_of(name) if variant.start_from else ():
            assert variant.start_from is not None
            missing = refusals(f"variants.{name}.start_from", partial(Origin.of, variant.start_from, seed, run.folder))
            yield from missing
            if missing:
                break  # the other seeds mostly lack the same
