"""Metrics by name: the one place for "@k" and for the direction in which a metric is better."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from augrec.artefacts.names import did_you_mean
from augrec.artefacts.registry import Registry

WRITTEN = re.compile(r"([^@]*)(?:@([1-9][0-9]{0,8}))?")


@dataclass(frozen=True)
class MetricKind:
    """A metric without its cutoff."""

    name: str
    at_k: bool
    """Whether it looks at the first k of a ranked list."""
    lower_is_better: bool
    title: str
    """Its name in tables, e.g. "NDCG"."""


METRICS: Registry[MetricKind] = Registry("metric")


def register_metric(name: str, *, at_k: bool, lower_is_better: bool = False, title: str | None = None) -> MetricKind:
    """Makes a metric known, so that configs may name it and tables know its direction.

    Args:
        name: e.g. "ndcg".
        at_k: whether it is written with a cutoff, `ndcg@20`.
        lower_is_better: as of an error.
        title: its name in tables; `name` unless given.
    """
    return METRICS.register(MetricKind(name, at_k, lower_is_better, title or name))


for _name, _title in (("recall", "Recall"), ("ndcg", "NDCG"), ("precision", "Precision"), ("hit_rate", "Hit rate"),
                      ("mrr", "MRR"), ("coverage", "Coverage")):  # fmt: skip
    register_metric(_name, at_k=True, title=_title)
for _name, _title in (("rmse", "RMSE per user"), ("mae", "MAE per user"),
                      ("pooled_rmse", "RMSE"), ("pooled_mae", "MAE")):  # fmt: skip
    register_metric(_name, at_k=False, lower_is_better=True, title=_title)


@dataclass(frozen=True, order=False)
class Metric:
    """A metric as configs and tables name it: "ndcg@20", "rmse".

    Values that are NaN (a user without truth) are never the best nor the worst.
    """

    name: str
    k: int | None
    """The cutoff; None where the metric has none."""
    lower_is_better: bool

    @classmethod
    def parse(cls, text: str) -> Metric:
        """The metric called `text`.

        Raises:
            ValueError: nobody knows it, or its cutoff is missing, odd, or one too many.
        """
        written = WRITTEN.fullmatch(text)
        if written is None:
            raise ValueError(f"'{text}' is not a metric: write a name and its cutoff, e.g. ndcg@20")
        name, cutoff = written.groups()
        if name not in METRICS:
            raise ValueError(f"'{text}' is not a metric; known are {', '.join(METRICS)}{did_you_mean(name, METRICS)}")
        kind = METRICS[name]
        if kind.at_k and cutoff is None:
            raise ValueError(f"'{text}' lacks its cutoff; write e.g. {name}@20")
        if not kind.at_k and cutoff is not None:
            raise ValueError(f"'{text}' has a cutoff, and {name} looks at no list; write {name}")
        return cls(name, None if cutoff is None else int(cutoff), kind.lower_is_better)

    def __str__(self) -> str:
        return self.name if self.k is None else f"{self.name}@{self.k}"

    @property
    def title(self) -> str:
        """For tables, e.g. "NDCG@20"."""
        title = METRICS[self.name].title
        return title if self.k is None else f"{title}@{self.k}"

    @property
    def order(self) -> tuple[str, int]:
        """Sorts "recall@5" before "recall@20"."""
        return self.name, self.k or 0

    @property
    def sign(self) -> int:
        """What a difference is multiplied by so that more is better: +1 or -1."""
        return -1 if self.lower_is_better else 1

    def computed(self, cutoffs: Collection[int]) -> bool:
        """Whether an evaluation at these cutoffs has it."""
        return self.k is None or self.k in cutoffs

    def better(self, a: float, b: float) -> bool:
        """Whether `a` is strictly better than `b`; anything is better than NaN."""
        if math.isnan(a) or math.isnan(b):
            return math.isnan(b) and not math.isnan(a)
        return self.sign * a > self.sign * b

    def best(self, values: Iterable[float]) -> float:
        """The best value; NaN where there is none."""
        present = [value for value in values if not math.isnan(value)]
        return self.sign * max(self.sign * value for value in present) if present else math.nan

    def worst(self, values: Iterable[float]) -> float:
        """The worst value; NaN where there is none."""
        present = [value for value in values if not math.isnan(value)]
        return self.sign * min(self.sign * value for value in present) if present else math.nan


def _checked(text: str) -> str:
    return str(Metric.parse(text))


MetricName = Annotated[str, AfterValidator(_checked)]
"""A metric in a config."""
