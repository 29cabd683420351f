"""The benchmark of item-item models runs on small data, and everybody there has the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from augrec.artefacts.errors import AugrecError
from benchmarks import item_models
from benchmarks.item_models import MODELS, PACKAGES, Data, fitted
from benchmarks.scale import random_edges

DATA = Data.of(random_edges(80, 60))
RIVALS = [(model, library) for model, libraries in MODELS.items() for library in libraries if library != "ours"]


@pytest.mark.parametrize(("model", "library"), RIVALS)
def test_a_library_has_our_weights(model: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)  # who measures nothing may have more
    if library in PACKAGES:
        pytest.importorskip(PACKAGES[library])
    theirs, ours = (np.sort(fitted(model, one, DATA).rows, axis=1) for one in (library, "ours"))
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_a_fit_on_several_threads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    with pytest.raises(AugrecError, match="ours fitted EASE on 2 threads"):
        fitted("EASE", "ours", DATA)


def test_ours_is_run_in_processes_of_its_own_and_the_absent_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_models, "find_spec", lambda name: None)
    for name in item_models.ONE_THREAD:
        monkeypatch.setenv(name, "1")
    out = tmp_path / "out.json"
    assert (
        item_models.main(["--users", "80", "--items", "60", "--rounds", "1", "--only", "EASE", "--json", str(out)]) == 0
    )
    rows = {row["name"]: row for row in json.loads(out.read_text())}
    assert rows["EASE, ours: fit"]["value"] > 0
    assert rows["EASE, LensKit"]["value"] is None
