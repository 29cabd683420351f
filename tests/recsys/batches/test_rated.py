from __future__ import annotations

import numpy as np
import pytest
import torch

from augrec.artefacts.errors import DataError
from recsys.batches.base import Batch
from recsys.batches.rated import RatedPairs, RatingBatches


def batches(size: int = 10, batch_size: int = 4, seed: int = 0) -> RatingBatches:
    pairs = np.stack([np.arange(size), np.arange(size) + 100], axis=1)
    return RatingBatches(
        pairs, np.arange(size, dtype=np.float32), batch_size=batch_size, generator=torch.Generator().manual_seed(seed)
    )


def test_an_epoch_holds_every_rating_once_beside_its_pair_in_a_new_order() -> None:
    made = batches()
    first, second = (list(made.epoch()) for _ in range(2))
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert len(made) == 3
    for epoch in (first, second):
        ratings = torch.cat([batch.ratings for batch in epoch])
        assert sorted(ratings.tolist()) == list(range(10))
        assert torch.equal(torch.cat([batch.pairs for batch in epoch])[:, 0], ratings.long())
        assert torch.equal(torch.cat([batch.pairs for batch in epoch])[:, 1], ratings.long() + 100)
    assert not torch.equal(first[0].ratings, second[0].ratings)
    assert torch.equal(next(batches().epoch()).ratings, first[0].ratings), "the seed decides the order"


def test_shares_are_the_batch() -> None:
    batch = next(batches(7, 7).epoch())
    shares = [batch.share(rank, 3) for rank in range(3)]
    assert sorted(torch.cat([share.ratings for share in shares]).tolist()) == list(range(7))
    assert all(torch.equal(share.pairs[:, 0], share.ratings.long()) for share in shares)
    assert batch.share(0, 8) is batch
    assert isinstance(batch, Batch)
    assert torch.equal(batch.to("cpu").pairs, batch.pairs)


def test_no_rating_is_an_error() -> None:
    with pytest.raises(DataError, match="no training rating"):
        RatingBatches(np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.float32), batch_size=1,
                      generator=torch.Generator())  # fmt: skip


def test_a_batch_says_its_size() -> None:
    assert len(RatedPairs(torch.zeros(3, 2, dtype=torch.int64), torch.zeros(3))) == 3
