"""The audit of data set, graph and candidate lists."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, read_parquet
from augrec.artefacts.run_folder import DatasetFolder, RunFolder
from augrec.pipeline.audit.checks import Check, Split, broken, read_variants

SPLITS = ("train", "valid", "test")


def read_split(folder: Path) -> Split:
    """Reads `interactions.parquet` without the code that wrote it."""
    files = DatasetFolder(folder)
    table = read_parquet(files.interactions, remedy="run `augrec prepare CONFIG`")
    frame = table.to_pandas()
    n_users = read_parquet(files.users).num_rows
    n_items = read_parquet(files.items).num_rows
    pairs = {name: frame.loc[frame["split"] == name, ["user", "item"]].to_numpy(dtype=np.int64) for name in SPLITS}
    train = frame[frame["split"] == "train"]
    clock = [name for name in ("place", "timestamp") if name in train and train[name].notna().all()][:1]
    train = train.sort_values(["user", *clock, "item"])
    history = {int(user): items.astype(int).tolist() for user, items in train.groupby("user")["item"]}
    return Split(n_users, n_items, pairs, history)


def audit_dataset(folder: Path, split: Split) -> list[Check]:
    """Ids contiguous, splits disjoint, counts and split hash as `dataset.json` says."""
    files = DatasetFolder(folder)
    meta = read_json(files.about, remedy="run `augrec prepare` again to write the dataset folder anew")
    if not isinstance(meta, dict):
        raise DataError("the file is no object", where=files.about, remedy="run `augrec prepare` again")
    everything = np.concatenate([split.pairs[name] for name in SPLITS])
    labels = np.repeat(np.arange(3, dtype=np.uint8), [len(split.pairs[name]) for name in SPLITS])
    outside = (everything < 0).any(1) | (everything[:, 0] >= split.n_users) | (everything[:, 1] >= split.n_items)
    keys = split.key(everything)
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    repeated = np.zeros(len(keys), dtype=bool)
    repeated[first[counts > 1]] = True

    def pair(row: int) -> str:
        return f"{SPLITS[labels[row]]}: user {everything[row, 0]}, item {everything[row, 1]}"

    ids = [
        f"{name}.parquet row {row}: id {found[row]}, expected {row}"
        for name, path in (("user", files.users), ("item", files.items))
        for found in [read_parquet(path)[name].to_numpy()]
        for row in np.flatnonzero(found != np.arange(len(found)))
    ]
    counts_found = {"users": split.n_users, "items": split.n_items, **{name: len(split.pairs[name]) for name in SPLITS}}
    wrong_counts = [
        f"{name}: {meta['counts'].get(name)} in dataset.json, {value} in the files"
        for name, value in counts_found.items()
        if meta["counts"].get(name) != value
    ]
    packed = b"".join(struct.pack("<iiB", *triple) for triple in sorted(zip(*everything.T, labels, strict=True)))
    same = hashlib.sha256(packed).hexdigest() == meta["split_sha256"]
    placed = read_parquet(files.interactions, columns=["user", "item", "timestamp", "place"])
    return [
        Check("ids are contiguous", split.n_users + split.n_items, tuple(ids)),
        Check("interactions name known users and items", len(everything), broken(outside, pair)),
        Check("splits are disjoint and free of duplicates", len(everything), broken(repeated, pair)),
        Check("counts as recorded", len(counts_found), tuple(wrong_counts)),
        *([_places_follow_times(placed)] if {"timestamp", "place"} <= set(placed.column_names) else []),
        Check(
            "split hash as recorded", len(everything), () if same else (f"dataset.json says {meta['split_sha256']}",)
        ),
    ]


def _places_follow_times(interactions: pa.Table) -> Check:
    """Places tell the interactions of a user apart, and none comes before one of an earlier time."""
    frame = interactions.to_pandas()
    problems = []
    for user, own in frame.sort_values(["user", "place"]).groupby("user"):
        places, times, items = (own[name].tolist() for name in ("place", "timestamp", "item"))
        problems += [
            f"user {user}: item {items[at + 1]} stands at place {places[at + 1]} after item {items[at]} at "
            f"{places[at]}, and their times are {times[at + 1]} and {times[at]}"
            for at in range(len(places) - 1)
            if not (places[at] < places[at + 1] and times[at] <= times[at + 1])
        ]
    return Check("places follow times", len(frame), tuple(problems))


def audit_graph(folder: Path, split: Split) -> list[Check]:
    """The graph that recommenders propagate on holds exactly the training interactions."""
    from recsys.data.dataset import Dataset
    from recsys.graph.adjacency import bipartite

    name = "graph edges are exactly the training interactions"
    try:
        dataset = Dataset.load(folder)
    except DataError as error:
        return [Check(name, len(split.pairs["train"]), (f"no graph can be built: {error.what} ({error.where})",))]
    graph = bipartite(dataset.train, dataset.n_users, dataset.n_items, norm="row-sqrt")
    return [_is_train(name, _coordinates(graph.user_from_item), split)]


def audit_interaction_vectors(folder: Path, split: Split) -> list[Check]:
    """The matrix whose factors stand for a text's vectors holds exactly the training interactions.

    Nothing is said where no variant of the run is given such vectors, or where the data are wrong, which others say.
    """
    from augrec.pipeline.side.interaction_vectors import normalised_interactions
    from recsys.data.dataset import Dataset

    if not any("interactions" in (variant.get("change") or {}).values() for variant in read_variants(folder)):
        return []
    try:
        dataset = Dataset.load(RunFolder(folder).dataset)
    except DataError:
        return []
    places = np.stack(normalised_interactions(dataset).nonzero(), axis=1).astype(np.int64)
    return [_is_train("vectors of interactions are made of exactly those of training", places, split)]


def _is_train(name: str, pairs: np.ndarray, split: Split) -> Check:
    """Whether (user, item) pairs are the training interactions, all of them and no others."""
    edges, train = split.key(pairs), split.keys("train")
    extra, lost = np.setdiff1d(edges, train), np.setdiff1d(train, edges)
    describe = [f"edge user {key // split.n_items}, item {key % split.n_items} is not in train" for key in extra]
    describe += [f"training pair user {key // split.n_items}, item {key % split.n_items} is no edge" for key in lost]
    return Check(name, len(edges), tuple(describe))


def _coordinates(operator: object) -> np.ndarray:
    """The (row, column) pairs of a sparse operator's entries, int64 [m, 2]."""
    matrix = operator.matrix().to_sparse_coo().coalesce()  # type: ignore[attr-defined]
    return matrix.indices().T.cpu().numpy()


