"""`augrec experiment`, `augrec compare`, and `augrec across` for what comparisons found over several data sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.progress import signs_of_life
from augrec.artefacts.visible import visible
from augrec.pipeline.executors.choice import Address, Chosen, ExecutorName, TaskProfile, chosen_executor
from augrec.pipeline.executors.commands import Download, ForcedStages, Overrides, check_stages
from augrec.pipeline.host.answers import Json, Quiet, answer, console
from augrec.pipeline.host.stopping import Stopper

if TYPE_CHECKING:
    from augrec.pipeline.studies.execution import Execution
    from augrec.pipeline.studies.plan import Plan

ExperimentPath = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="An experiment, e.g. configs/ml-100k/table2.yaml.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(experiment)
    app.command()(compare)
    app.command()(across)


def experiment(
    config: ExperimentPath,
    overrides: Overrides = None,
    force: ForcedStages = None,
    download: Download = False,
    executor: ExecutorName = "local",
    address: Address = None,
    profile: TaskProfile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run variants x seeds x data sets x settings, and tabulate them; finished work is kept."""
    from augrec.artefacts.study_folder import ExperimentFolder
    from augrec.pipeline.studies.experiment.plan import read_experiment
    from augrec.pipeline.studies.experiment.run import run_experiment

    check_stages(force)
    plan = read_experiment(config, overrides)
    with (
        chosen_executor(executor, address=address, profile=profile) as chosen,
        _executing(plan, config, chosen, force=force, download=download) as execution,
    ):
        _, failures = run_experiment(plan, execution)
    folder = ExperimentFolder(plan.experiment.folder)
    failed = AugrecError(
        f"{len(failures)} of the experiment's steps failed; their rows say why",
        where=folder.failures,
        remedy="mend the cause and run the same command again; what is finished is kept",
    )
    answer(
        {"experiment": folder.root, "page": folder.page, "results": folder.results, "failures": failures},
        lambda out: out.print(f"\nTables and plots: {folder.page}", highlight=False),
        brief=[folder.page],
        error=failed if failures else None,
    )


def compare(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A comparison, e.g. configs/amazon-book/compare.yaml.")
    ],
    overrides: Overrides = None,
    force: ForcedStages = None,
    download: Download = False,
    executor: ExecutorName = "local",
    address: Address = None,
    profile: TaskProfile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare augmentations side by side: recommendation, text, cost."""
    from augrec.artefacts.study_folder import ComparisonFolder
    from augrec.pipeline.studies.comparison.plan import read_compare
    from augrec.pipeline.studies.comparison.run import run_compare
    from augrec.report.pages.comparison.results import read_results

    check_stages(force)
    plan = read_compare(config, overrides)
    with (
        chosen_executor(executor, address=address, profile=profile) as chosen,
        _executing(plan, config, chosen, force=force, download=download) as execution,
    ):
        page = run_compare(plan, execution)
    folder = ComparisonFolder(plan.folder)
    lead = visible(read_results(folder.results).headline.lead)  # arms are called as somebody's config calls them
    answer(
        {"comparison": folder.root, "page": page, "results": folder.results, "lead": lead},
        lambda out: out.print(f"\n{lead}\nComparison: {page}", highlight=False, markup=False),
        brief=[page],
    )


def across(
    folders: Annotated[
        list[Path], typer.Argument(metavar="COMPARISON...", help="Folders of finished comparisons, two or more.")
    ],
    out: Annotated[Path | None, typer.Option(help="A folder for the table as Markdown, CSV and LaTeX.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Combine comparisons over several data sets: effects and their random-effects mean."""
    from augrec.artefacts.study_folder import ComparisonFolder
    from augrec.report.pages.comparison.across import across_comparisons, table_across
    from augrec.report.pages.comparison.results import read_results
    from augrec.report.render.html import write_tables
    from augrec.report.render.text_tables import markdown

    read = [(folder, read_results(ComparisonFolder(folder).results)) for folder in folders]
    names = [results.data.name or results.name for _, results in read]
    found = {
        name if names.count(name) == 1 else str(folder): results
        for name, (folder, results) in zip(names, read, strict=True)
    }
    rows = across_comparisons(found)
    table = table_across(found, rows)
    if table is None:
        raise UsageError(
            "the comparisons share no arm", remedy="arms are the same where their names in the configs are"
        )
    if out is not None:
        write_tables(out, [table])
    answer(
        {"data_sets": list(found), "rows": rows},
        lambda screen: screen.print(markdown(table), markup=False, highlight=False, soft_wrap=True),
        brief=[f"{row.label}\t{row.metric}\t{row.together.mean if row.together else ''}" for row in rows],
    )


@contextmanager
def _executing(
    plan: Plan, config: Path, chosen: Chosen, *, force: list[str] | None, download: bool
) -> Iterator[Execution]:
    """How a study is done, once it lacks nothing that it needs; signals to stop are heard while the block runs."""
    from augrec.pipeline.preflight.checks import begin
    from augrec.pipeline.studies.execution import Execution
    from augrec.pipeline.studies.preflight import look_at_plan

    with signs_of_life("looking for what the stages need"):
        begin(look_at_plan(plan, chosen.look, download=download), config)
    stop = Stopper()
    with stop.listening():
        yield Execution(console(), force or (), download, stop, chosen.executor)
