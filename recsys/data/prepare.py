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
from recsys.data.readers.encoded_ids import codes_and_ids
from recsys.data.reviews import write_reviewed
from recsys.data.side_tables import cleaned, side_table
from recsys.data.split_times import cut_in_time, order_in_time, span_notes, tie_notes, time_notes
from recsys.data.splits import places_in_time, require_parts, split_interactions

_INTEGER = r"\A-?[0-9]+\z"
LONGEST_INTEGER = 18
"""Letters of a whole number that surely fits into 64 bits."""


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
    codes, all_users = _codes(raw, "user")
    seen_users = np.bincount(codes, minlength=len(all_users)) > 0
    usable = usable.assign(user=codes)
    codes, all_items = _codes(raw, "item")
    seen_items = np.bincount(codes, minlength=len(all_items)) > 0
    usable = usable.assign(item=codes)
    del codes
    raw = raw.without_interactions()  # as large as the source
    if isinstance(options.split, LeaveLastOut | TemporalSplit) and options.split.ties == "file":
        usable["file_row"] = usable["place"] if "place" in usable else np.arange(len(usable))
    kept, dropped = filtered(usable, options, sample_rng)
    if isinstance(options.split, GlobalTemporalSplit):
        kept, unknown = cut_in_time(kept, options.split, options.source.path)
        dropped |= unknown
    del usable
    kept_users, kept["user"] = _staying(seen_users, kept["user"], raw.keeps_everyone)
    kept_items, kept["item"] = _staying(seen_items, kept["item"], raw.keeps_everyone)
    users, items = _names(all_users, kept_users), _names(all_items, kept_items)
    del kept_users, kept_items, seen_users, seen_items
    notes += dropped_notes(dropped)
    if isinstance(options.split, LeaveLastOut | TemporalSplit) and options.split.ties != "id":
        kept["place"] = places_in_time(kept, options.split, split_rng, options.source.path, (users, items))
    elif "place" in kept and not isinstance(options.split, GivenSplit):
        kept = kept.drop(columns="place")  # of the run that the data come from; this split has an order of its own
    kept["split"], moved = split_interactions(kept, options.split, split_rng, options.source.path, (users, items))
    split_notes = require_parts(kept["split"].to_numpy(), kept["user"].to_numpy(), options.split, options.source.path)
    order = order_in_time(kept)
    split_notes += time_notes(order) + span_notes(kept) + tie_notes(kept, options.split)
    interactions = SplitInteractions.of(kept, len(users), len(items), moved)
    del kept
    give_back()  # texts come now

    sides = {"item": raw.side("item", items), "user": raw.side("user", users)}
    ids = {side: rows.ids for side, rows in sides.items()}
    notes += [*sides["item"].notes, *sides["user"].notes]
    if not raw.keeps_everyone:
        notes += matched(items, ids["item"], "item", raw.tables, options.least_described)
        notes += matched(users, ids["user"], "user", raw.tables, options.least_described)
        if told is not None:
            told += coverage(items, ids["item"], "item", raw.tables)
            told += coverage(users, ids["user"], "user", raw.tables)
    notes += split_notes

    absent = {
        "users_without_interactions": _absent(ids["user"], all_users, len(users)),
        "items_without_interactions": _absent(ids["item"], all_items, len(items)),
    }
    del all_items, all_users, ids
    # whoever holds a table of texts holds it twice while the next one is made: each is handed on by its last holder
    tables = {side: side_table(sides.pop(side).frame, side, of) for side, of in (("item", items), ("user", users))}
    del items, users
    give_back()
    for side in ("item", "user"):
        if raw.keeps_everyone:  # what is released or prepared already is taken as it is
            tables[side] = tables.pop(side).combine_chunks()
        else:
            tables[side], lines = cleaned(tables.pop(side), side)
            notes += lines
        give_back()
    notes += untitled_notes(tables["item"])
    if any(absent.values()):
        counts = ", ".join(f"{name.partition('_')[0]} ({count:,})" for name, count in absent.items() if count)
        notes.append(f"left out, because no interaction is left: {counts}")
    about = {
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
        "dropped": dropped | absent,
        "missing": {f"{side}s": missing_values(table) for side, table in tables.items()},
        "notes": [*raw.notes, *notes],
    }
    return write_dataset(
        out,
        interactions,
        tables.pop("item"),
        tables.pop("user"),
        about,
        write=partial(_write_interactions, raw, interactions),
    )


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


def _codes(raw: RawData, about: str) -> tuple[np.ndarray, pa.Array]:
    """The code of each interaction's user or item, and all ids the codes index."""
    column = raw.interactions[about]
    if not raw.keeps_everyone:
        return ranked_ids(column)
    side = raw.users if about == "user" else raw.items
    codes, ids = ranked_ids(pd.concat([column, side[about]], ignore_index=True))
    return codes[: len(column)], ids


def _names(ids: pa.Array, places: np.ndarray) -> pd.arrays.ArrowStringArray:
    """The ids at some places, in rising order, as text that is no objects of Python."""
    chosen = ids if len(places) == len(ids) else ids.take(pa.array(places))
    return pd.StringDtype(na_value=np.nan).__from_arrow__(chosen)


def _staying(seen: np.ndarray, kept: pd.Series, keeps_everyone: bool) -> tuple[np.ndarray, np.ndarray]:
    """The codes that stay, and int32 for each interaction the place of its code among them; `seen` is bool [n], whether
    a code had an interaction before the filters."""
    stays = np.bincount(kept, minlength=len(seen)) > 0
    if keeps_everyone:
        stays |= ~seen
    places = np.cumsum(stays, dtype=np.int32) - 1
    return np.flatnonzero(stays), places[kept.to_numpy()].astype(np.int32, copy=False)


def ranked_ids(column: pd.Series) -> tuple[np.ndarray, pa.Array]:
    """int32 code of each row, and the distinct ids (text [n]) the codes index, in the order of the ids."""
    codes, distinct = codes_and_ids(column)
    order = _order_of_ids(distinct)
    rank = np.empty(len(distinct), dtype=np.int32)
    rank[order] = np.arange(len(distinct), dtype=np.int32)
    return rank[codes], distinct.take(pa.array(order))


def _order_of_ids(ids: pa.Array) -> np.ndarray:
    """int64 [n]: by number where all are whole numbers, then by letters."""
    numeric = pc.all(pc.match_substring_regex(ids, _INTEGER)).as_py()
    longest = pc.max(pc.binary_length(ids)).as_py() or 0
    columns = {"name": ids}
    if numeric and longest > LONGEST_INTEGER:
        names = ids.to_pylist()
        return np.array(sorted(range(len(names)), key=lambda place: (int(names[place]), names[place])), np.int64)
    if numeric:
        columns = {"number": ids.cast(pa.int64()), **columns}
    keys = [(name, "ascending") for name in columns]
    return pc.sort_indices(pa.table(columns), sort_keys=keys).to_numpy().astype(np.int64)


def _absent(described: pd.Series, seen: pa.Array, kept: int) -> int:
    """How many ids of the source, from either file, have no interaction left."""
    if not len(described):  # of millions of users, the next lines hold all ids twice more
        return len(seen) - kept
    ids = pa.chunked_array([pa.array(described.astype("str"), pa.large_string()), seen])
    return len(ids.unique()) - kept