def audit_candidates(path: Path, split: Split) -> list[Check]:
    """Candidate lists hold known items, no training item of their user, and no item twice."""
    return audit_lists(path, split, "candidates", "run `augrec candidates CONFIG`")


def audit_lists(path: Path, split: Split, name: str, remedy: str) -> list[Check]:
    """Ranked lists hold known items, no training item of their user, and no item twice.

    Args:
        path: the file.
        split: the interactions.
        name: of the lists, for messages.
        remedy: what to do where they are not there.
    """
    table = read_parquet(path, remedy=remedy)
    pairs = np.stack([table[name].to_numpy().astype(np.int64) for name in ("user", "item")], axis=1)
    keys = split.key(pairs)
    outside = (pairs < 0).any(1) | (pairs[:, 0] >= split.n_users) | (pairs[:, 1] >= split.n_items)
    in_train = np.isin(keys, split.keys("train"))
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)

    def row(index: int) -> str:
        return f"row {index}: user {pairs[index, 0]}, item {pairs[index, 1]}"

    return [
        Check(f"{name} are known items", len(pairs), broken(outside, row)),
        Check(f"{name} hold no training interaction", len(pairs), broken(in_train, row)),
        Check(f"{name} are distinct per user", len(pairs), tuple(row(int(index)) for index in first[counts > 1])),
    ]
