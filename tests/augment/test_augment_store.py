"""Records survive what happens to processes, disks and files."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from artefacts.errors import AugrecError, DataError, UsageError
from augment.identity import shard_of
from augment.shapes import Record
from augment.store import Store, read_shard, shard_path

KINDS = {"edges": "user"}


def record(entity: int, text: str = "{}") -> Record:
    return Record(f"key{entity}", "edges", entity, "ok", None, "{}", text, "stop", 1, 2, 3, 1, ("a",), (1, 2), (3,))


def open_store(folder: Path, total: int = 1, selected: list[int] | None = None) -> Store:
    return Store(folder, KINDS, total, selected)  # type: ignore[arg-type]


def test_a_record_comes_back_as_it_was() -> None:
    odd = replace(record(1, 'line\nbreak \u2028 "quote" 日本'), reason="x: y", fields=None, status="failed")
    assert "\n" not in odd.line()
    assert Record.from_line(odd.line()) == odd


def test_entities_spread_over_shards_and_stay_there(tmp_path: Path) -> None:
    with open_store(tmp_path, total=4) as store:
        for entity in range(200):
            store.append(record(entity))
    counts = [sum(1 for _ in read_shard(shard_path(tmp_path, "edges", shard, 4))) for shard in range(4)]
    assert sum(counts) == 200
    assert min(counts) > 25
    assert shard_of("user", 5, 1000) != shard_of("item", 5, 1000)
    with open_store(tmp_path, total=4) as store:
        assert all(f"key{entity}" in store for entity in range(200))


def test_a_key_is_stored_once(tmp_path: Path) -> None:
    for _ in range(2):
        with open_store(tmp_path) as store:
            store.append(record(1))
            store.append(record(1, "other"))
            assert store.agrees(record(1))
            assert not store.agrees(record(1, "other"))
            assert [kept.text for kept in store.records("edges")] == ["{}"]


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_torn_last_line_is_cut_off_before_appending(tmp_path: Path, cut: int) -> None:
    with open_store(tmp_path) as store:
        store.append(record(1))
        store.append(record(2))
    path = shard_path(tmp_path, "edges", 0, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with open_store(tmp_path) as store:
        assert "key1" in store
        assert "key2" not in store
        store.append(record(2))
    assert path.read_bytes() == whole


def test_a_corrupted_line_is_named(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for entity in range(3):
            store.append(record(entity))
    path = shard_path(tmp_path, "edges", 0, 1)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"key": broken\n' + lines[2])
    with pytest.raises(DataError, match=rf"{path.name}:2") as raised, open_store(tmp_path):
        pass
    assert raised.value.remedy is not None
    assert "sed -i 2d" in raised.value.remedy
    path.write_bytes(lines[0] + b'{"key":"x","unknown":1}\n')
    with pytest.raises(DataError, match=rf"{path.name}:2"), open_store(tmp_path):
        pass


def test_a_shard_in_the_wrong_place_is_named(tmp_path: Path) -> None:
    with open_store(tmp_path, total=2) as store:
        store.append(record(1))
    here = shard_path(tmp_path, "edges", shard_of("user", 1, 2), 2)
    here.rename(shard_path(tmp_path, "edges", 1 - shard_of("user", 1, 2), 2))
    with pytest.raises(DataError, match="wrong file"), open_store(tmp_path, total=2):
        pass


def test_the_number_of_shards_is_pinned(tmp_path: Path) -> None:
    with open_store(tmp_path, total=4):
        pass
    with pytest.raises(UsageError, match="begun with 4 shards"), open_store(tmp_path, total=5):
        pass
    with pytest.raises(UsageError, match="not among"), open_store(tmp_path, total=4, selected=[4]):
        pass


def test_a_second_writer_of_the_same_shard_is_refused(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from augment.store import Store\n"
        "with Store(Path(sys.argv[1]), {'edges': 'user'}, 4, [int(sys.argv[2])]): print('in', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(AugrecError, match="another process"), open_store(tmp_path, total=4):
            pass
        with open_store(tmp_path, total=4, selected=[0, 2, 3]):
            pass
        other.kill()
        other.wait()
        with open_store(tmp_path, total=4):
            pass


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def fills_up(handle: int, data: bytes) -> int:
        if b"key2" in data:
            write(handle, data[:20])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    with open_store(tmp_path) as store:
        store.append(record(1))
        monkeypatch.setattr(os, "write", fills_up)
        with pytest.raises(AugrecError, match="disk is full"):
            store.append(record(2))
        monkeypatch.undo()
    with open_store(tmp_path) as store:
        assert "key1" in store
        assert "key2" not in store
        store.append(record(2))
        assert [kept.entity for kept in store.records("edges")] == [1, 2]


def test_many_shards_need_few_open_files(tmp_path: Path) -> None:
    with open_store(tmp_path, total=200) as store:
        for entity in range(400):
            store.append(record(entity))
        assert len(store._files) <= 64
    with open_store(tmp_path, total=200) as store:
        assert sum(1 for _ in store.records("edges")) == 400
