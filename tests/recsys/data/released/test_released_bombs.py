"""Files of a few bytes that claim to be gigabytes are refused before anything of that size is made."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json
from recsys.data.released.bounds import ALLOWANCE, memory_limit
from recsys.data.released.reader import read_release
from recsys.data.released.rlmrec import read_rlmrec
from recsys.data.released.unpickle import load

GOLDEN = Path(__file__).parents[3] / "golden" / "llmrec" / "release"
HUGE = 2**40


def measured(read: Callable[[], Any]) -> int:
    """Bytes that a refusal needed at its height."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def text(value: str) -> bytes:
    raw = value.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(raw)) + raw


def wide(kind: str) -> bytes:
    """A tensor of 2^28 numbers over a storage of one."""
    if kind == "archive":
        out = io.BytesIO()
        torch.save(torch.zeros(1).expand(2**14, 2**14), out)
        return out.getvalue()
    return pickle.dumps(torch.zeros(1).expand(2**14, 2**14), protocol=4)


def sparse(shape: tuple[int, int], kind: Callable[..., Any]) -> bytes:
    matrix = kind(np.eye(2, dtype=np.float32))
    matrix._shape = shape
    return pickle.dumps(matrix)


def doubled(levels: int, kind: type = list) -> Any:
    value: Any = kind([0.5, 1.5])
    for _ in range(levels):
        value = kind([value, value])
    return value


def repeated(part: Any, times: int) -> dict[int, Any]:
    return dict.fromkeys(range(times), part)


def array_of_nothing(shape: tuple[int, int]) -> bytes:
    return pickle.dumps(np.empty((0, 3), dtype=np.float32), protocol=2).replace(
        pickle.dumps((0, 3), protocol=2)[2:-1].replace(b"q\x00", b""), pickle.dumps(shape, protocol=2)[2:-1]
    )


def called(function: bytes, arguments: bytes, times: int) -> bytes:
    """A list of the results of one call, made again and again with arguments that stand in the file once."""
    call = function + pickle.BINGET + b"\x00" + pickle.REDUCE + pickle.APPEND
    prepared = arguments + pickle.BINPUT + b"\x00" + pickle.POP
    return b"\x80\x02" + prepared + pickle.EMPTY_LIST + call * times + pickle.STOP


def zipped(compression: int, overlapping: bool = False) -> bytes:
    saved = io.BytesIO()
    torch.save(torch.zeros(2**20), saved)
    out = io.BytesIO()
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(out, "w", compression) as target:
        for info in source.infolist():
            target.writestr(info.filename, source.read(info))
        if overlapping:
            first = next(info for info in target.infolist() if info.filename.endswith("data/0"))
            for number in range(1, 100):
                copy = zipfile.ZipInfo(f"{first.filename[:-1]}{number}")
                for name in ("header_offset", "file_size", "compress_size", "CRC"):
                    setattr(copy, name, getattr(first, name))
                target.filelist.append(copy)
                target.NameToInfo[copy.filename] = copy
            target._didModify = True  # type: ignore[attr-defined]
    return out.getvalue()


