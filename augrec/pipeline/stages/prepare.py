"""prepare: raw data in, a split data set with contiguous ids out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from augrec.artefacts.counts import counted
from augrec.artefacts.dataset_json import content_hash
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.progress import step
from augrec.artefacts.run_folder import DatasetFolder
from augrec.pipeline.stages.base import Run, Stage

if TYPE_CHECKING:
    import pyarrow as pa

    from augment.options import GenerationOptions
    from recsys.data.options import SourceOptions


class Prepare(Stage):
    """Writes `dataset/`: interactions with their split, items, users, and how they came to be."""

    name = "prepare"
    help = "Read, filter and split the interactions."
    folder_name = "dataset"

    def code(self, run: Run) -> tuple[str, ...]:
        """See `Stage.code`; with the reader of the source's format."""
        from recsys.data.formats import READERS

        return (*super().code(run), READERS.find(run.config.dataset.source.format).module)

    def section(self, run: Run) -> dict[str, Any]:
        """See `Stage.section`; the source's files count by their content, wherever they lie."""
        from augrec.pipeline.config.run_config import data_without_places
        from augrec.pipeline.weights.hashes import HashCache
        from augrec.pipeline.weights.resolve import cache_folder

        options = run.config.dataset
        hashes = HashCache(cache_folder() / "hashes.json")
        files = _source_files(options.source, _source_folder(run))
        return {
            "dataset": data_without_places(options),
            "files": {name: hashes.sha256(path) for name, path in files.items()},
            "seed": run.config.seed,
        }

    def finish(self, run: Run) -> dict[str, Any]:
        """See `Stage.finish`: reads, filters and splits."""
        from recsys.data.prepare import prepare
        from recsys.data.readers.registry import read

        options = run.config.dataset
        told: list[str] = []
        step("reading the data set")
        raw = [read(options, _source_folder(run))]
        step("filtering and splitting")
        meta = prepare(raw.pop(), options, self.folder(run), run.config.seed, told)  # held by nobody here: it is large
        notes = [*meta["notes"], *told, *_gaps(meta), *_domain_notes(run), *_item_text_notes(run, run.files.items)]
        return {**meta["counts"], "notes": notes}

    def notes(self, details: dict[str, Any]) -> list[str]:
        """See `Stage.notes`: what was noticed in the data."""
        return list(details["notes"])

    def check_folder(self, run: Run) -> None:
        """Refuses another data set: other files under another name, format or path. The same one may have changed."""
        marker = self.marker(run)
        if marker is None or not run.files.dataset_json.exists():
            return
        options, files = run.config.dataset, (marker.identity.get("section") or {}).get("files") or {}
        try:
            known = read_json(run.files.dataset_json, remedy="run with `--force prepare`")
        except DataError:
            if set(files.values()).isdisjoint(self.section(run)["files"].values()):
                raise
            return  # the same data, and what is damaged is made again
        before = {"name": known.get("name"), **(known.get("source") or {})}
        now = {"name": options.name, "format": options.source.format, "path": options.source.path}
        other = [
            f"{key} {before[key]} -> {now[key]}"
            for key in now
            if before.get(key) and _place(key, before[key]) != _place(key, now[key])
        ]
        if other and set(files.values()).isdisjoint(self.section(run)["files"].values()):
            raise UsageError(
                f"this folder holds a run over another data set ({', '.join(other)})",
                where=run.folder,
                remedy="give this config another `name` (it names the folder) or `output`; `--force prepare` puts the "
                "new data set in the place of the old one, and of everything that was made from it",
            )

    def check_details(self, run: Run, details: dict[str, Any]) -> None:
        """Refuses to go on where nothing was held out: every training would fail after all answers were paid for."""
        lacking = [split for split in ("valid", "test") if details.get(split) == 0]
        if lacking:
            raise DataError(
                f"nobody has an interaction to be judged on: the split left none for {' and '.join(lacking)}",
                where=run.files.dataset_json,
                remedy="take other ratios in dataset.split, raise dataset.k_core so that users have enough "
                "interactions, or bring a split that holds some out",
            )

    def outputs(self, run: Run) -> list[Path]:
        """See `Stage.outputs`."""
        return list(DatasetFolder(self.folder(run)).files)

    def output_hash(self, path: Path) -> str:
        """See `Stage.output_hash`; the place of the source does not count."""
        return content_hash(path) if path == DatasetFolder(path.parent).about else super().output_hash(path)

    def summary(self, details: dict[str, Any]) -> str:
        """See `Stage.summary`; users and items without a training interaction are said where there are any."""
        text = ", ".join(counted(details[f"{name}s"], name) for name in ("user", "item", "interaction"))
        for name in ("user", "item"):
            alone = details[f"{name}s_without_train"]
            text += f", {counted(alone, name)} without a training interaction" if alone else ""
        return text


