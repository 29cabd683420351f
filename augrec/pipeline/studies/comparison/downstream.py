"""What the arms are worth to the recommenders: metrics by group of users, with intervals and paired tests.

Users are grouped by how much the graph knows of them: head, middle and tail are the thirds by number of training
interactions; `profiled` are those that every source was asked about, so that a source that was asked about some users
only is judged where it had a say.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.files import read_parquet
from augrec.pipeline.studies.comparison.plan import Plan, variant_name
from augrec.pipeline.studies.comparison.tune import Tuned
from augrec.report.numbers.results import compare, spread
from augrec.report.numbers.runs import Trained, read_variant
from augrec.report.numbers.statistics import bootstrap_intervals, holm
from augrec.report.options import ReportOptions

THIRDS = ("tail", "middle", "head")


@dataclass(frozen=True)
class Group:
    """Some of the test users.

    Attributes:
        name, title, rule: for tables, and how it was drawn.
        users: sorted contiguous ids.
    """

    name: str
    title: str
    rule: str
    users: np.ndarray


def groups_of(test_users: np.ndarray, train_counts: np.ndarray, profiled: np.ndarray | None) -> list[Group]:
    """All test users, those that every source was asked about (where that is not all), and thirds by activity.

    Users with equally many interactions stay together, so that the thirds are of about the same size, not exactly.

    Args:
        test_users: sorted ids of the users with test items.
        train_counts: training interactions of every user, [n_users].
        profiled: ids of those that every source was asked about; None where that is everybody.
    """
    groups = [Group("all", "all users", "every user with a test item", test_users)]
    if profiled is not None:
        rule = "test users that every source was asked about"
        groups.append(
            Group("profiled", "users all sources were asked about", rule, np.intersect1d(test_users, profiled))
        )
    counts = train_counts[test_users]
    low, high = (int(np.quantile(counts, share, method="lower")) for share in (1 / 3, 2 / 3))
    bounds = {"tail": (0, low), "middle": (low + 1, high), "head": (high + 1, None)}
    for name in reversed(THIRDS):
        least, most = bounds[name]
        chosen = test_users[(counts >= least) & (counts <= (counts.max() if most is None else most))]
        told = f"{least} or more" if most is None else f"at most {most}" if not least else f"{least} to {most}"
        if len(chosen):
            groups.append(Group(name, f"{name} users", f"{told} training interactions", chosen))
    return groups


class Downstream:
    """The trained variants of a comparison.

    Args:
        plan: the comparison.
        folder: the run folder.
        tuned: what the tuning found, by variant.
        seeds: the training seeds of every variant.
    """

    def __init__(self, plan: Plan, folder: Path, tuned: dict[str, Tuned], seeds: dict[str, list[int]]) -> None:
        self._plan, self._tuned, self._seeds = plan, tuned, seeds
        self._tables: dict[str, dict[int, dict[str, np.ndarray]]] = {}
        self.trained: dict[str, Trained] = {}
        for variant, wanted in seeds.items():
            self.trained[variant] = read_variant(folder / "train" / variant, variant, wanted)
            self._tables[variant] = {
                seed: _sorted(folder / "train" / variant / f"seed-{seed}" / "per_user.parquet") for seed in wanted
            }

    @property
    def test_users(self) -> np.ndarray:
        """Sorted ids of the users with test items; the others have no metric."""
        first = next(iter(self.trained.values()))
        return first.users[np.isfinite(first.per_user[self._plan.compare.metrics[0]])]

    def rows(self, groups: list[Group]) -> list[dict[str, Any]]:
        """The entries `downstream` of compare.json."""
        compare_ = self._plan.compare
        rows: list[dict[str, Any]] = []
        for recommender in compare_.recommenders:
            found = {
                arm: self._entry(arm, recommender, self._seeds[variant_name(arm, recommender)]) for arm in compare_.arms
            }
            for group in groups:
                self._judge(recommender, group, found)
            rows += found.values()
        return rows

    def _entry(self, arm: str, recommender: str, seeds: list[int]) -> dict[str, Any]:
        tuned = self._tuned.get(variant_name(arm, recommender))
        return {
            "arm": arm,
            "recommender": recommender,
            "seeds": seeds,
            "scale": tuned.scale if tuned else None,
            "tuned": [{"scale": scale, "valid": value} for scale, value in tuned.tried] if tuned else [],
            "problem": None,
            "groups": {},
        }

    def _judge(self, recommender: str, group: Group, entries: dict[str, dict[str, Any]]) -> None:
        """Fills in one group of one recommender: every arm's metrics, and its tests, Holm-corrected per metric."""
        compare_ = self._plan.compare
        parts = {arm: self._part(variant_name(arm, recommender), group) for arm in entries}
        options = ReportOptions(
            baseline=compare_.baseline,
            primary=compare_.metrics[0],
            secondary=compare_.metrics[1:],
            alpha=compare_.alpha,
            bootstrap=compare_.bootstrap,
        )
        metrics = list(compare_.metrics)
        versus: dict[tuple[str, str], dict[str, Any]] = {}
        for arm, others in self._pairs().items():
            for other in others:
                versus[arm, other] = dict(compare(parts[arm], parts[other], metrics, options))
        for metric in metrics:
            corrected = holm([found[metric].p_users for found in versus.values()])
            for arm in entries:
                entries[arm]["groups"].setdefault(group.name, {})[metric] = self._metric(parts[arm], metric) | {
                    "versus": {
                        other: {
                            "difference": found[metric].difference,
                            "low": found[metric].ci_low,
                            "high": found[metric].ci_high,
                            "p_users": found[metric].p_users,
                            "p_users_holm": p,
                            "p_seeds": found[metric].p_seeds,
                            "seeds_reason": found[metric].seeds_reason,
                            "n_users": found[metric].n_users,
                        }
                        for ((mine, other), found), p in zip(versus.items(), corrected, strict=True)
                        if mine == arm
                    }
                }

    def _pairs(self) -> dict[str, list[str]]:
        """Which arms each arm is tested against: the baseline first."""
        compare_ = self._plan.compare
        pairs = {}
        for name, arm in compare_.arms.items():
            others = [other for other in (compare_.baseline, *arm.against) if other != name]
            pairs[name] = list(dict.fromkeys(others))
        return pairs

    def _part(self, variant: str, group: Group) -> Trained:
        """A variant on the users of a group alone: its metrics are means over these users."""
        whole = self.trained[variant]
        rows = np.flatnonzero(np.isin(whole.users, group.users))
        metrics = {
            seed: {
                "test": {name: _mean(values[rows]) for name, values in table.items() if name != "user"},
                "deterministic": whole.deterministic,
            }
            for seed, table in self._tables[variant].items()
        }
        per_user = {name: values[rows] for name, values in whole.per_user.items()}
        return Trained(variant, metrics, whole.users[rows], per_user)

    def _metric(self, part: Trained, metric: str) -> dict[str, Any]:
        compare_ = self._plan.compare
        values = list(part.values(metric).values())
        low = high = None
        known = part.per_user.get(metric, np.zeros(0))
        known = known[np.isfinite(known)]
        if len(known) > 1:
            rng = np.random.default_rng(0)
            lows, highs = bootstrap_intervals(known[:, None], compare_.bootstrap, compare_.alpha, rng)
            low, high = float(lows[0]), float(highs[0])
        return {"mean": float(np.mean(values)) if values else None, "std": spread(values), "low": low, "high": high}


def _sorted(path: Path) -> dict[str, np.ndarray]:
    """The columns of a per-user table in the order of the users."""
    table = read_parquet(path)
    order = np.argsort(table["user"].to_numpy(), kind="stable")
    return {name: table[name].to_numpy()[order] for name in table.column_names}


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
