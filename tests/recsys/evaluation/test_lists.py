"""Lists that are judged afterwards have the values of the model that made them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.dataset import Dataset
from recsys.evaluation.lists import evaluate_lists, ranked_lists
from recsys.evaluation.next_item import evaluate_next_item
from recsys.evaluation.ranking import evaluate
from recsys.options import EvaluationOptions, Judged

CUTOFFS = (1, 3, 5)


def random_dataset(n_users: int, n_items: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    parts = rng.choice(4, size=(n_users, n_items), p=[0.4, 0.3, 0.15, 0.15])
    parts[0, :3] = (1, 2, 3)
    pairs = [np.argwhere(parts == part) for part in (1, 2, 3)]
    return Dataset.from_arrays(n_users, n_items, *pairs, timestamps=[rng.integers(0, 50, len(part)) for part in pairs])


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(3, 14)),
    st.integers(0, 10_000),
    st.sampled_from(["standard", "official", "rlmrec"]),
    st.sampled_from([Judged.RANKING, Judged.NEXT_ITEM]),
    st.booleans(),
    st.integers(5, 9),
)
def test_a_models_own_lists_have_its_values(
    size: tuple[int, int],
    seed: int,
    protocol: Literal["standard", "official", "rlmrec"],
    judged: Judged,
    mask_known: bool,
    length: int,
) -> None:
    data = random_dataset(*size, seed)
    rng = np.random.default_rng(seed)
    scores = torch.from_numpy(rng.integers(0, 6, size).astype(np.float32))  # with ties
    protocol = "standard" if judged is Judged.NEXT_ITEM else protocol
    options = EvaluationOptions(cutoffs=CUTOFFS, protocol=protocol, tie_seed=seed, chunk=2, mask_known=mask_known)
    for split in ("valid", "test"):
        lists = ranked_lists(lambda users: scores[users], data, split, length, judged=judged, options=options)
        found = evaluate_lists(lists, data, split, cutoffs=CUTOFFS, judged=judged, options=options)
        if judged is Judged.NEXT_ITEM:
            direct = evaluate_next_item(
                *(lambda users: scores[users], data, split), cutoffs=CUTOFFS, mask_known=mask_known, tie_seed=seed
            )
        else:
            direct = evaluate(
                *(lambda users: scores[users], data, split),
                cutoffs=CUTOFFS,
                mask_valid_at_test=options.masks_validation,
                official=protocol == "official",
                tie_seed=seed,
            )
        assert found.n_users == direct.n_users
        assert found.mean == pytest.approx(direct.mean, nan_ok=True, abs=0)
        for name, values in direct.per_user.items():
            np.testing.assert_array_equal(found.per_user[name], values)
        assert (np.diff(np.where(np.isfinite(lists.scores), lists.scores, -1e9), axis=1) <= 0).all()
        assert ((lists.items >= 0) == np.isfinite(lists.scores)).all()
