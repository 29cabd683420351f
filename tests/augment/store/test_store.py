"""Records survive what happens to processes, disks and files."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from augment.hashes import shard_of
from augment.messages import Record
from augment.source_ids import Positions, SourceIds
from augment.store.layout import pin_shards
from augment.store.line_check import Damaged, Line
from augment.store.lines import Stored
from augment.store.shards import line_of, read_piece, read_pieces
from augment.store.store import OPEN_FILES, Store
from augment.store.table import merge
from augment.tasks import card_of
from augment.tasks.edges import Edges
from augrec.artefacts.confinement import confined
from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.locks import hold
from augrec.artefacts.source_folder import SourceFolder

CARDS = {"edges": card_of(Edges)}
GIVES = CARDS["edges"].gives


def record(entity: int, text: str = "{}") -> Record:
    fields = '{"positive":2,"negative":1}'
    return Record(f"key{entity}", "edges", entity, "ok", None, fields, text, "stop", 1, 2, 3, 1, ("a",), (1, 2), (3,))


def line(entity: int, text: str = "{}") -> bytes:
    return line_of(Stored.of(record(entity, text), CARDS["edges"], Positions()))


def open_store(folder: Path, total: int = 1, selected: list[int] | None = None) -> Store:
    return Store(folder, CARDS, total, selected)


def test_a_record_comes_back_as_it_was() -> None:
    odd = replace(record(1, 'line\nbreak \u2028 "quote" 日本'), reason="x: y", fields=None, status="failed")
    written = Stored.of(odd, CARDS["edges"], Positions()).line()
    assert "\n" not in written
    assert Stored.from_line(written, GIVES).record(Positions(), GIVES) == odd


def test_entities_spread_over_shards_and_stay_there(tmp_path: Path) -> None:
    with open_store(tmp_path, total=4) as store:
        for entity in range(200):
            store.append(record(entity))
    counts = [
        sum(1 for _ in read_pieces(SourceFolder(tmp_path).task("edges").shard(shard, 4), GIVES)) for shard in range(4)
    ]
    assert sum(counts) == 200
    assert min(counts) > 25
    assert shard_of("user", "5", 1000) != shard_of("item", "5", 1000)
    with open_store(tmp_path, total=4) as store:
        assert all(f"key{entity}" in store for entity in range(200))


def test_a_key_is_stored_once(tmp_path: Path) -> None:
    for _ in range(2):
        with open_store(tmp_path) as store:
            store.append(record(1))
            store.append(record(1, "other"))
            assert store.agrees(record(1))
            assert not store.agrees(record(1, "other"))
            assert [kept.text for kept in store.records("edges") if kept is not None] == ["{}"]


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_torn_last_line_is_cut_off_before_appending(tmp_path: Path, cut: int) -> None:
    with open_store(tmp_path) as store:
        store.append(record(1))
        store.append(record(2))
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with open_store(tmp_path) as store:
        assert "key1" in store
        assert "key2" not in store
        store.append(record(2))
    assert path.read_bytes() == whole


LINES = [line(entity) for entity in range(4)]
HALF = len(LINES[1]) // 2


@pytest.mark.parametrize(
    ("content", "lost", "numbers"),
    [
        pytest.param([LINES[0], b"\xfe\xed garbage\n", *LINES[1:]], [], [2], id="garbage between lines"),
        pytest.param([LINES[0], LINES[1][:HALF] + LINES[2], LINES[3]], [1], [2], id="torn in the middle"),
        pytest.param([LINES[0], LINES[1][:HALF] + b"\n", *LINES[2:]], [1], [2], id="torn, then a newline"),
        pytest.param([LINES[0], LINES[1].replace(b"ok", b"OK"), *LINES[2:]], [1], [2], id="another text, whole JSON"),
        pytest.param([LINES[0], LINES[1].replace(b"ok", b"\xffk"), *LINES[2:]], [1], [2], id="a byte that is no UTF-8"),
        pytest.param([LINES[0], b"\0" * 512 + LINES[1], *LINES[2:]], [], [2], id="zeros before a line"),
        pytest.param([LINES[0], b"\0" * 300 + LINES[2][40:], LINES[3]], [1, 2], [2], id="zeros over two lines"),
        pytest.param([*LINES[:2], b"\0" * 600], [2, 3], [3], id="zeros up to the end"),
        pytest.param([LINES[0][:-1] + b"x" + LINES[1][:-1] + b"x" + LINES[2], LINES[3]], [], [1], id="lost newlines"),
        pytest.param([b"{\n", LINES[0][:-3] + b"\n", *LINES[1:]], [0], [1, 2], id="two damaged lines"),
        pytest.param([LINES[0], b"\xff\n", LINES[1], LINES[2][:9]], [2, 3], [2], id="damaged, and a torn end"),
        pytest.param([LINES[0], LINES[0], LINES[1], LINES[1], *LINES[2:]], [], [], id="lines that are there twice"),
    ],
)
def test_damage_costs_the_damaged_records_only_and_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: list[bytes], lost: list[int], numbers: list[int]
) -> None:
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(content))
    with open_store(tmp_path) as store:
        assert [entity for entity in range(4) if f"key{entity}" not in store] == lost
        for entity in lost:
            store.append(record(entity))
        kept = {found.entity: found for found in store.records("edges") if found is not None}
    assert kept == {entity: record(entity) for entity in range(4)}
    said = capfd.readouterr().err
    assert said.count("damaged (") == len(numbers)
    aside = path.with_suffix(".damaged")
    assert aside.exists() == bool(numbers)
    for number in numbers:
        assert f"{path}:{number}: damaged" in said
        damaged = b"".join(content).split(b"\n")[number - 1]
        assert damaged in aside.read_bytes(), "the evidence is kept"
    with open_store(tmp_path) as store:
        assert len(list(store.records("edges"))) == 4
    assert capfd.readouterr().err == "", "said once"


def test_every_flipped_bit_of_a_line_is_noticed(tmp_path: Path) -> None:
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    for place in range(len(LINES[1]) - 1):
        for bit in (0, 5):
            damaged = bytearray(LINES[1])
            damaged[place] ^= 1 << bit
            path.write_bytes(LINES[0] + damaged + LINES[2])
            found = [piece.stored.entity for piece in read_pieces(path, GIVES) if piece.stored is not None]
            assert found == ["0", "2"], (place, bytes(damaged))


def test_lines_of_another_version_are_refused_and_not_thrown_away(tmp_path: Path) -> None:
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    content = LINES[1][: -len(b',"crc":"00000000"}\n')] + b',"colour":"red"'
    path.write_bytes(LINES[0] + content + b',"crc":"%08x"}\n' % zlib.crc32(content))
    before = path.read_bytes()
    with pytest.raises(DataError, match=rf"{path.name}:2(.|\n)*that version") as raised, open_store(tmp_path):
        pass
    assert "colour" in raised.value.what
    assert path.read_bytes() == before


def whole_line(content: str) -> bytes:
    """Some content as a line with the right checksum, whatever it is."""
    begun = content.encode("utf-8", "surrogatepass")[:-1]
    return begun + b',"crc":"%08x"}\n' % zlib.crc32(begun)


ODD_VALUES = {
    "text": ['["{}"]', "null", "3", '"\\ud800"', "{}"],
    "prompt_tokens": ['"10"', "1099511627776", "-1", "NaN", "Infinity", "1.5", "true", "null", "1" * 5000],
    "completion_tokens": ["2147483648"],
    "cached_tokens": ["[]"],
    "attempt": ["true"],
    "dropped_history": ['"0"'],
    "status": ['"fine"', "null"],
    "reason": ["[]"],
    "repairs": ['"a"', "[1]", "null"],
    "shown_history": ["[1]", '["\\udfff"]', '{"1":2}'],
    "shown_candidates": ["null", "[[1]]"],
    "shown_reviews": ["null", "[1]", '["\\udfff"]'],
    "shown_similar": ["null", "[1]", '["\\udfff"]'],
    "reviews_sha256": ["7", '"xyz"', '""'],
    "fields": [
        "{}", "null", '"[1]"', '"not json"', '"{}"', json.dumps('{"positive":NaN,"negative":"1"}'),
        json.dumps('{"positive":["2"],"negative":"1"}'), json.dumps('{"positive":"2","negative":"\\ud800"}'),
        json.dumps('{"positive":"2","negative":"1","scores":[["1"]]}'),
        json.dumps('{"positive":"2","negative":"1","scores":[["1",1e999]]}'),
        json.dumps('{"positive":"2","negative":"1","scores":3}'), json.dumps("[" * 100_000),
    ],
    "key": ['""', "null", "[]", "7"],
    "about": ['"nobody"'],
    "entity": ["1", "null"],
    "block": ['"xyz"'],
    "engine": ["{}"],
    "fallback": ["false"],
    "finish_reason": ["null"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [pytest.param(n, v, id=f"{n}-{v[:30]}") for n, values in ODD_VALUES.items() for v in values]
)
def test_a_whole_line_with_an_odd_value_is_set_aside_with_its_key(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """As an odd answer of a server left them: named, counted, asked again; the merge reads the rest."""
    whole = replace(record(1), shown_reviews=(4,), reviews_sha256="0" * 64, shown_similar=(2, 5))
    content = json.loads(Stored.of(whole, CARDS["edges"], Positions()).line())
    odd = (
        "{" + ",".join(f'"{field}":{value if field == name else json.dumps(content[field])}' for field in content) + "}"
    )
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(LINES[0] + whole_line(odd) + LINES[2])
    with open_store(tmp_path) as store:
        assert (store.damaged, "key1" in store) == (1, False)
        store.append(record(1))
        merged = merge(store.records("edges"), {f"key{n}" for n in range(3)}, tmp_path / "records.parquet")
    assert merged.requests == 3
    said = capfd.readouterr().err
    assert f"{path}:2: damaged" in said
    assert name == "key" or value == "1" * 5000 or "key1" in said
    said.encode()
    assert path.with_suffix(".damaged").read_bytes() == whole_line(odd)
    with open_store(tmp_path) as store:
        assert store.damaged == 0


@pytest.mark.parametrize("content", ["[1]", '"text"', "[" * 100_000, "{}}", '{"key":'])
def test_a_whole_line_that_is_no_object_is_set_aside(tmp_path: Path, content: str) -> None:
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(LINES[0] + whole_line(content) + LINES[2])
    with open_store(tmp_path) as store:
        assert (store.damaged, [kept.entity for kept in store.records("edges") if kept]) == (1, [0, 2])


def test_many_damaged_lines_are_not_all_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(LINES[0] + b"junk\n" * 1000)
    with open_store(tmp_path) as store:
        assert store.damaged == 1000
    said = capfd.readouterr().err
    assert (said.count("damaged ("), "and 990 more damaged lines" in said) == (10, True)
    path.write_bytes(LINES[0] + b"junk\n" * 10)
    with open_store(tmp_path) as store:
        assert store.damaged == 10
    said = capfd.readouterr().err
    assert (said.count("damaged ("), "more damaged lines" in said) == (10, False)


def test_a_sum_that_does_not_fit_is_said_to_be_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(LINES[0].replace(b"ok", b"OK"))
    with open_store(tmp_path):
        pass
    assert f"{path}:1: damaged (its checksum does not fit)" in capfd.readouterr().err


def test_pieces_are_found_again_where_they_begin(tmp_path: Path) -> None:
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    garbage, torn = b"\xfe garbage\n", LINES[3][:HALF]
    path.write_bytes(LINES[0] + garbage + LINES[1][:-1] + b"x" + LINES[2] + torn)
    pieces = list(read_pieces(path, GIVES))
    content = path.read_bytes()
    assert [piece.problem == "torn" for piece in pieces] == [False] * 5 + [True]
    for piece in pieces:
        assert content[piece.offset :].startswith(piece.data.removesuffix(b"\n"))
    stored = [piece for piece in pieces if piece.stored is not None]
    assert [piece.stored.entity for piece in stored if piece.stored] == ["0", "1", "2"]
    for piece in stored:
        assert read_piece(path, piece.offset, GIVES) == piece.stored
    with pytest.raises(DataError, match="cannot be read"):
        read_piece(path, len(LINES[0]), GIVES)


def test_whose_block_an_answer_came_from_is_kept(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.append(replace(record(1), block="89abcdef01234567"))
        store.append(record(2))
    for stored in (store, open_store(tmp_path)):
        with stored:
            assert [stored.answered_with(f"key{entity}") for entity in (1, 2, 3)] == [0x89ABCDEF, 0, None]
            assert stored.agrees(record(1))
            assert not stored.agrees(record(1, "other"))


def test_what_killed_writers_left_goes_where_nobody_else_is_at_work(tmp_path: Path) -> None:
    scrap = tmp_path / "edges" / ".records.parquet.1.tmp"
    scrap.parent.mkdir()
    for selected, there in (([0], True), (None, False)):
        scrap.write_bytes(b"half of a table")
        with open_store(tmp_path, total=2, selected=selected):
            assert scrap.exists() == there


def test_a_shard_is_nothing_to_be_run_and_lies_in_its_folder(tmp_path: Path) -> None:
    with open_store(tmp_path / "run") as store:
        store.append(record(1))
    path = SourceFolder(tmp_path / "run").task("edges").shard(0, 1)
    assert path.stat().st_mode & 0o111 == 0
    path.unlink()
    with confined(tmp_path / "run"):
        with open_store(tmp_path / "run") as store:
            path.parent.rename(tmp_path / "elsewhere")
            path.parent.symlink_to(tmp_path / "elsewhere")
            with pytest.raises(AugrecError, match="outside"):
                store.append(record(1))
        with pytest.raises(AugrecError, match="outside"), open_store(tmp_path / "run"):
            pass
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    "change", [{"text": "\ud800"}, {"text": ["{}"]}, {"prompt_tokens": 2**40}, {"fields": "[]"}, {"reason": 3}]
)
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, change: dict[str, Any]) -> None:
    with open_store(tmp_path) as store:
        store.append(record(0))
        with pytest.raises(Damaged):
            store.append(replace(record(1), **change))
        assert "key1" not in store
    assert SourceFolder(tmp_path).task("edges").shard(0, 1).read_bytes() == LINES[0]


def test_the_check_of_a_line_knows_every_field() -> None:
    several = replace(record(0), question="2", shown_reviews=(4,), reviews_sha256="0" * 64, shown_similar=(2, 5))
    assert set(Line.model_fields) == Stored.of(several, CARDS["edges"], Positions()).content.keys()
    before = Stored.of(record(0), CARDS["edges"], Positions()).content.keys()
    needed = {"question", "shown_reviews", "reviews_sha256", "shown_similar"}
    assert not before & needed, "lines of before are read as they are"
    assert (
        Stored.from_line(Stored.of(several, CARDS["edges"], Positions()).line(), CARDS["edges"].gives).record(
            Positions(), CARDS["edges"].gives
        )
        == several
    )


def test_lines_without_a_checksum_are_records_of_before(tmp_path: Path) -> None:
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(LINES[0][: -len(b',"crc":"00000000"}\n')] + b"}\n" + LINES[1])
    with open_store(tmp_path) as store:
        assert list(store.records("edges")) == [record(0), record(1)]


def test_a_text_cannot_pose_as_the_beginning_of_a_line(tmp_path: Path) -> None:
    """Text of a model is quoted: a damaged line is not searched for records that were written by one."""
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(LINES[0] + b"\0" + line(1, LINES[2].decode().strip()))
    found = [piece.stored for piece in read_pieces(path, GIVES) if piece.stored is not None]
    assert [kept.entity for kept in found] == ["0", "1"]
    path.write_bytes(LINES[0] + line(1, LINES[2].decode().strip())[10:])
    assert [piece.stored.entity for piece in read_pieces(path, GIVES) if piece.stored is not None] == ["0"]


def test_damage_that_comes_while_a_run_is_at_work_is_not_merged_over(tmp_path: Path) -> None:
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    with open_store(tmp_path) as store:
        for entity in range(3):
            store.append(record(entity))
        path.write_bytes(LINES[0] + b"\xff" + LINES[1][1:] + LINES[2])
        with pytest.raises(DataError, match=r"3 records were stored, and 2 can be read(.|\n)*same command again"):
            list(store.records("edges"))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_keeps_writers_apart_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with open_store(tmp_path) as store:
        store.append(record(1))
        second = rf"another process is writing these records: process {os.getpid()} on"
        with pytest.raises(AugrecError, match=second), open_store(tmp_path):
            pass
    with open_store(tmp_path) as store:
        assert "key1" in store


def test_a_shard_in_the_wrong_place_is_named(tmp_path: Path) -> None:
    with open_store(tmp_path, total=2) as store:
        store.append(record(1))
    here = SourceFolder(tmp_path).task("edges").shard(shard_of("user", "1", 2), 2)
    here.rename(SourceFolder(tmp_path).task("edges").shard(1 - shard_of("user", "1", 2), 2))
    for store in [open_store(tmp_path, total=2) for _ in range(2)]:  # nothing is held by one that was not opened
        with pytest.raises(DataError, match="wrong file"), store:
            pass


def test_of_two_that_begin_a_source_one_waits_for_the_other(tmp_path: Path) -> None:
    begun: list[Any] = []

    def begin() -> None:
        try:
            with open_store(tmp_path, total=2, selected=[1]) as store:
                begun.append(store.selected)
        except AugrecError as error:
            begun.append(error)

    second = threading.Thread(target=begin)
    with hold(SourceFolder(tmp_path).layout_lock, "this test is beginning the source"):
        second.start()
        second.join(0.1)
        assert begun == []
    second.join()
    assert begun == [[1]]


def test_the_number_of_shards_is_pinned(tmp_path: Path) -> None:
    with open_store(tmp_path, total=4):
        pass
    with pytest.raises(UsageError, match="begun with 4 shards"), open_store(tmp_path, total=5):
        pass
    for selected in ([4], [2, -1], [4, 1], []):
        with pytest.raises(UsageError, match="not among"), open_store(tmp_path, total=4, selected=selected):
            pass


def test_a_second_writer_of_the_same_shard_is_refused(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from augment.store.store import Store\n"
        "from augment.tasks import TASKS, card_of\n"
        "with Store(Path(sys.argv[1]), {'edges': card_of(TASKS['edges'])}, 4, [int(sys.argv[2])]):\n"
        "    print('in', flush=True); input()"
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
        assert [kept.entity for kept in store.records("edges") if kept is not None] == [1, 2]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> dict[Path, int]:
    """How many bytes of a file were on the disk when it was last synced; of a folder 0."""
    found: dict[Path, int] = {}
    fsync = os.fsync

    def noted(handle: int) -> None:
        fsync(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        found[path] = 0 if path.is_dir() else path.stat().st_size

    monkeypatch.setattr(os, "fsync", noted)
    return found


def test_everything_stored_is_synced_at_the_end_and_its_name_too(tmp_path: Path, synced: dict[Path, int]) -> None:
    with open_store(tmp_path, total=3) as store:
        for entity in range(30):
            store.append(record(entity))
    paths = sorted((tmp_path / "edges" / "shards").glob("*.jsonl"))
    assert len(paths) == 3
    assert {path: synced.get(path) for path in paths} == {path: path.stat().st_size for path in paths}
    assert tmp_path / "edges" / "shards" in synced, "a new file's name is in its folder"


def test_what_is_set_aside_is_on_the_disk_before_it_is_taken_away(tmp_path: Path, synced: dict[Path, int]) -> None:
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(LINES[0] + b"junk\n")
    with open_store(tmp_path):
        pass
    assert synced[path.with_suffix(".damaged")] == len(b"junk\n")


def test_a_file_closed_for_want_of_handles_is_synced_before(tmp_path: Path, synced: dict[Path, int]) -> None:
    total = 3 * OPEN_FILES
    with open_store(tmp_path, total=total) as store:
        for entity in range(8 * total):
            store.append(record(entity))
        paths = list((tmp_path / "edges" / "shards").glob("*.jsonl"))
        unsynced = [path for path in paths if synced.get(path) != path.stat().st_size]
        assert len(paths) > 2 * OPEN_FILES
        assert len(unsynced) <= OPEN_FILES, "those that are open"


def test_a_machine_that_dies_loses_two_seconds(
    tmp_path: Path, synced: dict[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    path = SourceFolder(tmp_path).task("edges").shard(0, 1)
    with open_store(tmp_path) as store:
        sizes = []
        for entity in range(6):
            store.append(record(entity))
            sizes.append((path.stat().st_size, synced.get(path, 0)))
            clock[0] += 1.0
    written = [size for size, _ in sizes]
    assert [on_disk for _, on_disk in sizes] == [0, 0, written[2], written[2], written[4], written[4]]


def test_many_shards_need_few_open_files(tmp_path: Path) -> None:
    with open_store(tmp_path, total=200) as store:
        for entity in range(400):
            store.append(record(entity))
        held = [path for path in Path("/proc/self/fd").iterdir() if path.resolve().suffix == ".jsonl"]
        assert 0 < len(held) <= OPEN_FILES
    assert not [path for path in Path("/proc/self/fd").iterdir() if path.resolve().suffix == ".jsonl"]
    with open_store(tmp_path, total=200) as store:
        assert sum(1 for _ in store.records("edges")) == 400


def test_a_store_of_an_older_layout_is_set_aside_and_kept(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    old = {
        "run.json": b'{"layout": 1, "shards": 4}',
        "edges/shards/00000-of-00004.jsonl": b'{"key":"k","task":"edges","entity":3}\n',
        "edges/records.parquet": b"a table",
        "seconds/00000.json": b"{}",
        "engine.json": b'{"engine": "vllm"}',
    }
    for name, content in old.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with open_store(tmp_path, total=2) as store:
        assert "k" not in store
        store.append(record(1))
    said = capfd.readouterr().err
    assert "older version" in said
    assert "set-aside/layout-1" in said
    assert "asked again" in said
    for name, content in old.items():
        assert (tmp_path / "set-aside" / "layout-1" / name).read_bytes() == content, "nothing is deleted"
        assert name == "run.json" or not (tmp_path / name).exists()
    with open_store(tmp_path, total=2) as store:
        assert "key1" in store
    assert capfd.readouterr().err == ""


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"layout": 99, "shards": 1}')
    with pytest.raises(UsageError, match=r"layout 99(.|\n)*another `output`"), open_store(tmp_path):
        pass
    assert not (tmp_path / "set-aside").exists()


def test_processes_with_the_same_number_in_two_containers_pin_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second pins between the first one's draft and its link."""
    link, inside = os.link, []
    monkeypatch.setattr(os, "getpid", lambda: 1)

    def interrupted(source: Path, target: Path) -> None:
        if not inside:
            inside.append(True)
            pin_shards(SourceFolder(tmp_path), 4)
        link(source, target)

    monkeypatch.setattr(os, "link", interrupted)
    pin_shards(SourceFolder(tmp_path), 4)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_record_of_somebody_who_is_gone_is_kept_and_not_shown(tmp_path: Path) -> None:
    ids = [f"u{number}" for number in range(4)], ["a", "b", "c", "d"]
    with Store(tmp_path, CARDS, 2, ids=SourceIds(*ids)) as store:
        for entity in range(4):
            store.append(record(entity))
    fewer, other = SourceIds(ids[0][2:], ids[1]), SourceIds(ids[0], ["d", "c", "b"])
    with Store(tmp_path, CARDS, 2, ids=fewer) as store:
        found = list(store.records("edges"))
        assert sorted(one.entity for one in found if one is not None) == [0, 1], "u2 and u3, by their present ids"
        assert found.count(None) == 2
    with Store(tmp_path, CARDS, 2, ids=other) as store:
        shown = [one for one in store.records("edges") if one is not None]
        assert [one.shown_history for one in shown] == [(2, 1)] * 4, "b and c"
        assert [json.loads(one.fields or "") for one in shown] == [{"positive": 1, "negative": 2}] * 4
    nobody = SourceIds(ids[0], ["a", "d"])
    with Store(tmp_path, CARDS, 2, ids=nobody) as store:
        assert list(store.records("edges")) == [None] * 4


def test_a_source_id_that_is_there_twice_is_refused() -> None:
    with pytest.raises(DataError, match="'x' is there twice"):
        SourceIds(["x", "y", "x"], []).find("user", "y")