COLLIDING = 2**61 - 1
BOMBS: dict[str, Callable[[], bytes]] = {
    "tensor of stride 0": lambda: wide("pickle"),
    "saved tensor of stride 0": lambda: wide("archive"),
    "storage that claims more than it has": lambda: pickle.dumps(torch.zeros(4), protocol=2).replace(
        b"K\x04Nt", b"K\xffNt"
    ),
    "columns": lambda: sparse((2, HUGE), sp.csr_matrix),
    "rows": lambda: sparse((HUGE, 2), sp.coo_matrix),
    "rows of nothing": lambda: array_of_nothing((HUGE, 0)),
    "columns of nothing": lambda: array_of_nothing((0, HUGE)),
    "bytearray": lambda: b"\x80\x05" + pickle.BYTEARRAY8 + struct.pack("<Q", 2**34) + b"abc.",
    "doubled lists": lambda: pickle.dumps(doubled(40)),
    "doubled tuples": lambda: pickle.dumps(doubled(40, tuple)),
    "one text often": lambda: pickle.dumps(repeated("x" * 2**20, 2**12)),
    "one vector often": lambda: pickle.dumps(repeated([0.5] * 2**18, 2**12)),
    "one array often": lambda: pickle.dumps(repeated(np.zeros(2**18), 2**12)),
    "bytes from one text": lambda: called(
        b"c_codecs\nencode\n", text("x" * 2**20) + text("latin1") + pickle.TUPLE2, 2**12
    ),
    "dicts from one list": lambda: called(
        b"ccollections\nOrderedDict\n", pickle.dumps(([(n, n) for n in range(2**12)],), protocol=2)[2:-1], 2**12
    ),
    "depth": lambda: b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".",
    "a list in itself": lambda: b"\x80\x02]q\x00h\x00a.",
    "an integer of a megabyte": lambda: pickle.dumps(1 << (8 * 2**20)),
    "keys that collide": lambda: pickle.dumps({COLLIDING * n: 0 for n in range(2**12)}),
    "compressed archive": lambda: zipped(zipfile.ZIP_DEFLATED),
    "overlapping archive": lambda: zipped(zipfile.ZIP_STORED, overlapping=True),
}


@pytest.mark.parametrize("name", BOMBS)
def test_memory_is_bounded_by_what_is_stored(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(BOMBS[name]())
    used = measured(lambda: load(path))
    assert used < memory_limit(path.stat().st_size)
    assert used < ALLOWANCE + 10 * path.stat().st_size, "in truth far less than the bound"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "endless", "folder"):
        with pytest.raises(DataError, match=f"no file of bytes(.|\n)*{name}"):
            load(tmp_path / name)


def test_honest_repetition_comes_through(tmp_path: Path) -> None:
    """Items that share a vector, users that share a text: forks of the released code cache by the text."""
    value = {"vectors": repeated([0.25] * 1536, 2000), "texts": repeated("nothing is known of this user", 20_000)}
    (tmp_path / "file").write_bytes(pickle.dumps(value))
    found = load(tmp_path / "file")
    assert len(found["vectors"]) == 2000
    assert found["texts"][19_999] == "nothing is known of this user"
    expected = np.full(1536, 0.25, dtype=np.float32)
    np.testing.assert_array_equal(np.concatenate([np.ravel(part) for part in found["vectors"][0]]), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int16,
                                   torch.int8, torch.uint8, torch.bool])  # fmt: skip
@pytest.mark.parametrize("saved", [False, True])
def test_tensors_of_every_type_and_layout_come_through(tmp_path: Path, dtype: torch.dtype, saved: bool) -> None:
    whole = torch.arange(24).reshape(2, 3, 4).to(dtype)
    for tensor in (
        whole,
        whole.transpose(0, 2),
        whole[:, 1:, ::2],
        whole[1],
        whole[:0],
        torch.nn.Parameter(torch.ones(2)),
    ):
        if saved:
            torch.save(tensor, tmp_path / "file")
        else:
            (tmp_path / "file").write_bytes(pickle.dumps(tensor, protocol=4))
        found = load(tmp_path / "file")
        expected = tensor.detach().numpy()
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_bfloat16_becomes_float32(tmp_path: Path) -> None:
    tensor = torch.tensor([1.0, -2.5, 3.140625, 0.0], dtype=torch.bfloat16)
    torch.save(tensor, tmp_path / "file")
    np.testing.assert_array_equal(load(tmp_path / "file"), tensor.float().numpy())


