"""Pickles from strangers: data comes through, code never runs."""

from __future__ import annotations

import builtins
import collections
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from augrec.artefacts.errors import DataError
from recsys.data.released.unpickle import load

PROTOCOLS = (2, 4, 5)


def write(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


class Calls:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def attacks(marker: Path) -> dict[str, Any]:
    touch = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w').close()"
    inner = pickle.dumps(Calls(os.system, touch))
    archive = io.BytesIO()
    torch.save(Calls(os.system, touch), archive)
    legacy = io.BytesIO()
    torch.save(Calls(os.system, touch), legacy, _use_new_zipfile_serialization=False)
    return {
        "os.system": Calls(os.system, touch),
        "builtins.eval": Calls(builtins.eval, code),
        "builtins.exec": Calls(builtins.exec, code),
        "getattr": Calls(builtins.getattr, np.ndarray, "tofile"),
        "pickle.loads": Calls(pickle.loads, inner),
        "numpy.load": Calls(np.load, str(marker), None, True),
        "torch.load": Calls(torch.load, str(marker)),
        "storage with a pickle": Calls(torch.storage._load_from_bytes, inner),
        "storage with an archive": Calls(torch.storage._load_from_bytes, archive.getvalue()),
        "storage with a legacy file": Calls(torch.storage._load_from_bytes, legacy.getvalue()),
        "inside a dict": {0: [1.0] * 20, 1: {"deep": (Calls(os.system, touch),)}},
        "object array": np.array([Calls(os.system, touch)], dtype=object),
        "a file object": Calls(builtins.open, str(marker), "w"),
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", list(attacks(Path("x"))))
def test_attacks_are_refused_and_nothing_runs(tmp_path: Path, name: str, protocol: int) -> None:
    marker = tmp_path / "marker"
    path = write(tmp_path / "file", attacks(marker)[name], protocol)
    with pytest.raises(DataError) as error:
        load(path)
    assert not marker.exists()
    assert str(path) in str(error.value)


def test_the_attack_would_have_worked(tmp_path: Path) -> None:
    """Otherwise the test above proves nothing."""
    marker = tmp_path / "marker"
    pickle.loads(write(tmp_path / "file", attacks(marker)["storage with a legacy file"]).read_bytes())
    assert marker.exists()


@pytest.mark.parametrize(("function", "name"), [(os.system, "system"), (eval, "eval"), (os.getcwd, "getcwd")])
def test_the_refused_global_is_named(tmp_path: Path, function: Callable[..., Any], name: str) -> None:
    with pytest.raises(DataError, match=rf"\.{name}, which is refused"):
        load(write(tmp_path / "file", Calls(function, "x")))


RAW = {
    "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.tofile\x93.",
    "state for a stand-in class": b"\x80\x04\x8c\x05numpy\x8c\x05dtype\x93N}\x8c\x05value\x8c\x01x\x86b.",
    "state for a function": b"\x80\x04\x8c\x07_codecs\x8c\x06encode\x93N}\x8c\x0c__defaults__)s\x86b.",
    "extension code": b"\x80\x02\x82\x01.",
    "persistent id": b"\x80\x02Pabc\n.",
    "codec lookup": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib\x86R.",
    "object array from bytes": b"\x80\x02cnumpy\nndarray\nK\x01\x85X\x01\x00\x00\x00OC\x08aaaaaaaa\x87R.",
    "object dtype": b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R.",
    "truncated": pickle.dumps({0: [1.0] * 50})[:-40],
    "not a pickle": b"hello world",
    "empty": b"",
}


@pytest.mark.parametrize("name", RAW)
def test_hand_made_streams_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(RAW[name])
    with pytest.raises(DataError, match="file"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_data_comes_through(tmp_path: Path, protocol: int) -> None:
    rng = np.random.default_rng(0)
    value = {
        "array": rng.normal(size=(3, 4)),
        "fortran": np.asfortranarray(rng.normal(size=(3, 4)).astype(np.float32)),
        "big endian": np.arange(5, dtype=">i4"),
        "empty": np.empty((0, 3)),
        "text array": np.array(["a", "bcd"]),
        "scalar": np.float64(2.5),
        "integer": np.int64(-7),
        "ordered": collections.OrderedDict([(0, "x"), (1, "é")]),
        "plain": [1, 2.5, None, True, "text", (1, (2, [3]))],
        "few floats": [0.5, 1.5],
    }
    found = load(write(tmp_path / "file", value, protocol))
    assert found.keys() == value.keys()
    for name in value:
        if isinstance(value[name], np.ndarray):
            assert type(found[name]) is np.ndarray
            assert found[name].dtype == value[name].dtype
            np.testing.assert_array_equal(found[name], value[name])
        else:
            assert found[name] == value[name]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_long_rows_of_floats_become_arrays(tmp_path: Path, protocol: int) -> None:
    """More than a pickler's batch (1000) and than its frame (64 KiB), shared and mixed lists too."""
    rng = np.random.default_rng(0)
    rows = {item: rng.normal(size=size).tolist() for item, size in enumerate((1536, 1000, 1001, 9, 20_000, 5000))}
    shared = [1, *rows[3], "x"]
    found = load(write(tmp_path / "file", {"rows": rows, "again": rows[0], "mixed": shared}, protocol))
    for item, row in rows.items():
        parts = found["rows"][item]
        assert len(parts) <= len(row) // 1000 + 7  # the rest of a batch may stay Python floats
        np.testing.assert_array_equal(
            np.concatenate([np.ravel(part) for part in parts]).astype(np.float32), np.array(row, dtype=np.float32)
        )
    assert found["again"] is found["rows"][0]
    assert found["mixed"] == shared


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "kind", [sp.csr_matrix, sp.coo_matrix, sp.csc_matrix, sp.csr_array, sp.coo_array, sp.csc_array]
)
@pytest.mark.parametrize("number", ["f8", ">f4", "f2", "i8", "?"])
def test_sparse_matrices_come_through(tmp_path: Path, kind: Callable[..., Any], number: str, protocol: int) -> None:
    dense = np.array([[0.0, 1, 0], [1, 0, 1]])
    matrix = kind(dense)
    matrix.data = matrix.data.astype(number)
    found = load(write(tmp_path / "file", matrix, protocol))
    assert type(found) is sp.csr_matrix
    np.testing.assert_array_equal(found.toarray().astype(float), dense)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dicts_with_defaults_are_dicts(tmp_path: Path, protocol: int) -> None:
    found = load(write(tmp_path / "file", collections.defaultdict(list, {1: [2, 3]}), protocol))
    assert (type(found), found) == (dict, {1: [2, 3]})
    with pytest.raises(DataError, match="refused"):
        load(write(tmp_path / "file", collections.defaultdict(os.getcwd, {1: 2}), protocol))


def test_a_sparse_matrix_with_wild_indices_is_refused(tmp_path: Path) -> None:
    matrix = sp.csr_matrix(np.eye(3))
    matrix.indices[1] = 10**6
    with pytest.raises(DataError):
        load(write(tmp_path / "file", matrix))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tensors_come_as_arrays(tmp_path: Path, protocol: int) -> None:
    tensor = torch.arange(12).reshape(3, 4).T
    np.testing.assert_array_equal(load(write(tmp_path / "file", tensor, protocol)), tensor.numpy())
    torch.save(tensor, tmp_path / "saved")
    np.testing.assert_array_equal(load(tmp_path / "saved"), tensor.numpy())


def test_names_of_older_libraries_are_known(tmp_path: Path) -> None:
    raw = pickle.dumps(np.arange(3.0), protocol=2).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert b"numpy.core" in raw
    (tmp_path / "array").write_bytes(raw)
    np.testing.assert_array_equal(load(tmp_path / "array"), np.arange(3.0))
    raw = pickle.dumps(sp.csr_matrix(np.eye(2)), protocol=2).replace(b"scipy.sparse._csr\n", b"scipy.sparse.csr\n")
    assert b"sparse.csr" in raw
    (tmp_path / "matrix").write_bytes(raw)
    np.testing.assert_array_equal(load(tmp_path / "matrix").toarray(), np.eye(2))
