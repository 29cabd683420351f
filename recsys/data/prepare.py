"""Raw data into a `dataset/` folder: filters, contiguous ids, splits, side tables; dataset.json says what was done."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import sha256_file, write_parquet
from augrec.artefacts.interactions import DETAILS
from augrec.artefacts.memory import give_back
from recsys.data.dataset_files import SplitInteractions, decoded, write_dataset
from recsys.data.filters import filtered
from recsys.data.matching import coverage, matched
from recsys.data.options import DatasetOptions, GivenSplit, GlobalTemporalSplit, LeaveLastOut, TemporalSplit
from recsys.data.readers.base import RawData
from recsys.data.reviews import write_reviewed
from recsys.data.side_tables import cleaned, side_table
from recsys.data.source_ids import Names, SourceIds
from recsys.data.split_times import cut_in_time, order_in_time, span_notes, tie_notes, time_notes
from recsys.data.splits import places_in_time, require_parts, split_interactions

ABOUT = ("user", "item")


def prepare(
    raw: RawData, options: DatasetOptions, out: Path, seed: int, told: list[str] | None = None
) -> dict[str, Any]:
    """Writes interactions.parquet, items.parquet, users.parquet and, last, dataset.json; returns what the latter holds.

    Users and items without an interaction left are dropped and counted; of a source that keeps everyone, only those
    whose interactions a filter took. Ids follow the source ids: in numeric order when all are whole numbers, else in
    text order. The same raw data, options and seed give the same files, whatever the order of the rows in the source
    (unless `split.ties: file` asks for it).

    `notes` of dataset.json holds what a person should know of the data, one line each: what was left out or missing,
    and how times and texts were read.

    Args:
        raw: what was read.
        options: the protocol.
        out: the folder.
        seed: of samples and splits.
        told: gets lines that are not kept: which ids were found in their tables.

    Raises:
        DataError: nothing is left, nothing is held out, the tables of users or items describe others than those of the
            interactions, or the protocol asks for ratings or times the source lacks.
    """
    sample_rng, split_rng = np.random.default_rng(seed).spawn(2)
    usable, notes = _usable(raw, options)
    usable, ids = _coded(raw, usable)
    raw = raw.without_interactions()  # as large as the source
    kept, dropped = _kept(usable, options, sample_rng)
    del usable
    names = {about: ids[about].keep(kept, everyone=raw.keeps_everyone) for about in ABOUT}
    notes += dropped_notes(dropped)
    interactions, order, split_notes = _divided(kept, options, split_rng, (names["user"], names["item"]))
    del kept
    give_back()  # texts come now

    sides = {about: raw.side(about, names[about]) for about in ("item", "user")}
    notes += [*sides["item"].notes, *sides["user"].notes]
    if not raw.keeps_everyone:
        for about in ("item", "user"):
            notes += matched(
                names[about],
                sides[about].ids,
                about,
                raw.tables,
                options.least_described,
                columns_are_named=options.source.table is not None,
            )
            if told is not None:
                told += coverage(names[about], sides[about].ids, about, raw.tables)
    notes += split_notes
    dropped |= {f"{about}s_without_interactions": ids.pop(about).absent(sides[about].ids) for about in ABOUT}
    # whoever holds a table of texts holds it twice while the next one is made: each is handed on by its last holder
    tables = {about: side_table(sides.pop(about).frame, about, names.pop(about)) for about in ("item", "user")}
    give_back()
    notes += _clean(tables, as_they_are=raw.keeps_everyone)  # what is released or prepared already
    notes += [*untitled_notes(tables["item"]), *_absent_notes(dropped)]
    described = {
        **_described(raw, options, seed, order),
        "dropped": dropped,
        "missing": {f"{about}s": missing_values(table) for about, table in tables.items()},
        "notes": [*raw.notes, *notes],
    }
    return write_dataset(
        out,
        interactions,
        tables.pop("item"),
        tables.pop("user"),
        described,
        write=partial(_write_interactions, raw, interactions),
    )


def _coded(raw: RawData, usable: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, SourceIds]]:
    """The interactions with codes in place of ids, and what the codes stand for, by "user" and "item"."""
    ids: dict[str, SourceIds] = {}
    for about in ABOUT:
        described = (raw.users if about == "user" else raw.items)[about] if raw.keeps_everyone else None
        codes, ids[about] = SourceIds.of(about, raw.interactions[about], described)
        usable = usable.assign(**{about: codes})
    return usable, ids


def _kept(
    usable: pd.DataFrame, options: DatasetOptions, rng: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The interactions that stay, and how many each filter dropped; of a split at points in time, with their split."""
    if isinstance(options.split, LeaveLastOut | TemporalSplit) and options.split.ties == "file":
        usable["file_row"] = usable["place"] if "place" in usable else np.arange(len(usable))
    kept, dropped = filtered(usable, options, rng)
    if isinstance(options.split, GlobalTemporalSplit):
        kept, unknown = cut_in_time(kept, options.split, options.source.path)
        dropped |= unknown
    return kept, dropped


