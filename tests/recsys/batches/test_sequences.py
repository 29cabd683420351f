"""Windows of sequences and what is drawn into them, held to loops over users."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from augrec.artefacts.errors import DataError
from recsys.augmentation import Insertions
from recsys.batches.next_items import NextItemBatches, NextItems
from recsys.batches.sequences import InsertedSequences, Sequences, TrainingWindows, Windows
from recsys.batches.unowned import UnownedItems
from recsys.data.dataset import Dataset
from recsys.seeds import seeded

LENGTHS = [0, 1, 2, 5, 6, 9, 13]


def taken() -> list[list[int]]:
    """The items of every user, oldest first."""
    rng = np.random.default_rng(3)
    return [rng.permutation(20)[:length].tolist() for length in LENGTHS]


def dataset() -> Dataset:
    """Those as training interactions, and one of validation after them; rows are handed over in no order."""
    rows = [(user, item, 10 * place) for user, items in enumerate(taken()) for place, item in enumerate(items)]
    order = np.random.default_rng(1).permutation(len(rows))
    train = np.array(rows)[order]
    valid = np.array([(user, 20, 1000) for user in range(len(LENGTHS))])
    none = np.empty((0, 3), dtype=np.int64)
    parts = (train, valid, none)
    pairs = (part[:, :2] for part in parts)
    return Dataset.from_arrays(len(LENGTHS), 21, *pairs, timestamps=[part[:, 2] for part in parts])


def rows_of(windows: Windows) -> list[list[int]]:
    return [row[:length] for row, length in zip(windows.items.tolist(), windows.length.tolist(), strict=True)]


def inserted(insertions: Insertions | None = None, rate: float = 0.0) -> InsertedSequences:
    return InsertedSequences(Sequences.of(dataset()), insertions, rate, seeded(0, "insertions"))


def windows(source: InsertedSequences, *, span: int, overlap: int, every: bool, size: int = 3) -> TrainingWindows:
    return TrainingWindows(
        source, span=span, overlap=overlap, every=every, batch_size=size, generator=seeded(0, "windows")
    )


def test_a_context_is_in_order_of_time_and_ends_with_the_newest() -> None:
    data = dataset()
    users = torch.tensor([6, 0, 1, 4, 6])
    known = Sequences.of(data).latest(users, 4)
    assert rows_of(known) == [taken()[user][-4:] for user in users.tolist()]
    assert known.items[1].tolist() == [0, 0, 0, 0]
    later = Sequences.of(data, ("train", "valid")).latest(users, 4)
    assert rows_of(later) == [[*taken()[user], 20][-4:] for user in users.tolist()]
    assert rows_of(later.appended(-1)) == [[*row, -1] for row in rows_of(later)]
    assert later.real.sum(1).tolist() == later.length.tolist()
    assert Sequences.of(data).latest(torch.tensor([0, 0]), 4).items.shape == (2, 0)


def test_data_without_times_have_no_sequences() -> None:
    data = Dataset.from_arrays(1, 3, np.array([[0, 0], [0, 1]]), np.empty((0, 2)), np.empty((0, 2)))
    with pytest.raises(DataError, match="needs the times"):
        Sequences.of(data)


def cut_in_loops(items: list[int], span: int, overlap: int, *, every: bool) -> list[list[int]]:
    """The windows of one user, the newest first."""
    found, end = [], len(items)
    while end > 1 and end > overlap:
        found.append(items[max(0, end - span) : end])
        end -= span - overlap
        if not every:
            break
    return [window for window in found if len(window) > 1]


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize(("span", "overlap"), [(4, 1), (2, 1), (4, 0), (50, 1), (3, 0)])
def test_the_windows_of_an_epoch_are_those_of_a_loop(span: int, overlap: int, every: bool) -> None:
    source = windows(inserted(), span=span, overlap=overlap, every=every)
    expected = sorted(
        (user, window)
        for user, items in enumerate(taken())
        for window in cut_in_loops(items, span, overlap, every=every)
    )
    orders = []
    for _ in range(2):
        batches = list(source.epoch())
        seen = [(int(user), row) for users, part in batches for user, row in zip(users, rows_of(part), strict=True)]
        assert [len(part) for _, part in batches[:-1]] == [3] * (len(batches) - 1)
        assert sorted(seen) == expected
        orders.append(seen)
    assert orders[0] != orders[1] or len(expected) < 4
    assert source.notes == ["1 users have one training item, and so no next one"]


def test_every_step_of_a_sequence_is_looked_for_once_an_epoch() -> None:
    steps = [
        (before, after)
        for _, part in windows(inserted(), span=4, overlap=1, every=True).epoch()
        for row in rows_of(part)
        for before, after in itertools.pairwise(row)
    ]
    assert sorted(steps) == sorted(step for items in taken() for step in itertools.pairwise(items))


def test_insertions_stand_where_they_belong() -> None:
    """Two of one place in the order they are given in, at the front, behind the last, and with a user of no items."""
    rows = np.array([[3, 20, 2], [6, 19, 0], [3, 18, 2], [3, 17, 5], [0, 16, 0], [2, 15, 1]])
    sequences = inserted(Insertions.from_rows(rows), 1.0).draw()
    expected = taken()
    for user in range(len(LENGTHS)):
        for place in range(LENGTHS[user], -1, -1):
            expected[user][place:place] = [int(item) for owner, item, where in rows if (owner, where) == (user, place)]
    assert rows_of(sequences.latest(torch.arange(len(LENGTHS)), 50)) == expected
    assert inserted().draw().items.tolist() == [item for items in taken() for item in items]


def test_an_insertion_has_its_chance_in_every_epoch() -> None:
    rows = np.array([[user, 20, 0] for user in range(7) for _ in range(100)])
    source = inserted(Insertions.from_rows(rows), 0.3)
    drawn = [int((source.draw().items == 20).sum()) for _ in range(5)]
    assert len(set(drawn)) > 1
    assert abs(np.mean(drawn) - 210) < 4 * np.sqrt(700 * 0.3 * 0.7 / 5)
    assert (source.draw().counts >= torch.tensor(LENGTHS)).all()


def test_an_insertion_beyond_the_sequence_is_refused() -> None:
    with pytest.raises(DataError, match="position 3 of a sequence of 2 training items") as caught:
        inserted(Insertions.from_rows(np.array([[3, 1, 5], [2, 1, 3]])), 1.0)
    assert "user 2" in str(caught.value)


def test_nobody_with_two_items_is_an_error() -> None:
    single = InsertedSequences(Sequences(torch.tensor([4]), torch.tensor([0, 1, 1])), None, 0.0, seeded(0, "i"))
    with pytest.raises(DataError, match="no user has two training interactions"):
        windows(single, span=3, overlap=1, every=False)


def next_items(data: Dataset) -> NextItemBatches:
    unowned = UnownedItems(data.train, data.n_users, data.n_items)
    return NextItemBatches(windows(inserted(), span=5, overlap=1, every=True), unowned, seeded(0, "sampler"))


def test_targets_come_next_and_negatives_are_not_the_users() -> None:
    owned = [set(items) for items in taken()]
    whole = {tuple(items): user for user, items in enumerate(taken())}
    for batch in next_items(dataset()).epoch():
        assert batch.negatives is not None
        assert len(batch) == int(batch.shown.real.sum())
        for row in range(len(batch.shown)):
            n = int(batch.shown.length[row])
            shown, targets = batch.shown.items[row, :n].tolist(), batch.targets[row, :n].tolist()
            assert shown[1:] == targets[:-1]
            user = next(u for items, u in whole.items() if set(shown + targets) <= set(items))
            assert not owned[user] & set(batch.negatives[row, :n].tolist())


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_shares_of_processes_are_the_batch(size: int) -> None:
    def steps(batch: NextItems) -> list[tuple[int, ...]]:
        assert batch.negatives is not None
        columns = (batch.shown.items, batch.targets, batch.negatives)
        return sorted(zip(*(column[batch.shown.real].tolist() for column in columns), strict=True))

    batch = next(next_items(dataset()).epoch())
    shares = [batch.share(rank, size) for rank in range(size)]
    if size > len(batch.shown):
        assert all(share is batch for share in shares)
    else:
        assert sorted(step for share in shares for step in steps(share)) == steps(batch)
        assert sum(len(share) for share in shares) == len(batch)
