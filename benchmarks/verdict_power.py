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
from dataclasses import dataclass, field

import numpy as np
from scipy import special, stats

from augrec.report.numbers.comparison import compare, corrected
from augrec.report.numbers.intervals import intervals
from augrec.report.numbers.variants import Trained
from augrec.report.numbers.verdicts import WORDS, verdict
from augrec.report.options import Inference
from benchmarks.result import Result, add_json_option, report, run

METRIC = "recall@20"
EFFECTS = (0.0, 0.01, 0.02, 0.04, 0.08)
SIZES = {1_000: (5,), 5_000: (3, 5, 10)}
"""Users of the studies, and seeds; those of fewer seeds are the first of more."""
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
        self.chance = rng.beta(1, 5, users)
        self.latent = rng.standard_normal(len(self.owner))

    def recalls(self, gain: float, seeds: int) -> np.ndarray:
        """[seeds, users]: recall of several trainings, whose mean is (1 + gain) times that of no gain."""
        return np.stack([self._recall(gain) for _ in range(seeds)])

    def _recall(self, gain: float) -> np.ndarray:
        level = special.ndtri(np.minimum(1.0, self.chance * (1 + gain + self.rng.normal(0, LUCK))))
        own = self.rng.standard_normal(len(self.owner))
        hits = np.sqrt(ALIKE) * self.latent + np.sqrt(1 - ALIKE) * own < level[self.owner]
        return np.bincount(self.owner, hits) / self.items


def variant(name: str, recalls: np.ndarray) -> Trained:
    """Trainings [seeds, users] as the report reads them."""
    tables = {seed: {METRIC: values} for seed, values in enumerate(recalls)}
    metrics = {seed: {"test": {METRIC: float(values.mean())}} for seed, values in enumerate(recalls)}
    return Trained(name, metrics, np.arange(recalls.shape[1]), {METRIC: recalls.mean(axis=0)}, tables)


def word_of(better: np.ndarray, base: np.ndarray) -> str:
    """The verdict on a single comparison of trainings [seeds, users]."""
    found = compare(variant("better", better), variant("base", base), [METRIC], NO_RESAMPLES)
    return verdict(corrected({"pair": found})["pair"][METRIC], METRIC, LEVEL).word


@dataclass
class Counts:
    """What came of the studies of one size.

    Attributes:
        said: effect -> how often each verdict was said.
        covered: how many 95 % intervals covered no effect: over users and seeds, and with the trainings held fixed.
    """

    said: dict[float, Counter[str]] = field(default_factory=lambda: {effect: Counter() for effect in EFFECTS})
    covered: np.ndarray = field(default_factory=lambda: np.zeros(2))


def simulate(users: int, seeds: Sequence[int], studies: int, rng: np.random.Generator) -> dict[int, Counts]:
    """Studies of so many users, by their seeds. Effects of one study are measured against the same baseline."""
    counts = {number: Counts() for number in seeds}
    for _ in range(studies):
        world = World(users, rng)
        base = world.recalls(0.0, max(seeds))
        better = {effect: world.recalls(effect, max(seeds)) for effect in EFFECTS}
        for number, of_size in counts.items():
            for effect, recalls in better.items():
                of_size.said[effect][word_of(recalls[:number], base[:number])] += 1
            difference = (better[0.0] - base)[None, :number, :, None]
            for place, values in enumerate((difference, difference.mean(axis=1, keepdims=True))):
                found = intervals(values, 400, LEVEL, rng)
                of_size.covered[place] += found.low[0] <= 0 <= found.high[0]
    return counts


def tolerated(rate: float, studies: int) -> float:
    """A rate that simulation exceeds once in a thousand where the truth is `rate`."""
    return float(stats.binom.isf(0.001, studies, rate)) / studies


def measure(studies: int) -> list[Result]:
    """Every size and effect."""
    rng = np.random.default_rng(20)
    return [
        result
        for users, seeds in SIZES.items()
        for number, counts in simulate(users, seeds, studies, rng).items()
        for result in _results(f"{users:,} users, {number} seeds", counts, studies)
    ]


def _results(size: str, counts: Counts, studies: int) -> list[Result]:
    results = []
    for effect, said in counts.said.items():
        for word in WORDS:
            name, rate = f"{size}, effect {effect:.0%}: {word}", said[word] / studies
            wrong = (effect == 0 and word in ("better", "worse")) or (effect >= MARGIN and word == "equivalent")
            if wrong or (effect > 0 and word == "worse"):
                results.append(Result.at_most(name, rate, tolerated(LEVEL, studies), "share"))
            else:
                results.append(Result.unjudged(name, rate, "share", "power, not a mistake"))
    both, fixed = (float(share) for share in counts.covered / studies)
    least = 1 - tolerated(LEVEL + 0.02, studies)
    name = f"{size}: 95 % intervals"
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
