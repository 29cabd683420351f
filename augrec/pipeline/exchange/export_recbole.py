"""A run's data and vectors as RecBole's atomic files, with the settings that make RecBole read them.

Layout: https://recbole.io/docs/user_guide/data/atomic_files.html. The split is kept (`benchmark_filename`). Lines are
in order of time, equal times as the run has them, which a stable sort keeps. A matrix is a file of its own,
`NAME.<group>_<field>`, which RecBole preloads; users or items without one have no row in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import atomic_path, write_text
from augrec.artefacts.interactions import SPLITS
from augrec.artefacts.matrices import read_field
from augrec.artefacts.named import named_matrices
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.source_folder import SourceFolder
from augrec.artefacts.tasks import About, read_card
from augrec.pipeline.exchange.claimed_folder import claim, complete
from augrec.pipeline.exchange.exported import EXPORT_FILE
from recsys.data.dataset import Dataset

IDS: dict[About, str] = {"user": "user_id", "item": "item_id"}
SETTINGS = "recbole.yaml"


def export_recbole(folder: Path, out: Path, *, vectors: Sequence[str] | None = None) -> dict[str, Any]:
    """Writes `<name>.train.inter`, `.valid.inter`, `.test.inter`, `.item`, `.user`, and a file for each matrix.

    Then recbole.yaml and, last, export.json.

    Args:
        folder: the run.
        out: a new or empty folder, or an earlier export. Its name is what RecBole calls the data set.
        vectors: matrices, as group/field; None is all that the run's config names.

    Returns:
        What export.json holds: files, counts, and the matrices with their shapes.

    Raises:
        UsageError: there is no such matrix, or `out` holds something else.
        DataError: the run's files are damaged.
    """
    run = RunFolder(folder)
    run.check_layout()
    dataset = Dataset.load(run.dataset)
    stems = _stems(run, vectors)
    claim(out, EXPORT_FILE)
    name = out.absolute().name
    with confined(out):
        columns: list[str] = []
        for split in SPLITS:
            columns = _write_interactions(dataset, split, out / f"{name}.{split}.inter")
        sides: dict[About, list[str]] = {
            "item": _write_side(dataset.items, "item", out / f"{name}.item"),
            "user": _write_side(dataset.users, "user", out / f"{name}.user"),
        }
        matrices = [_write_matrix(run, stem, dataset, out, name) for stem in stems]
        settings = _settings(name, columns, sides, matrices)
        write_text(out / SETTINGS, yaml.safe_dump(settings, sort_keys=False))
        written = {
            "layout": "recbole",
            "name": name,
            "counts": {"users": dataset.n_users, "items": dataset.n_items,
                       **{split: len(dataset.pairs(split)) for split in SPLITS}},
            "matrices": matrices,
        }  # fmt: skip
        complete(out, EXPORT_FILE, written)
    return written


def _stems(run: RunFolder, wanted: Sequence[str] | None) -> list[Path]:
    there = {f"{path.parent.name}/{path.stem}": path.parent / path.stem for path in sorted(named_matrices(run.root))}
    for name in wanted or ():
        if name not in there:
            raise UsageError(f"the run has no matrix '{name}'", where="--vector",
                             remedy=f"one of {', '.join(there) or 'none: run the stage `embed` first'}")  # fmt: skip
    chosen = [there[name] for name in (there if wanted is None else dict.fromkeys(wanted))]
    called: dict[str, Path] = {}
    for stem in chosen:
        other = called.setdefault(_suffix(stem), stem)
        if other != stem:
            both = " and ".join(f"{one.parent.name}/{one.name}" for one in (other, stem))
            raise UsageError(f"{both} would be one file", where="--vector", remedy="export one of them")
    return chosen


def _write_interactions(dataset: Dataset, split: str, path: Path) -> list[str]:
    """Writes them user by user in order of time; returns the names of the columns."""
    order = dataset.by_time(split)
    pairs = dataset.pairs(split)[order]
    columns: dict[str, Iterable[Any]] = {
        f"{IDS['user']}:token": dataset.users["source_id"].take(pa.array(pairs[:, 0])).to_pylist(),
        f"{IDS['item']}:token": dataset.items["source_id"].take(pa.array(pairs[:, 1])).to_pylist(),
    }
    for name, values in (("rating", dataset.ratings(split)), ("timestamp", dataset.timestamps(split))):
        if values is not None:
            columns[f"{name}:float"] = ["" if number != number else repr(number) for number in values[order].tolist()]
    _write_rows(path, columns)
    return [name.partition(":")[0] for name in columns]


def _write_side(table: pa.Table, about: About, path: Path) -> list[str]:
    """Texts and values of several words are sequences of tokens; returns the names of the columns."""
    columns: dict[str, Iterable[Any]] = {f"{IDS[about]}:token": table["source_id"].to_pylist()}
    for name in table.column_names:
        kind = table.schema.field(name).type
        values = table[name].to_pylist()
        if name in (about, "source_id", *IDS.values()) or ":" in name:
            continue
        if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
            columns[f"{name}:token_seq"] = [" ".join("_".join(part.split()) for part in cell or ()) for cell in values]
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            columns[f"{name}:token_seq"] = values
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            columns[f"{name}:token"] = values
    _write_rows(path, columns)
    return [name.partition(":")[0] for name in columns]


def _write_matrix(run: RunFolder, stem: Path, dataset: Dataset, out: Path, name: str) -> dict[str, Any]:
    values, about = read_field(stem)
    whose: About = "item"
    if about.get("task"):
        whose = read_card(SourceFolder(run.augment / stem.parent.name).task(about["task"]).card).about
    suffix = _suffix(stem)
    ids = (dataset.users if whose == "user" else dataset.items)["source_id"].to_pylist()
    there = np.ones(len(ids), dtype=bool)
    there[np.asarray(about["missing"], dtype=np.int64)] = False
    rows = np.flatnonzero(there)
    _write_rows(
        out / f"{name}.{suffix}",
        {
            f"{suffix}_id:token": (ids[row] for row in rows),
            f"{suffix}:float_seq": (" ".join(map(repr, values[row].tolist())) for row in rows),
        },
    )
    return {"matrix": f"{stem.parent.name}/{stem.name}", "suffix": suffix, "about": whose, "rows": len(rows),
            "dim": int(values.shape[1])}  # fmt: skip


def _suffix(stem: Path) -> str:
    """What a matrix is called in file names and settings."""
    return "".join(letter if letter.isalnum() else "_" for letter in f"{stem.parent.name}_{stem.name}")


def _settings(
    name: str, columns: list[str], sides: dict[About, list[str]], matrices: list[dict[str, Any]]
) -> dict[str, Any]:
    aliases = {about: [f"{one['suffix']}_id" for one in matrices if one["about"] == about] for about in IDS}
    return {
        "dataset": name,
        "data_path": "..",  # RecBole looks in data_path/dataset: run it from this folder
        "benchmark_filename": list(SPLITS),
        "USER_ID_FIELD": IDS["user"],
        "ITEM_ID_FIELD": IDS["item"],
        "RATING_FIELD": "rating",
        "TIME_FIELD": "timestamp",
        "load_col": {
            "inter": columns,
            **sides,
            **{one["suffix"]: [f"{one['suffix']}_id", one["suffix"]] for one in matrices},
        },
        "additional_feat_suffix": [one["suffix"] for one in matrices],
        **{f"alias_of_{IDS[about]}": names for about, names in aliases.items() if names},
        "preload_weight": {f"{one['suffix']}_id": one["suffix"] for one in matrices},
    }


def _write_rows(path: Path, columns: dict[str, Iterable[Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(_lines(columns))


def _lines(columns: dict[str, Iterable[Any]]) -> Iterator[str]:
    yield "\t".join(columns) + "\n"
    for row in zip(*columns.values(), strict=True):
        yield "\t".join(_field(cell) for cell in row) + "\n"


def _field(cell: Any) -> str:
    """A field in one line without tabs; "" for what is missing."""
    return "" if cell is None else " ".join(str(cell).split())
