"""What a view keeps of a window, for every way of disturbing it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from recsys.batches.next_items import NextItemBatches
from recsys.batches.sequence_views import ViewedBatches, ViewedNextItems, cropped, partly_hidden, reordered
from recsys.batches.sequences import HIDDEN, InsertedSequences, Sequences, TrainingWindows, Windows
from recsys.seeds import seeded
from tests.recsys.models.sequence_reference import cycles

ROWS = [[3], [4, 5], [6, 7, 8, 9, 10], list(range(20, 30))]
REPEATS = 300
WINDOWS = Windows(
    torch.tensor([row + [0] * (12 - len(row)) for row in ROWS]).repeat(REPEATS, 1),
    torch.tensor([len(row) for row in ROWS]).repeat(REPEATS),
)
SHARES = [0.1, 0.5, 1.0]


def rows_of(windows: Windows) -> list[list[int]]:
    return [row[:length] for row, length in zip(windows.items.tolist(), windows.length.tolist(), strict=True)]


@pytest.mark.parametrize("share", SHARES)
def test_a_crop_is_a_piece_from_anywhere(share: float) -> None:
    found = rows_of(cropped(WINDOWS, share, seeded(0, "views")))
    for place, row in enumerate(ROWS):
        length = max(1, int(share * len(row)))
        pieces = {tuple(row[begin : begin + length]) for begin in range(len(row) - length + 1)}
        assert {tuple(piece) for piece in found[place :: len(ROWS)]} == pieces


@pytest.mark.parametrize("share", [0.0, *SHARES])
def test_so_many_items_are_hidden_and_no_others_change(share: float) -> None:
    found = rows_of(partly_hidden(WINDOWS, share, seeded(0, "views")))
    for place, row in enumerate(ROWS):
        views = found[place :: len(ROWS)]
        times: Counter[int] = Counter()
        for view in views:
            hidden = [step for step, item in enumerate(view) if item == HIDDEN]
            assert len(hidden) == int(share * len(row))
            assert [row[step] if item == HIDDEN else item for step, item in enumerate(view)] == row
            times.update(hidden)
        if 0 < int(share * len(row)) < len(row):
            assert min(times[step] for step in range(len(row))) > 0.6 * sum(times.values()) / len(row) - 15


@pytest.mark.parametrize("share", [0.0, *SHARES])
def test_a_piece_is_reordered_and_the_rest_stays(share: float) -> None:
    found = rows_of(reordered(WINDOWS, share, seeded(0, "views")))
    for place, row in enumerate(ROWS):
        length, views = int(share * len(row)), found[place :: len(ROWS)]
        for view in views:
            assert sorted(view) == sorted(row)
            moved = [step for step, item in enumerate(view) if item != row[step]]
            assert not moved or max(moved) - min(moved) < length
        assert (len({tuple(view) for view in views}) > 1) == (length > 1)


def test_every_window_gets_two_views_of_three_kinds_that_go_with_it() -> None:
    sequences = InsertedSequences(Sequences.of(cycles(n_users=200)), None, 0.0, seeded(0, "insertions"))
    windows = TrainingWindows(sequences, span=6, overlap=1, every=False, batch_size=64, generator=seeded(0, "w"))
    inner = NextItemBatches(windows, None, seeded(0, "sampler"))
    batches = ViewedBatches(inner, crop=0.5, hide=0.5, reorder=0.5, generator=seeded(0, "views"))
    kinds: Counter[str] = Counter()
    for batch in batches.epoch():
        assert batch.views is not None
        for view in batch.views:
            for shown, seen in zip(rows_of(batch.shown), rows_of(view), strict=True):
                kind = "cropped" if len(seen) < len(shown) else "hidden" if HIDDEN in seen else "reordered"
                assert {*seen} - {HIDDEN} <= {*shown}
                kinds[kind] += 1
    assert set(kinds) == {"cropped", "hidden", "reordered"}
    assert min(kinds.values()) > 0.25 * sum(kinds.values())
    shares = [batch.share(rank, 3) for rank in range(3)]
    assert sum(len(share.shown) for share in shares) == len(batch.shown)
    for rank, share in enumerate(shares):
        assert isinstance(share, ViewedNextItems)
        assert share.views is not None
        assert batch.views is not None
        for own, whole in zip(share.views, batch.views, strict=True):
            assert torch.equal(own.items, whole.items[rank::3])
    assert batch.share(0, 1) is batch
    assert torch.equal(batch.to("cpu").views[1].items, batch.views[1].items)  # type: ignore[index]