def _divided(
    kept: pd.DataFrame, options: DatasetOptions, rng: np.random.Generator, names: tuple[Names, Names]
) -> tuple[SplitInteractions, str | None, list[str]]:
    """The interactions, divided; how times order the splits, and what a person should know of that.

    Args:
        kept: those that stay, of contiguous ids; it is given their place in time and their split.
        options: the protocol.
        rng: of the split.
        names: the ids of users and of items in the source.
    """
    split, path = options.split, options.source.path
    if isinstance(split, LeaveLastOut | TemporalSplit) and split.ties != "id":
        kept["place"] = places_in_time(kept, split, rng, path, names)
    elif "place" in kept and not isinstance(split, GivenSplit):
        del kept["place"]  # of the run that the data come from; this split has an order of its own
    kept["split"], moved = split_interactions(kept, split, rng, path, names)
    notes = require_parts(kept["split"].to_numpy(), kept["user"].to_numpy(), split, path)
    order = order_in_time(kept)
    notes += time_notes(order) + span_notes(kept) + tie_notes(kept, split)
    users, items = names
    return SplitInteractions.of(kept, len(users), len(items), moved), order, notes


def _clean(tables: dict[str, pa.Table], *, as_they_are: bool) -> list[str]:
    """Removes markup from the texts of each table, unless they stay as they are; a line on what was removed."""
    notes: list[str] = []
    for about in list(tables):
        if as_they_are:
            tables[about] = tables.pop(about).combine_chunks()
        else:
            tables[about], lines = cleaned(tables.pop(about), about)
            notes += lines
        give_back()
    return notes


def _described(raw: RawData, options: DatasetOptions, seed: int, order: str | None) -> dict[str, Any]:
    """What dataset.json says of the source and of the protocol; `order` is how times order the splits."""
    return {
        "name": options.name,
        "source": {
            "format": options.source.format,
            "path": options.source.path,
            "files": {name: sha256_file(path) for name, path in sorted(raw.files.items())},
        },
        "licence": options.licence or raw.licence,
        "domain": options.domain if isinstance(options.domain, str) else options.domain.model_dump(),
        "protocol": {
            **({"period": options.period.model_dump(mode="json")} if options.period else {}),
            "min_rating": options.min_rating,
            "k_core": options.k_core,
            "sample_users": options.sample_users,
            "sampling": options.sampling,
            "split": options.split.model_dump(mode="json"),
            "seed": seed,
            "time": order,
        },
    }


def _write_interactions(raw: RawData, interactions: SplitInteractions, path: Path) -> list[str]:
    """Writes interactions.parquet, with the reviews; a line where HTML was removed from them."""
    table, rows, notes = interactions.table, interactions.rows, list[str]()
    if raw.later is not None and rows is not None:
        places = np.argsort(rows).astype(np.int32)
        changed = write_reviewed(path, table, raw.later.reviews(rows[places]), places)
        return [f"interactions: HTML tags and entities removed from review ({changed:,})"] if changed else []
    if "review" in table.column_names and not raw.keeps_everyone:
        table, notes = cleaned(table, "interaction")
    write_parquet(path, decoded(table))
    return notes


def _usable(raw: RawData, options: DatasetOptions) -> tuple[pd.DataFrame, list[str]]:
    """The interactions without ratings, times or texts that nobody has, and a line on those that some lack."""
    frame, notes = raw.interactions, []
    path = raw.tables.get("interactions", options.source.path)
    for name in DETAILS:
        missing = frame[name].isna().to_numpy() if name in frame else np.zeros(0, bool)
        if not missing.any():
            continue
        notes.append(f"{int(missing.sum()):,} of {len(frame):,} interactions have no {name}")
        if name == "timestamp" and options.needs_time and not missing.all():
            raise DataError(
                f"{notes[-1]}, and a {'period' if options.period else f'{options.split.kind} split'} needs all of them",
                where=f"{path}, data row {int(np.argmax(missing)) + 1}",
                remedy="fill the times in, or leave these rows out"
                + ("" if options.period else ", or set dataset.split.kind: random"),
            )
        if name == "timestamp" or missing.all():  # half of an order in time is none
            frame = frame.drop(columns=name)
            notes[-1] += f": {name}s are left out"
    if "written" in frame:
        missing = (frame["written"] == 0).to_numpy()
        if missing.any():
            notes.append(f"{int(missing.sum()):,} of {len(frame):,} interactions have no review")
        if missing.all():
            frame = frame.drop(columns="written")
            notes[-1] += ": reviews are left out"
    return frame, notes


def dropped_notes(dropped: dict[str, int]) -> list[str]:
    """A line on what the filters dropped; none where they dropped nothing."""
    parts = [f"{name.replace('_', ' ')} ({count:,})" for name, count in dropped.items() if count]
    return [f"interactions left out: {', '.join(parts)}"] if parts else []


def _absent_notes(dropped: dict[str, int]) -> list[str]:
    """A line on users and items without an interaction; none where all have one."""
    counts = {about: dropped[f"{about}_without_interactions"] for about in ("users", "items")}
    listed = ", ".join(f"{about} ({count:,})" for about, count in counts.items() if count)
    return [f"left out, because no interaction is left: {listed}"] if listed else []


def missing_values(table: pa.Table) -> dict[str, int]:
    """How many rows have no value, or an empty list, by side column; columns without gaps are left out."""
    counts = {}
    for name in table.column_names[2:]:
        column = table[name]
        empty = column.null_count
        if pa.types.is_list(column.type):
            empty = int((pc.fill_null(pc.list_value_length(column), 0).to_numpy() == 0).sum())
        counts[name] = empty
    return {name: count for name, count in counts.items() if count}


def untitled_notes(items: pa.Table) -> list[str]:
    """A line on items without a title."""
    if "title" not in items.column_names:
        return []
    untitled = items["title"].null_count
    return [f"{untitled:,} of {items.num_rows:,} items have no title"] if untitled else []
