"""Which modules, beside the project's own, compute the metrics of a training: those that plugins brought."""

from __future__ import annotations

from augrec.artefacts.plugins import load_plugins


def metric_modules() -> tuple[str, ...]:
    """The modules of all metrics of ranked lists, where a plugin may have brought one; else nothing.

    A training computes every metric there is. The project's own are in what it imports anyway, and are not looked at
    where there is no plugin, because that loads torch.
    """
    if not load_plugins():
        return ()
    from recsys.evaluation.metrics.ranking import RANKING_METRICS

    return tuple(sorted({metric.per_user.__module__ for metric in RANKING_METRICS.values()}))
