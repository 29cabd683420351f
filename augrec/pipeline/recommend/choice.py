"""Which of a run's trainings recommends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.metrics import Metric
from augrec.artefacts.names import did_you_mean
from augrec.artefacts.treatments import WITHOUT_CONTENT, changes
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.train import finished_trainings
from augrec.pipeline.training.variant_training import Training

TRAIN = "`augrec train CONFIG` trains what is missing, and anew what another version of the program or config trained"


@dataclass(frozen=True)
class Choice:
    """A finished training, and why it was taken, in words."""

    training: Training
    why: str


def chosen_training(run: Run, variant: str | None = None, seed: int | None = None) -> Choice:
    """The training that is named, or else the first seed of the variant that is best on validation.

    Variants that are controls, whose answers have lost their content, are only taken where they are named.

    Args:
        run: at its home, see `run_at_home`.
        variant: of the config.
        seed: of that variant.

    Raises:
        UsageError: there is no such variant or seed.
        DataError: no such training has finished with this config and this version of the program.
    """
    config = run.config
    if variant is not None and variant not in config.variants:
        raise UsageError(
            f"the run has no variant '{variant}'{did_you_mean(variant, config.variants)}",
            where="variant",
            remedy=_no_variant(run, variant),
        )
    names = [variant] if variant is not None else _candidates(config)
    all_finished = finished_trainings(run)
    finished = {name: [one for one in all_finished if one.variant == name] for name in names}
    there = {name: trainings for name, trainings in finished.items() if trainings}
    if not there:
        what = f"no training of {variant} has finished" if variant else "no training of this run has finished"
        raise DataError(f"{what} with its config and this version of the program", where=run.files.train, remedy=TRAIN)
    name, why = (variant, "as asked") if variant is not None else _best(config, there)
    trainings = there[name]
    if seed is None:
        return Choice(trainings[0], why)
    for training in trainings:
        if training.seed == seed:
            return Choice(training, why)
    seeds = ", ".join(str(training.seed) for training in trainings)
    raise UsageError(f"{name} has no finished training with seed {seed}", where="--seed", remedy=f"one of {seeds}")


def _candidates(config: Config) -> list[str]:
    plain = [
        name
        for name, variant in config.variants.items()
        if not {*changes(variant.model_dump()).values()} & {*WITHOUT_CONTENT}
    ]
    return plain or [*config.variants]


def _best(config: Config, finished: dict[str, list[Training]]) -> tuple[str, str]:
    """The variant with the best mean on validation, and why."""
    if len(finished) == 1:
        return next(iter(finished)), "the only one"
    valid = {name: [one.metrics()["valid"] for one in trainings] for name, trainings in finished.items()}
    named = next(
        (
            name
            for name in (str(config.report.primary), str(config.training.monitor))
            if all(seed.get(name) is not None for seeds in valid.values() for seed in seeds)
        ),
        None,
    )
    if named is None:
        raise UsageError(
            "the run's variants have no validation metric in common by which the best could be found",
            where="variant",
            remedy=f"name one of {', '.join(finished)}",
        )
    sign = Metric.parse(named).sign
    means = {name: fmean(seed[named] for seed in seeds) for name, seeds in valid.items()}
    best = max(means, key=lambda name: sign * means[name])
    return best, f"best of {len(means)} on validation, {named} {means[best]:.4f}"


def _no_variant(run: Run, name: str) -> str:
    listed = f"one of {', '.join(run.config.variants)}"
    rows: Sequence[str] = [path.name for path in run.files.rerank.glob("*+*")]
    if name in rows:
        return f"a row of re-ranking has lists of test users alone, in {run.files.rerank / name}; else {listed}"
    return listed
