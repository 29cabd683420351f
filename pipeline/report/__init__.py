"""A finished run, read from its folder and told to a person: `report/results.json` and `report/index.html`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.report.options import ReportOptions


def write_report(
    run: Path,
    options: ReportOptions,
    config: dict[str, Any],
    *,
    variants: list[str],
    seeds: Iterable[int] | None = None,
) -> None:
    """Writes `report/results.json` and `report/index.html` into a run folder, reading nothing else.

    Args:
        run: the run folder.
        options: what is compared with what.
        config: the resolved config, shown as it is on the page.
        variants: the trained variants, in the order in which they are shown.
        seeds: the seeds to read; by default every `seed-<n>` folder found.

    Raises:
        UsageError: the options name a variant that is not among `variants`.
        DataError: a file of the run is missing, unfinished or does not fit the others.
    """
    from artefacts.files import write_json, write_text
    from pipeline.report.page import render
    from pipeline.report.results import results_json, summarise
    from pipeline.report.runs import read_trained

    trained = read_trained(run, options, variants, seeds)
    summary = summarise(trained, options)
    write_json(run / "report" / "results.json", results_json(trained, summary, options))
    write_text(run / "report" / "index.html", render(run, trained, summary, options, config))
