"""Files are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import json
import os
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augrec.artefacts.errors import AugrecError, DataError
from augrec.artefacts.files import (
    atomic_path,
    canonical_json,
    digest,
    parse_json,
    read_json,
    read_parquet,
    remove_scraps,
    sha256_files,
    write_json,
    write_npy,
    write_parquet,
    write_text,
)


def test_an_error_while_writing_leaves_the_old_file_and_no_scrap(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def die_in_the_middle() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        die_in_the_middle()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AugrecError, match=r"the disk is full(.|\n)*file.json(.|\n)*free some space"):
        write_json(path, {"new": 1})
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_the_disk_before_a_file_has_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fsync = tmp_path / "file.txt", os.fsync
    synced = []

    def noted(handle: int) -> None:
        what = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append((what == tmp_path, what.stat().st_size if what.is_file() else 0, path.exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    write_text(path, "whole")
    assert synced == [(False, 5, False), (True, 0, True)]


def test_new_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_every_kind_reads_back(tmp_path: Path) -> None:
    table = pa.table({"user": pa.array([0, 1], pa.int32())})
    write_parquet(tmp_path / "deep" / "t.parquet", table)
    assert read_parquet(tmp_path / "deep" / "t.parquet").equals(table)
    write_npy(tmp_path / "a.npy", np.eye(2, dtype=np.float32))
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.eye(2))
    write_json(tmp_path / "j.json", {"title": "Amélie"})
    assert read_json(tmp_path / "j.json") == {"title": "Amélie"}
    assert "Amélie" in (tmp_path / "j.json").read_text(encoding="utf-8")


def test_broken_files_are_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "broken"
    for reader in (read_json, read_parquet):
        path.unlink(missing_ok=True)
        with pytest.raises(DataError, match="does not exist"):
            reader(path, remedy="mend it")
        path.write_bytes(b"PAR1 not really")
        with pytest.raises(DataError) as caught:
            reader(path, remedy="mend it")
        assert str(path) in str(caught.value)
        assert "mend it" in str(caught.value)


def test_damaged_pages_and_a_cut_file_are_found_on_reading(tmp_path: Path) -> None:
    """A flipped bit is found, or it is one that no value depends on (of statistics, say)."""
    path = tmp_path / "t.parquet"
    words = [f"word {number % 7}" for number in range(200)]
    write_parquet(path, pa.table({"text": words, "list": [[number] * 3 for number in range(200)]}))
    table, whole = read_parquet(path), path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    draw, found = random.Random(4), 0
    for place in draw.sample(range(4, footer), 200):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            assert read_parquet(path, remedy="mend it").equals(table)
        except DataError as error:
            found += (error.where, error.remedy) == (str(path), "mend it")
    assert found > 180
    for length in (0, 3, footer, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="not readable Parquet"):
            read_parquet(path)


def test_scraps_of_killed_writers_are_removed(tmp_path: Path) -> None:
    path, hidden = tmp_path / "deep" / "t.json", tmp_path / ".config"
    write_json(path, 1)
    hidden.write_text("not mine")
    for scrap in (tmp_path / ".t.json.ab12.tmp", path.parent / ".t.json.cd34.tmp"):
        scrap.write_text("half")
    remove_scraps(tmp_path)
    assert [found for found in sorted(tmp_path.rglob("*")) if found.is_file()] == sorted([hidden, path])


def test_objects_are_never_pickled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        write_npy(tmp_path / "a.npy", np.array([object()], dtype=object))
    assert list(tmp_path.iterdir()) == []


def test_nan_is_refused_in_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON))
def test_canonical_json_does_not_depend_on_key_order(value: dict) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical_json(value) == canonical_json(backwards)
    assert json.loads(canonical_json(value)) == value


def test_digests_of_different_values_differ() -> None:
    assert len({digest(value) for value in (1, "1", [1], {"1": 1}, None, True)}) == 6


def test_a_hash_of_files_covers_names_and_bytes(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("1")
    b.write_text("2")
    both = sha256_files(tmp_path, [a, b])
    assert both == sha256_files(tmp_path, [b, a])
    assert both != sha256_files(tmp_path, [a])
    a.write_text("2")
    b.write_text("1")
    assert sha256_files(tmp_path, [a, b]) != both


@pytest.mark.parametrize("text", ["[" * 10**6, "[" * 65 + "]" * 65, '{"a":' * 65 + "1" + "}" * 65, "1" * 5000, "{"])
def test_json_of_others_is_refused_where_nobody_could_follow(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


@given(JSON)
def test_json_of_others_is_read_as_it_is(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
