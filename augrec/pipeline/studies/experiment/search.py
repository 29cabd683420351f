"""Hyper-parameter search of an experiment: the same number of trials for every variant, controls included."""

from __future__ import annotations

from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.stages.base import Run
from augrec.pipeline.studies.experiment.plan import ExperimentPlan, searched_models
from augrec.pipeline.studies.plan import Cell
from augrec.pipeline.studies.search.journal import JournalStudy
from augrec.pipeline.studies.search.trials import run_trials
from augrec.report.study import SearchResult


def search_models(plan: ExperimentPlan, cell: Cell, run: Run, workers: int) -> tuple[dict[str, SearchResult], int]:
    """Searches every model of a run; finished trials are kept. The models' searches go on side by side.

    Each model is that of one variant (see `compose`), and is given what that is given.

    Returns:
        What was chosen by model, and how many trials were run for it now.
    """
    search = plan.experiment.search
    assert search is not None
    results: dict[str, SearchResult] = {}
    studies: dict[str, JournalStudy] = {}
    for model in searched_models(search.models, cell.config, plan.swept()):
        space = plan.spaces.get(cell.config.models[model].family)
        if space is None or not space.space:
            results[model] = SearchResult(model, note="nothing to tune")
            continue
        name = next(name for name, variant in cell.config.variants.items() if variant.model == model)
        subject = plan.subject(cell, model, name, tuple(search.seeds))
        folder = RunFolder(run.folder).search / model
        studies[model] = JournalStudy(subject, folder, cell.config, search, space)
    monitor = cell.config.training.monitor
    try:
        ran = run_trials(list(studies.values()), workers)
    finally:
        for study in studies.values():
            study.write(monitor)
    return results | {model: study.result(monitor) for model, study in studies.items()}, ran