def _gaps(meta: dict[str, Any]) -> list[str]:
    """A line on what is not known of items and of users, by column; titles have a line of their own."""
    lines = []
    for about, missing in meta["missing"].items():
        named = [f"{name} ({count:,})" for name, count in missing.items() if name != "title"]
        lines += [f"of {meta['counts'][about]:,} {about} some lack: {', '.join(named)}"] if named else []
    return lines


def _domain_notes(run: Run) -> list[str]:
    """A line on the words of prompts where they are guessed from one for many items."""
    from augment.prompts.domains import DOMAINS, domain_named

    domain = run.config.dataset.domain
    if run.config.generation is None or not isinstance(domain, str) or domain in DOMAINS:
        return []
    words = domain_named(domain)
    return [
        f"prompts speak of a {words.one}, of {words.many} that somebody {words.liked}, and of its {words.creator}; "
        "dataset.domain: {one: ..., many: ..., liked: ..., creator: ...} says it otherwise"
    ]


def _item_text_notes(run: Run, path: Path) -> list[str]:
    """Lines on items of which prompts will not show the text that `generation.item_text` promises, or no title.

    Raises:
        UsageError: a column of `item_text` is not there, or is no text; the stage `augment` would say so later.
    """
    import numpy as np

    from augrec.artefacts.files import read_parquet
    from recsys.data.readers.recbole import TITLES

    generation = run.config.generation
    if generation is None:
        return []
    items = read_parquet(path)
    texts = [field.name for field in items.schema if str(field.type) in ("string", "large_string")]
    texts = [name for name in texts if name not in ("source_id", "title")]
    shown = generation.item_text.columns if generation.item_text else ()
    for name in shown:
        if name not in texts:
            raise UsageError(
                f"the items have no text column '{name}'",
                where="generation.item_text.columns",
                remedy=f"they have: {', '.join(texts)}" if texts else "leave item_text out",
            )
    columns = [name for name in ("title", *shown) if name in items.column_names]
    silent = np.logical_and.reduce([items[name].is_null().to_numpy() for name in columns]) if columns else np.ones(1)
    could = f"; generation.item_text could show {', '.join(texts[:5])}" if texts and not shown else ""
    if not columns:
        meant = next((name for name in texts if name.lower() in TITLES), None)
        if meant and run.config.dataset.source.format == "table":
            could = f"; did you mean source.table.rename: {{{meant}: title}}?"
        return [f"the items have no titles to show in prompts{could}"]
    notes = []
    if silent.any():
        named = " and no ".join(columns)
        notes.append(f"prompts can only say 'untitled' of {counted(int(silent.sum()), 'item')}: no {named}{could}")
    return notes + (_promise_notes(generation, items, shown) if shown else [])


def _promise_notes(generation: GenerationOptions, items: pa.Table, shown: tuple[str, ...]) -> list[str]:
    """Lines on what keeps the text out of prompts: items without one, and prompts that show titles alone."""
    import numpy as np

    notes = []
    without = int(np.logical_and.reduce([items[name].is_null().to_numpy() for name in shown]).sum())
    if without:
        notes.append(
            f"{without:,} of {items.num_rows:,} items have no {' and no '.join(shown)}, which item_text promises"
        )
    in_prose = any(
        getattr(generation.task_options(task, source), "style", None) == "prose"
        for source in generation.sources.values()
        for task in source.tasks
    )
    if in_prose or generation.templates is not None or "title" not in items.column_names:
        return notes
    titled = items.num_rows - items["title"].null_count
    if titled:
        notes.append(
            f"item_text is shown in place of missing titles only: {titled:,} of {items.num_rows:,} items have one; "
            "tasks.user_profile.style: prose shows text beside titles"
        )
    return notes


def _place(key: str, value: str) -> str:
    """What is compared of a data set's name, format or path; a path is made absolute unless it names a package."""
    return str(Path(value).expanduser().absolute()) if key == "path" and not value.startswith("pkg:") else value


def _source_folder(run: Run) -> Path:
    """The folder of the raw data; fetched first where that was asked for."""
    from augrec.pipeline.weights.resolve import resolve_path

    source = run.config.dataset.source
    if run.download:
        if source.format != "ml-100k" or source.path.startswith("pkg:"):
            raise UsageError(
                "only MovieLens 100K can be downloaded",
                where=f"dataset.source: format {source.format}, path {source.path}",
                remedy="set dataset.source.format=ml-100k and dataset.source.path=FOLDER, or fetch the data yourself",
            )
        from recsys.data.download import download_ml100k

        return download_ml100k(Path(source.path).expanduser())
    return resolve_path(source.path)


def _source_files(source: SourceOptions, folder: Path) -> dict[str, Path]:
    """The files whose content the data set may depend on, by name; of two with one name, by what the second holds."""
    if source.table is None:
        paths = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        return {path.name: path for path in paths}
    found: dict[str, Path] = {}
    for key in ("interactions", "items", "users"):
        path = folder / (getattr(source.table, key) or "")
        if path.is_file():
            found[path.name if found.get(path.name, path) == path else f"{path.name} ({key})"] = path
    return found
