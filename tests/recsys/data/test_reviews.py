"""Reviews come back in the order of the interactions, and what is held does not grow with them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augrec.artefacts.errors import AugrecError
from recsys.data import reviews
from recsys.data.reviews import write_reviewed
from tests.recsys.data.published import unpacked

TEXTS = st.none() | st.text(st.characters(exclude_characters="\0<>&", codec="utf-8"), max_size=12)


@settings(max_examples=30)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=30),
    seed=st.integers(0, 99),
    part=st.integers(1, 9),
    size=st.integers(1, 40),
)
def test_each_text_comes_to_its_place(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str | None], seed: int, part: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("r")
    places = np.random.default_rng(seed).permutation(len(texts))
    table = pa.table({"user": pa.array(np.arange(len(texts)), pa.int32()), "split": ["train"] * len(texts)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reviews, "PART", part)
        patch.setattr(reviews, "PART_BYTES", size)
        assert write_reviewed(folder / "x.parquet", table, iter(texts), places) == 0
    written = pq.read_table(folder / "x.parquet")
    assert written.column_names == ["user", "review", "split"]
    there = written["review"].to_pylist()
    assert [there[place] for place in places] == [text if text and text.strip() else None for text in texts]
    assert [path.name for path in folder.iterdir()] == ["x.parquet"]


def test_html_goes_and_is_counted(tmp_path: Path) -> None:
    table = pa.table({"user": [0, 1], "split": ["train", "test"]})
    assert write_reviewed(tmp_path / "x.parquet", table, ["a<br/>b &amp; c", "<b></b>"], np.array([1, 0])) == 2
    assert pq.read_table(tmp_path / "x.parquet")["review"].to_pylist() == [None, "a b & c"]


def test_an_error_of_the_source_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> object:
        yield "fine"
        raise AugrecError("the source ended")

    table = pa.table({"user": [0, 1], "split": ["train", "test"]})
    with pytest.raises(AugrecError, match="the source ended"):
        write_reviewed(tmp_path / "x.parquet", table, broken(), np.array([0, 1]))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


PREPARE = r"""
import re, sys
from pathlib import Path
from recsys.data.options import DatasetOptions
from recsys.data.prepare import prepare
from recsys.data.readers.registry import read

for folder in map(Path, sys.argv[1:]):
    source = {"format": "amazon-2014", "path": "x"}
    options = DatasetOptions.model_validate({"name": "t", "source": source, "split": {"kind": "by_interaction"}})
    prepare(read(options, folder), options, folder / "out", 0)
    print(re.search("VmHWM:(.*)kB", Path("/proc/self/status").read_text())[1])  # the most so far, without the parent's
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says how much a process held at most")
def test_memory_does_not_grow_with_the_texts(tmp_path: Path) -> None:
    """Two sources of the same interactions, all of which stay; reviews have 20 MB in the first and 80 in the second. In
    a process of its own, the first one first, so that what is loaded once and held of a block counts for both."""
    for name, words in (("short", 667), ("long", 2667)):
        (tmp_path / name).mkdir()
        lines = [
            json.dumps({"reviewerID": f"u{n % 400}", "asin": f"i{n % 233}", "overall": 4.0, "unixReviewTime": 10**9 + n,
                        "reviewText": f"{n} " + "salty " * words})
            for n in range(5_000)
        ]  # fmt: skip
        (tmp_path / name / "reviews_Books.json").write_bytes(unpacked(lines))
    command = [sys.executable, "-c", PREPARE, str(tmp_path / "short"), str(tmp_path / "long")]
    peaks = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    written = pq.read_table(tmp_path / "long/out/interactions.parquet")["review"]
    assert written.nbytes > 80e6
    assert (int(peaks[1]) - int(peaks[0])) * 1024 < 0.4 * written.nbytes
