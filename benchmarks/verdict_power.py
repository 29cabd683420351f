"""How often is each verdict said at a known effect, and does the interval cover it?

    python -m benchmarks.verdict_power [--json FILE] [--studies N]

Studies are simulated as recommenders are judged: a user has one to eight test items, each is a hit or not, and recall
is the share of hits. Hits of two trainings, of one variant or of two, go together (the latent scores of an item
correlate by .9), every training has a luck of its own (its recall is off by 1 % of the mean, standard deviation), and
the second variant is better by the effect, in per cent of the mean. The margin of equivalence is 2 %, the level 5 %.

Judged are the mistakes: a difference that is called one although there is none, an effect of exactly the margin that is
called equivalent, and intervals that miss. How often an effect is found depends on users and seeds, and is shown.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import stats

from augrec.report.numbers.comparison import compare, corrected
from augrec.report.numbers.intervals import intervals
from augrec.report.numbers.variants import Trained
from augrec.report.numbers.verdicts import WORDS, verdict
from augrec.report.options import Inference
from benchmarks.result import Result, add_json_option, report, run

METRIC = "recall@20"
EFFECTS = (0.0, 0.01, 0.02, 0.04, 0.08)
SIZES = ((1_000, 5), (5_000, 3), (5_000, 5), (5_000, 10))
"""(users, seeds) of the studies."""
MARGIN, LEVEL = 0.02, 0.05
ALIKE, LUCK = 0.9, 0.01
MOST_ITEMS = 8
NO_RESAMPLES = Inference(LEVEL, bootstrap=2, margin=MARGIN, flips=1)


class World:
    """Users with their test items, and trainings that are judged by them.

    Args:
        users: how many.
        rng: where everything comes from.
    """

    def __init__(self, users: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self.items = rng.integers(1, MOST_ITEMS + 1, users)
        self.owner = np.repeat(np.arange(users), self.items)
        self.chance = rng.beta(1, 5, users)[self.owner]
        self.latent = rng.standard_normal(len(self.owner))

    def recall(self, gain: float) -> np.ndarray:
        """One training's recall of every user, whose mean over trainings is (1 + gain) times that of no gain."""
        level = np.minimum(1.0, self.chance * (1 + gain + self.rng.normal(0, LUCK)))
        own = self.rng.standard_normal(len(self.owner))
        hits = np.sqrt(ALIKE) * self.latent + np.sqrt(1 - ALIKE) * own < stats.norm.ppf(level)
        return np.bincount(self.owner, hits) / self.items

    def variant(self, name: str, gain: float, seeds: int) -> Trained:
        """Several trainings as the report reads them."""
        tables = {seed: {METRIC: self.recall(gain)} for seed in range(seeds)}
        metrics = {seed: {"test": {METRIC: float(table[METRIC].mean())}} for seed, table in tables.items()}
        per_user = {METRIC: np.mean([table[METRIC] for table in tables.values()], axis=0)}
        return Trained(name, metrics, np.arange(len(self.items)), per_user, tables)


def words(effect: float, users: int, seeds: int, studies: int, rng: np.random.Generator) -> Counter[str]:
    """How often each verdict is said of a single comparison."""
    said: Counter[str] = Counter()
    for _ in range(studies):
        world = World(users, rng)
        better, base = (world.variant(name, gain, seeds) for name, gain in (("better", effect), ("base", 0.0)))
        found = corrected({"pair": compare(better, base, [METRIC], NO_RESAMPLES)})["pair"][METRIC]
        said[verdict(found, METRIC, LEVEL).word] += 1
    return said


def coverage(users: int, seeds: int, studies: int, rng: np.random.Generator) -> tuple[float, float]:
    """The share of 95 % intervals that cover no effect: over users and seeds, and with the trainings held fixed."""
    covered = np.zeros(2)
    for _ in range(studies):
        world = World(users, rng)
        difference = np.stack([world.recall(0.0) - world.recall(0.0) for _ in range(seeds)])[None, :, :, None]
        for place, values in enumerate((difference, difference.mean(axis=1, keepdims=True))):
            found = intervals(values, 400, LEVEL, rng)
            covered[place] += found.low[0] <= 0 <= found.high[0]
    return tuple(covered / studies)  # type: ignore[return-value]


def tolerated(rate: float, studies: int) -> float:
    """A rate that simulation exceeds once in a thousand where the truth is `rate`."""
    return float(stats.binom.isf(0.001, studies, rate)) / studies


def measure(studies: int) -> list[Result]:
    """Every size and effect."""
    rng = np.random.default_rng(20)
    results = []
    for users, seeds in SIZES:
        for effect in EFFECTS:
            said = words(effect, users, seeds, studies, rng)
            for word in WORDS:
                name, rate = f"{users:,} users, {seeds} seeds, effect {effect:.0%}: {word}", said[word] / studies
                wrong = (effect == 0 and word in ("better", "worse")) or (effect >= MARGIN and word == "equivalent")
                if wrong or (effect > 0 and word == "worse"):
                    results.append(Result.at_most(name, rate, tolerated(LEVEL, studies), "share"))
                else:
                    results.append(Result.unjudged(name, rate, "share", "power, not a mistake"))
        both, fixed = coverage(users, seeds, studies, rng)
        name = f"{users:,} users, {seeds} seeds: 95 % intervals"
        least = 1 - tolerated(LEVEL + 0.02, studies)
        results.append(Result.at_least(f"{name} over users and seeds cover", both, least, "share"))
        results.append(Result.unjudged(f"{name} over users alone cover", fixed, "share", "what it is compared with"))
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdict_power", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--studies", type=int, default=300, metavar="N", help="of each size and effect (300)")
    add_json_option(parser)
    options = parser.parse_args(arguments)
    return report("Verdicts at known effects", measure(options.studies), options.json)


if __name__ == "__main__":
    run(main)
