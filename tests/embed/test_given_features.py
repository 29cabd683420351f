"""Matrices that the user brings: put in the order of ids, missing rows masked, mistakes named by file and row."""

import json
import shlex

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.matrices import read_field
from embed.given import place_features
from embed.options import FeatureFileOptions

IDS = ["i7", "i3", "i9"]


@pytest.fixture
def place(tmp_path):
    def call(values, ids=None, source_ids=IDS, **options):
        np.save(tmp_path / "image.npy", values)
        if ids is not None:
            (tmp_path / "ids.txt").write_text("\n".join(ids))
            options["ids"] = tmp_path / "ids.txt"
        given = FeatureFileOptions(path=tmp_path / "image.npy", **options)
        place_features("image", given, source_ids, tmp_path / "features" / "image")
        return read_field(tmp_path / "features" / "image")

    return call


def test_rows_without_ids_are_taken_as_they_are(place):
    values = np.arange(1, 7).reshape(3, 2)
    placed, about = place(values)
    np.testing.assert_array_equal(placed, values.astype(np.float32))
    assert (about["missing"], about["unused"], about["dim"]) == ([], 0, 2)


def test_rows_with_ids_are_brought_into_order_and_the_rest_is_missing(place):
    placed, about = place(np.array([[1.0, 1], [2, 2], [3, 3]]), ids=["i9", "other", "i7"])
    assert placed.tolist() == [[3, 3], [0, 0], [1, 1]]
    assert (about["missing"], about["unused"]) == ([1], 1)


def test_ids_may_follow_a_byte_order_mark_and_stand_between_blanks(place):
    assert place(np.eye(3), ids=["\ufeffi7", " i3\t", "i9\r"])[1]["missing"] == []


def test_what_is_no_npy_file_is_refused(tmp_path):
    np.savez(tmp_path / "archive", one=np.eye(3))
    archive = (tmp_path / "archive.npz").read_bytes()
    huge = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }".ljust(127) + b"\n"
    for content, why in {
        archive: r"archive of several arrays, \.npz",
        archive[:40]: "cannot be read",
        b"": "cannot be read",
        huge + bytes(64): "cannot be read",
        huge.replace(b"(-1, 4)", b"(1 << 9,)") + bytes(64): "cannot be read",
        huge.replace(b"(-1, 4)", b"(9**9**9)")[:-1] + b"\n": "cannot be read",
        huge.replace(b"(-1, 4)", b"(9999, 9999)"): "cannot be read",
    }.items():
        (tmp_path / "image.npy").write_bytes(content)
        with pytest.raises(DataError, match=why):
            place_features("image", FeatureFileOptions(path=tmp_path / "image.npy"), IDS, tmp_path / "out")


def as_matlab(path, values):
    import scipy.io

    scipy.io.savemat(path, {"NAME": values})


def as_archive(path, values):
    np.savez(path, NAME=values)


def as_torch(path, values):
    import torch

    torch.save(torch.from_numpy(values), path)


def as_safetensors(path, values):
    from safetensors.numpy import save_file

    save_file({"NAME": values}, path)


def as_parquet(path, values):
    import pandas as pd

    pd.DataFrame(values, columns=["a", "b", "c"]).to_parquet(path)


FORMATS = {
    "pictures.mat": as_matlab,
    "pictures.npz": as_archive,
    "pictures.pt": as_torch,
    "pictures.safetensors": as_safetensors,
    "pictures.parquet": as_parquet,
    "pictures.csv": lambda path, values: np.savetxt(path, values, delimiter=","),
    "pictures.tsv": lambda path, values: np.savetxt(path, values, delimiter="\t"),
    "pictures.txt": np.savetxt,
    "pictures.json": lambda path, values: path.write_text(json.dumps(values.tolist())),
    "pictures.pkl": lambda path, values: values.dump(path),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_remedy_for_a_file_of_another_format_makes_one_that_is_read(tmp_path, monkeypatch, name):
    """The command that is named is run."""
    monkeypatch.chdir(tmp_path)
    values = np.arange(1.0, 10).reshape(3, 3)
    FORMATS[name](tmp_path / name, values)
    with pytest.raises(DataError, match=r"format is .*, and \.npy is read") as error:
        place_features("image", FeatureFileOptions(path=tmp_path / name), IDS, tmp_path / "out" / "image")
    command = shlex.split(error.value.remedy.partition("; NAME is")[0].partition("; where you")[0])
    assert command[:2] == ["python", "-c"]
    exec(command[2], {})
    place_features("image", FeatureFileOptions(path=tmp_path / "pictures.npy"), IDS, tmp_path / "out" / "image")
    np.testing.assert_array_equal(read_field(tmp_path / "out" / "image")[0], values.astype(np.float32))


def test_hdf5_is_known_by_its_first_bytes_whatever_its_name(tmp_path):
    for name in ("pictures.h5", "pictures.mat", "pictures"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n")
        with pytest.raises(DataError, match=r"format is HDF5, and .*(?s:.*)h5py\.File") as error:
            place_features("image", FeatureFileOptions(path=tmp_path / name), IDS, tmp_path / "out")
        assert name in error.value.remedy


def test_zero_rows_are_an_error_or_missing(place):
    values = np.array([[1.0, 1], [0, 0], [3, 3]])
    with pytest.raises(DataError, match=r"row 1 \(from 0\) is all zeros") as error:
        place(values)
    assert "zero_rows: missing" in str(error.value)
    assert place(values, zero_rows="missing")[1]["missing"] == [1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_named_by_their_row_in_the_file(place, bad):
    values = np.array([[1.0, 1], [2, 2], [bad, 3]])
    with pytest.raises(DataError, match=r"row 2 \(from 0\) holds NaN or infinity"):
        place(values, ids=["i9", "i3", "i7"])


def test_a_wrong_number_of_rows_is_refused(place):
    with pytest.raises(DataError, match="has 2 rows, the data set has 3 items") as error:
        place(np.ones((2, 2)))
    assert "features.image.ids" in str(error.value)
    with pytest.raises(DataError, match=r"has 2 rows, .*ids\.txt names 3"):
        place(np.ones((2, 2)), ids=IDS)


def test_ids_must_be_unique_and_known(place):
    with pytest.raises(DataError, match="'i7' names rows 0 and 2"):
        place(np.ones((3, 2)), ids=["i7", "i3", "i7"])
    with pytest.raises(DataError, match="none of its 3 ids is an item"):
        place(np.ones((3, 2)), ids=["a", "b", "c"])


def test_what_is_no_matrix_of_numbers_is_refused(place, tmp_path):
    with pytest.raises(DataError, match="one matrix of numbers"):
        place(np.ones(3))
    with pytest.raises(DataError, match="one matrix of numbers"):
        place(np.array([["a"], ["b"], ["c"]]))
    with pytest.raises(DataError, match="cannot be read"):
        place(np.array([[{}]] * 3, dtype=object))
    gone = FeatureFileOptions(path=tmp_path / "gone.npy")
    with pytest.raises(DataError, match="does not exist"):
        place_features("image", gone, IDS, tmp_path / "out")
