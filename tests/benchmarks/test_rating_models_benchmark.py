"""The benchmark of rating models: what it compares, and what it says where the other library is not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import rating_models
from benchmarks.rating_models import LARGEST_DIFFERENCE, MODELS, data, difference, ours, padded_places
from recsys.augmentation import SideInformation
from recsys.fields.fields import entity_fields
from recsys.fields.options import FieldOptions
from recsys.options import Judged
from tests.kit.families import learning

SIZES = 60, 40, 600


def test_every_model_that_learns_ratings_is_compared() -> None:
    assert set(MODELS) == set(learning(Judged.RATING))


def test_both_read_the_same_values() -> None:
    dataset = data(*SIZES)
    assert len(dataset.train) == len(np.unique(dataset.train, axis=0)) == SIZES[2]
    fields = entity_fields(dataset, SideInformation(), FieldOptions(), "deepfm")
    (genres,) = (field for field in fields.items if not field.single)
    assert ours(dataset, "nfm").index.names[-1] == genres.name == "item.genres", "fields of several values come last"
    for item, row in enumerate(padded_places(genres).tolist()):
        places = genres.places[genres.start[item] : genres.start[item + 1]].tolist()
        assert row == places + [-1] * (len(row) - len(places))


def test_without_the_library_it_says_so_and_fails_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rating_models, "LIBRARY", "deepctr_torch_that_is_not_there")
    out = tmp_path / "results.json"
    assert rating_models.main(["--ratings", "600", "--model", "afm", "--json", str(out)]) == 0
    (found,) = json.loads(out.read_text())
    assert found["value"] is None
    assert found["target"] == "deepctr_torch_that_is_not_there is not installed"


@pytest.mark.parametrize("family", MODELS)
def test_with_the_same_weights_both_give_the_same_ratings(family: str) -> None:
    pytest.importorskip(rating_models.LIBRARY, reason="pip install --no-deps deepctr-torch==0.3.0")
    assert difference(data(*SIZES), family) < LARGEST_DIFFERENCE
