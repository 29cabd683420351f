"""The columns of a file are known from its beginning, as the reader would find them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.data.options import TableOptions
from recsys.data.readers.header import item_columns, lacking_columns, read_header

NAMES = ("user_id", "item_id", "stars")


def write(folder: Path, name: str) -> Path:
    path, rows = folder / name, [("u1", "i1", "4"), ("u2", "i2", "5")]
    if name.endswith(".parquet"):
        pq.write_table(pa.table(dict(zip(NAMES, zip(*rows, strict=True), strict=True))), path)
        return path
    separator = "\t" if "tsv" in name else ";" if "semicolon" in name else ","
    lines = [separator.join(row) for row in (NAMES, *rows)]
    if "jsonl" in name:
        lines = [json.dumps(dict(zip(NAMES, row, strict=True))) for row in rows]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "semicolon.csv", "a.csv.gz", "a.parquet", "a.jsonl", "a.jsonl.gz"])
def test_names_of_every_kind_of_file(tmp_path: Path, name: str) -> None:
    header = read_header(write(tmp_path, name), TableOptions(), ["user_id", "item_id", "rating"])
    assert header is not None
    assert set(header.names) == set(NAMES)
    assert header.whole is ("json" not in name)
    assert (header.has("stars.inside"), header.has("rating")) == (True, False)


def test_what_the_options_name_and_the_files_lack(tmp_path: Path) -> None:
    write(tmp_path, "semicolon.csv")
    (tmp_path / "items.csv").write_text("sku,name,genres\ni1,Alien,Horror\n")
    options = TableOptions(
        interactions="semicolon.csv", items="items.csv", rating="star", timestamp="when", rename={"Name": "title"}
    )
    found = {lack.key: lack for lack in lacking_columns(options, tmp_path)}
    assert found.keys() == {"rating", "timestamp", "item", "rename.Name"}
    assert found["rating"].what == "semicolon.csv has no column 'star'"
    assert found["rating"].remedy == "did you mean 'stars'? its columns are: user_id, item_id, stars"
    mended = TableOptions(
        interactions="semicolon.csv", items="items.csv", items_id="sku", rating="stars", rename={"name": "title"}
    )
    assert lacking_columns(mended, tmp_path) == []
    assert item_columns(mended, tmp_path) == ("sku", "title", "genres")
