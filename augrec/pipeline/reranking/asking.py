"""A language model is asked about a training's lists, as a source is asked about candidates."""

from __future__ import annotations

from typing import Any

from augment.catalog import Catalog
from augment.engines.base import Engine
from augment.options import GenerationOptions, SourceOptions
from augment.runner import run_source
from augrec.artefacts.files import remove_file
from augrec.artefacts.run_folder import RerankingFolder, RunFolder
from augrec.pipeline.reranking.lists import first_of, read_lists
from augrec.pipeline.training.variant_training import Training
from recsys.data.dataset import Dataset
from recsys.options import Judged


def ask_about(training: Training, there: RerankingFolder, engine: Engine | None, *, title: str) -> dict[str, Any]:
    """Answers everything that the first items of a training's lists raise; what the runner of sources counted.

    Prompts show training interactions; where they show hints, the recommender's own scores of the listed items, and who
    is similar by the run's base recommender.

    Args:
        training: whose lists are in the folder.
        there: the folder, of one split.
        engine: what answers; None where the source's engine loads no weights.
        title: for the progress display.
    """
    config, files = training.config, RunFolder(training.run_folder)
    dataset = Dataset.load(files.dataset, test=False)
    lists = read_lists(there.lists, dataset)
    rates = config.models[config.variants[training.variant].model].judged is Judged.RATING
    assert config.rerank is not None
    size = lists.items.shape[1] if rates else config.rerank.list_size
    catalog = Catalog.load(files.dataset, base=files.base if config.base else None).listing(
        *first_of(lists, size, dataset.n_users)
    )
    source, generation = asked_about_lists(config, size)
    summary = run_source(catalog, title, source, generation, folder=there.answers.root, seed=config.seed, engine=engine)
    for part in there.answers.parts():
        remove_file(part)
    return summary


def asked_about_lists(config: Any, size: int) -> tuple[SourceOptions, GenerationOptions]:
    """The source with the tasks of the section, and lists of its length in the settings of tasks that show lists."""
    options, generation = config.rerank, config.generation
    source = generation.sources[options.source].model_copy(update={"tasks": options.tasks, "users": options.users})
    settings = {task: generation.tasks.of(task) for task in options.tasks}
    longer = {task: setting.model_copy(update={"candidates": size}) for task, setting in settings.items()}
    tasks = generation.tasks.model_copy(update=longer)
    return source, generation.model_copy(update={"tasks": tasks})
