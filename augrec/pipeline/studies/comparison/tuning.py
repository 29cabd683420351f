"""How much an arm's features weigh in a model: the same few values are tried for every arm, on validation alone."""

from __future__ import annotations

from pathlib import Path

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.studies.comparison.plan import ComparisonPlan
from augrec.pipeline.studies.search.grid import GridStudy
from augrec.pipeline.studies.search.subject import Values
from augrec.pipeline.studies.search.trials import run_trials
from augrec.report.measures.downstream import TriedScale, Tuning


def tune(plan: ComparisonPlan, workers: int) -> tuple[dict[str, Tuning], int]:
    """Trains every variant with features at every value of its recommender's grid; finished trials are kept.

    Returns:
        What was tried and chosen, by variant, and how many trials ran now.

    Raises:
        AugrecError: a trial failed; the others are kept.
    """
    folder, monitor = RunFolder(plan.folder).search, plan.compare.metrics[0]
    studies, options = {}, {}
    for variant, _, name in plan.tuned_variants():
        recommender = plan.compare.recommenders[name]
        options[variant] = recommender.scale
        studies[variant] = GridStudy(
            plan.subject(plan.cell, variant, variant, (plan.compare.tuning_seed,)),
            folder / variant,
            [{recommender.scale: scale} for scale in recommender.scales],
        )
    ran = run_trials(list(studies.values()), workers)
    for study in studies.values():
        study.write(monitor)
    _refuse_failures(studies, folder)
    return {variant: _tuning(study, options[variant], monitor) for variant, study in studies.items()}, ran


def _tuning(study: GridStudy, option: str, monitor: str) -> Tuning:
    tried = tuple(TriedScale(float(trial.options[option]), trial.value) for trial in study.tried())
    return Tuning(study.result(monitor).options[option], tried)


def _refuse_failures(studies: dict[str, GridStudy], folder: Path) -> None:
    problems = [
        f"  - {variant}, {_words(study.grid[position])}: {problem}"
        for variant, study in studies.items()
        for position, problem in study.problems.items()
    ]
    if problems:
        listed = "\n".join(problems)
        raise AugrecError(
            f"{len(problems)} of {sum(study.budget for study in studies.values())} trials failed:\n{listed}",
            where=folder,
            remedy="the others are finished and kept; mend the cause and run the same command again",
        )


def _words(options: Values) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in options.items())
