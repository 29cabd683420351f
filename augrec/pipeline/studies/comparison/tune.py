"""How much an arm's features weigh in a model: the same few values are tried for every arm, on validation alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import write_json
from augrec.artefacts.metrics import Metric
from augrec.artefacts.progress import progress
from augrec.pipeline.host.workers import run_tasks
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.train import trainings_of
from augrec.pipeline.studies.comparison.plan import Plan
from augrec.pipeline.training import Training, train_one
from augrec.report.measures.downstream import Tried, Tuning


@dataclass(frozen=True)
class Trial:
    """One value for one variant. `training` never evaluates the test split."""

    variant: str
    scale: float
    training: Training


def tune(plan: Plan, workers: int) -> tuple[dict[str, Tuning], int]:
    """Trains every variant with features at every value of its recommender's grid; finished trials are kept.

    Returns:
        What was found by variant, and how many trials ran now.

    Raises:
        AugrecError: a trial failed; the others are kept.
    """
    trials = _trials(plan)
    waiting = [trial for trial in trials if not trial.training.finished()]
    problems: dict[tuple[str, float], str] = {}
    if waiting:
        with progress("tune", len(waiting), "trials") as ticker:

            def done(trial: Trial, value: float | None, problem: str | None) -> Iterable[Trial]:
                if problem is not None:
                    problems[trial.variant, trial.scale] = problem
                told = "failed" if value is None else f"{value:.4f}"
                ticker.note(f"{trial.variant}  scale {trial.scale:g}  valid {told}")
                ticker.advance()
                return ()

            run_tasks(partial(_train, beside_others=workers > 1), waiting, workers, done)
    if problems:
        listed = "\n".join(f"  - {variant}, scale {scale:g}: {why}" for (variant, scale), why in problems.items())
        raise AugrecError(
            f"{len(problems)} of {len(trials)} trials failed:\n{listed}",
            where=plan.folder / "tune",
            remedy="the others are finished and kept; mend the cause and run the same command again",
        )
    found = _found(plan, trials)
    write_json(plan.folder / "tune" / "found.json", {variant: asdict(tuning) for variant, tuning in found.items()})
    return found, len(waiting)


def _trials(plan: Plan) -> list[Trial]:
    trials = []
    compare = plan.compare
    for place in range(max(len(recommender.scales) for recommender in compare.recommenders.values())):
        chosen = {
            variant: compare.recommenders[recommender].scales[place]
            for variant, _, recommender in plan.tuned_variants()
            if place < len(compare.recommenders[recommender].scales)
        }
        config = plan.config(chosen)
        variants = {name: config.variants[name].model_copy(update={"seeds": [compare.tuning_seed]}) for name in chosen}
        run = Run(config.model_copy(update={"variants": variants, "seeds": [compare.tuning_seed]}))
        trials += [
            Trial(
                one.variant,
                chosen[one.variant],
                Training(
                    one.variant,
                    one.seed,
                    one.fingerprint,
                    one.run_folder,
                    one.config,
                    plan.folder / "tune" / one.variant / f"scale-{place}" / f"seed-{one.seed}",
                    judge_test=False,
                ),
            )
            for one in trainings_of(run)
        ]
    return trials


def _train(trial: Trial, beside_others: bool) -> float:
    return train_one(trial.training, beside_others)


def _found(plan: Plan, trials: list[Trial]) -> dict[str, Tuning]:
    metric = plan.compare.metrics[0]
    tried: dict[str, list[Tried]] = {}
    for trial in trials:
        value = trial.training.metrics()["valid"].get(metric)
        tried.setdefault(trial.variant, []).append(Tried(trial.scale, None if value is None else float(value)))
    return {variant: chosen(metric, values) for variant, values in tried.items()}


def chosen(metric: str, tried: Sequence[Tried]) -> Tuning:
    """The weight with the best metric on validation; the first of those that tie."""
    known = [trial.valid for trial in tried if trial.valid is not None]
    best = Metric.parse(metric).best(known)
    return Tuning(next((trial.scale for trial in tried if trial.valid == best), None), tuple(tried))