def test_half_a_character_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(pickle.dumps({0: "a\ud83d", 1: "\ud83d\ude00", 2: ["\udc00b"]}))
    assert load(tmp_path / "file") == {0: "a\ufffd", 1: "😀", 2: ["\ufffdb"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(GOLDEN, tmp_path / "release")


def put(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_bytes(pickle.dumps(value))


def npy(header: str) -> bytes:
    raw = (header + " " * (117 - len(header)) + "\n").encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw


def npz() -> bytes:
    out = io.BytesIO()
    np.savez(out, a=np.zeros((2, 2)))
    return out.getvalue()


NPY = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"
RELEASES: dict[str, Callable[[Path], object]] = {
    "a user far away": lambda f: (f / "train.json").write_text(json.dumps({"0": [0], "1000000000": [1]})),
    "an item far away": lambda f: (f / "train.json").write_text(json.dumps({"0": [2**70]})),
    "a user of a thousand digits": lambda f: (f / "train.json").write_text(json.dumps({"9" * 1000: [1]})),
    "a number of five thousand digits": lambda f: (f / "train.json").write_text('{"0": [' + "9" * 5000 + "]}"),
    "deep JSON": lambda f: (f / "train.json").write_text('{"0": ' + "[" * 10**6 + "]" * 10**6 + "}"),
    "an edge far away": lambda f: put(f, "augmented_sample_dict", {0: {0: 2**63, 1: 0}}),
    "an endless edge": lambda f: put(f, "augmented_sample_dict", {0: {0: float("inf"), 1: 0}, 1: {0: "x", 1: 0}}),
    "an endless key": lambda f: put(f, "augmented_user_init_embedding", {float("inf"): [1.0] * 48}),
    "a key far away": lambda f: put(f, "augmented_user_init_embedding", {2**63: [1.0] * 48}),
    "one wide vector": lambda f: put(f, "augmented_user_init_embedding", {0: np.zeros(2**24, dtype=np.int8)}),
    "candidates in shared lists": lambda f: put(f, "candidate_indices", doubled(30)),
    "candidates of several lengths": lambda f: put(f, "candidate_indices", [[1], [1, 2]]),
    "text_feat.npy of a large shape": lambda f: (f / "text_feat.npy").write_bytes(npy(NPY.format("<f4", (HUGE, 8)))),
    "text_feat.npy of no columns": lambda f: (f / "text_feat.npy").write_bytes(npy(NPY.format("<f4", (HUGE, 0)))),
    "text_feat.npy of objects": lambda f: (f / "text_feat.npy").write_bytes(npy(NPY.format("|O", (2, 2))) + bytes(32)),
    "text_feat.npy is an archive": lambda f: (f / "text_feat.npy").write_bytes(npz()),
    "text_feat.npy of fields": lambda f: (f / "text_feat.npy").write_bytes(npy(NPY.format("|V8", (2, 2))) + bytes(32)),
}


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_is_no_larger_than_its_files(folder: Path, name: str) -> None:
    RELEASES[name](folder)
    used = measured(lambda: read_release(folder))
    assert used < ALLOWANCE + 10 * sum(path.stat().st_size for path in folder.iterdir())


def test_ids_without_bound_are_refused_in_the_other_layout(tmp_path: Path) -> None:
    for name in ("trn_mat.pkl", "val_mat.pkl", "tst_mat.pkl"):
        shifted = {"trn_mat.pkl": 0, "val_mat.pkl": 1, "tst_mat.pkl": 2}[name]
        entries = (np.ones(2), ([0, 1], [shifted, 2**17 + shifted]))
        put(tmp_path, name, sp.coo_matrix(entries, shape=(2, 2**18)))
    used = measured(lambda: read_rlmrec(tmp_path))
    assert used < ALLOWANCE


@pytest.mark.parametrize("content", ["[" * 10**6, "1" * 5000, "\ufeff", '{"a": NaN', "\x00"])
def test_json_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "file.json").write_text(content)
    with pytest.raises(DataError, match=r"not valid JSON(.|\n)*file\.json"):
        read_json(tmp_path / "file.json")
