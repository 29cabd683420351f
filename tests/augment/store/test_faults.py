"""Whatever happens to processes, disks and files, the records end as those of a run to which nothing happened."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from augment.messages import Completion, Request
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_parquet
from tests.kit.fake_engine import FakeEngine, honest, sociable

TOTAL = 12 + 12 + 20
KILLS = 20
HERE = Path(__file__).parent


class Children:
    """Starts runs in processes of their own, see dying.py; `kill`: SIGKILL from here after so many stored records."""

    def __init__(self, data: Path, out: Path) -> None:
        self.data, self.out = data, out
        self.said: list[str] = []
        environment = dict(os.environ, PYTHONPATH=str(HERE.parents[2]))
        self.errors = out.with_suffix(".err")
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "dying.py")],
                env=environment,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def run(self, *, kill: int | None = None, **task: Any) -> int:
        """Runs until the end; the exit status, negative for a signal."""
        self.start(**task)
        return self.end(kill)

    def start(self, **task: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"data": str(self.data), "out": str(self.out), **task}) + "\n")
        self.process.stdin.flush()
        self.said, self.pid = [], 0

    def hear(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, self.errors.read_text()
        self.said.append(line)
        if line.startswith("pid "):
            self.pid = int(line[4:])
        return line

    def end(self, kill: int | None = None) -> int:
        while not (line := self.hear()).startswith("ended "):
            if kill is not None and self.pid and self.said.count("stored") >= kill:
                os.kill(self.pid, signal.SIGKILL)
                kill = None
        return int(line[6:])


@pytest.fixture
def children(dataset: Path, tmp_path: Path) -> Iterator[Children]:
    running = Children(dataset, tmp_path / "cut")
    yield running
    running.process.stdin.close()  # type: ignore[union-attr]
    running.process.wait()
    running.process.stdout.close()  # type: ignore[union-attr]


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """A FIFO that a child may wait for."""
    os.mkfifo(tmp_path / "hold")
    return tmp_path / "hold"


@pytest.fixture
def whole(run: Any, tmp_path: Path) -> dict[str, bytes]:
    """The tables of a run to which nothing happens."""
    run(FakeEngine(sociable, exact=True), "whole")
    return tables(tmp_path / "whole")


def tables(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(folder.glob("*/records.parquet"))}


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/shards/*.jsonl"))


def keys(folder: Path) -> list[str]:
    """Of every whole line."""
    lines = [line for path in shards(folder) for line in path.read_bytes().splitlines(keepends=True)]
    return [json.loads(line)["key"] for line in lines if line.endswith(b"\n")]


@pytest.mark.slow
def test_twenty_kills_at_random_moments(children: Children, whole: dict[str, bytes], hold: Path) -> None:
    """From outside while it answers, within a line, within a table, and around its renaming."""
    draw, kinds, torn, scraps = random.Random(11), Counter[str](), 0, 0
    answering, merging = cycle(("outside", "log")), cycle(("table", "rename"))
    out = children.out
    for _ in range(KILLS):
        before = set(keys(out))
        left = TOTAL - len(before)
        kind = next(answering) if left > 15 else "log" if left else next(merging)
        number = min(draw.randint(4, 8), left) or draw.randint(1, 3)
        if kind == "outside":  # comes while it goes on; it waits for it before the end
            status = children.run(kill=number, hold=str(hold), hold_after=number + 5)
        else:
            part = 1.0 if kind == "log" and left < 5 else draw.random()  # the last record is stored some day
            plan = {"at": kind, "number": number, "part": part, "after": draw.random() < 0.5}
            status = children.run(die=plan)
        assert status == -signal.SIGKILL, children.said
        after = keys(out)
        assert before <= set(after), "a stored record is gone"
        assert len(after) == len(set(after)), "a record is there twice"
        kinds[kind] += 1
        torn += any(not path.read_bytes().endswith(b"\n") for path in shards(out) if path.stat().st_size)
        scraps += len(list(out.rglob("*.tmp")))
    assert min(kinds[kind] for kind in ("outside", "log", "table", "rename")) >= 2, kinds
    assert torn > 0
    assert scraps > 0
    assert children.run() == 0
    assert tables(out) == whole
    assert sorted(Counter(keys(out)).values()) == [1] * TOTAL
    assert list(out.rglob("*.tmp")) == []


def test_two_processes_on_the_same_shards(children: Children, whole: dict[str, bytes], run: Any, hold: Path) -> None:
    """The second is refused while the first lives, and goes on where it stopped when it was killed."""
    children.start(hold=str(hold), hold_after=3)
    while children.said.count("stored") < 3:
        children.hear()
    with pytest.raises(AugrecError, match=r"another process is writing these records(.|\n)*00000.lock(.|\n)*wait"):
        run(FakeEngine(sociable, exact=True), "cut")
    assert len(keys(children.out)) == 3, "the refused process wrote something"
    os.kill(children.pid, signal.SIGKILL)
    assert children.end() == -signal.SIGKILL
    run(FakeEngine(sociable, exact=True), "cut")
    assert tables(children.out) == whole
    assert sorted(Counter(keys(children.out)).values()) == [1] * TOTAL


def test_the_first_of_two_processes_is_not_disturbed(
    children: Children, whole: dict[str, bytes], run: Any, hold: Path
) -> None:
    children.start(hold=str(hold), hold_after=3)
    while children.said.count("stored") < 3:
        children.hear()
    with pytest.raises(AugrecError, match="another process"):
        run(FakeEngine(sociable, exact=True), "cut")
    hold.write_text("")  # lets the first go on
    assert children.end() == 0
    assert tables(children.out) == whole
    assert sorted(Counter(keys(children.out)).values()) == [1] * TOTAL


@contextmanager
def small_disk(place: Path) -> Iterator[Callable[[int], None]]:
    """A file system of 512 KiB; the function leaves so many KiB of it free."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if (
        os.geteuid()
        or shutil.which("mount") is None
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a small file system takes root")
    ballast = place / "ballast"

    def leave(free: int) -> None:
        ballast.unlink(missing_ok=True)
        there = os.statvfs(place)
        ballast.write_bytes(bytes(max(there.f_bavail * there.f_frsize - free * 1024, 0)))

    try:
        yield leave
    finally:
        subprocess.run(["umount", str(place)], check=True)


FULL = r"the disk is full\n  where:  .*{}(.|\n)*free some space(.|\n)*run the same command"


@pytest.mark.parametrize("exact", [True, False])
def test_a_disk_that_fills_up_while_answers_are_stored(
    whole: dict[str, bytes], run: Any, tmp_path: Path, exact: bool
) -> None:
    answer = sociable if exact else honest
    if not exact:
        run(FakeEngine(answer), "honest")
        whole = tables(tmp_path / "honest")
    place = tmp_path / "small"
    with small_disk(place) as leave:
        stored: list[str] = []
        for free in (28, 20):  # the pin and the engine's description take a page of 4 KiB each
            leave(free)
            with pytest.raises(AugrecError, match=FULL.format("")):
                run(FakeEngine(answer, exact=exact), "small/out")
            before, stored = stored, keys(place / "out")
            assert set(before) <= set(stored)
            assert not list(place.rglob("*.tmp"))
        assert 0 < len(stored) < TOTAL
        leave(400)
        run(FakeEngine(answer, exact=exact), "small/out")
        assert tables(place / "out") == whole
        assert sorted(Counter(keys(place / "out")).values()) == [1] * TOTAL


def test_a_disk_that_fills_up_while_a_table_is_written(whole: dict[str, bytes], run: Any, tmp_path: Path) -> None:
    place = tmp_path / "small"
    with small_disk(place) as leave:
        run(FakeEngine(sociable, exact=True), "small/out")
        old = (place / "out" / "edges" / "records.parquet").read_bytes()
        (place / "out" / "user_profile" / "records.parquet").unlink()
        leave(4)
        with pytest.raises(AugrecError, match=FULL.format(r"records\.parquet")):
            run(FakeEngine(sociable, exact=True), "small/out")
        assert (place / "out" / "edges" / "records.parquet").read_bytes() == old
        assert not list(place.rglob("*.tmp"))
        leave(400)
        again = FakeEngine(sociable, exact=True)
        run(again, "small/out")
        assert again.starts == 0
        assert tables(place / "out") == whole


def damage_in_the_middle(path: Path) -> None:
    """Garbage over the second line and zeros over a part of the last but one."""
    content = bytearray(path.read_bytes())
    ends = [place for place, byte in enumerate(content) if byte == ord("\n")]
    content[ends[0] + 30 : ends[0] + 40] = b"\xff" * 10
    content[ends[-2] - 50 : ends[-2] - 20] = bytes(30)
    path.write_bytes(content)


def test_damaged_lines_are_asked_again_and_nothing_else(
    whole: dict[str, bytes], run: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(FakeEngine(sociable, exact=True), "cut")
    out = tmp_path / "cut"
    for path in out.glob("*/records.parquet"):
        path.unlink()
    path = out / "item_attributes" / "shards" / "00001-of-00003.jsonl"
    lines = len(path.read_bytes().splitlines())
    damage_in_the_middle(path)
    engine = FakeEngine(sociable, exact=True)
    run(engine, "cut")
    assert tables(out) == whole
    assert sorted(Counter(keys(out)).values()) == [1] * TOTAL
    assert len(path.with_suffix(".damaged").read_bytes().splitlines()) == 2
    said = capfd.readouterr().err
    assert f"{path}:2: damaged" in said
    assert f"{path}:{lines - 1}: damaged" in said
    run(FakeEngine(sociable, exact=True), "cut")
    assert "damaged" not in capfd.readouterr().err, "it is said once"


def test_an_engine_that_dies_leaves_what_it_finished(whole: dict[str, bytes], run: Any, tmp_path: Path) -> None:
    def out_of_memory(request: Any, company: Any) -> str:
        if len(answered) == 17:
            raise AugrecError("vLLM stopped while generating", remedy="run the same command again")
        answered.append(request)
        return sociable(request, company)

    answered: list[Any] = []
    with pytest.raises(AugrecError, match="stopped while generating"):
        run(FakeEngine(out_of_memory, exact=True), "cut")
    assert 0 < len(keys(tmp_path / "cut")) <= 17
    run(FakeEngine(sociable, exact=True), "cut")
    assert tables(tmp_path / "cut") == whole


def test_one_prompt_over_the_context_is_one_failed_record(run: Any, tmp_path: Path) -> None:
    """The others have the answers they have without it."""
    run(FakeEngine(honest), "whole")

    def refuses(request: Request, company: Any) -> str | Completion:
        if request.task == "user_profile" and request.draft.entity == 4:
            return Completion(request, "", "error", request.draft.answer, error="prompt_too_long: 9 tokens")
        return honest(request, company)

    engine = FakeEngine(refuses)
    summary = run(engine, "cut")
    assert summary["tasks"]["user_profile"]["failed_by_reason"] == {"prompt_too_long": 1}
    for task in ("edges", "user_profile", "item_attributes"):
        rows = [read_parquet(tmp_path / name / task / "records.parquet").to_pylist() for name in ("whole", "cut")]
        different = [row["entity"] for row, other in zip(*rows, strict=True) if row != other]
        assert different == ([4] if task == "user_profile" else [])
    asked = [request.attempt for request in engine.asked if (request.task, request.draft.entity) == ("user_profile", 4)]
    assert asked == [1], "another seed would not change it"


@pytest.mark.slow
def test_a_request_that_ends_the_engine_each_time_is_recorded_where_that_is_wished(
    children: Children, run: Any, tmp_path: Path
) -> None:
    engine = {"kind": "vllm", "model": "m"}
    stored = []
    for _ in range(3):
        assert children.run(fatal=5, engine=engine) == -signal.SIGKILL
        stored.append(len(keys(children.out)))
    assert stored[1] == stored[2] < TOTAL, "no run comes past it"
    passing = engine | {"record_unanswered": True}
    assert [children.run(fatal=5, engine=passing) for _ in range(3)] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert not list(children.out.glob("under_way/*"))
    assert children.run(fatal=5, engine=passing) == 0
    assert "stored" not in children.said, "nothing was left to do"

    run(FakeEngine(honest, exact=True), "whole")
    for task in ("edges", "user_profile", "item_attributes"):
        expected = read_parquet(tmp_path / "whole" / task / "records.parquet").to_pylist()
        records = read_parquet(children.out / task / "records.parquet").to_pylist()
        differing = [record for record, other in zip(records, expected, strict=True) if record != other]
        if task != "edges":
            assert not differing
            continue
        (record,) = differing
        assert (record["entity"], record["status"], record["fields"]) == (5, "failed", None)
        assert record["reason"] == "ends_the_engine: 2 times, asked alone"
        assert record["shown_history"], "it is known what would have been asked"


def test_an_end_that_does_not_come_again_records_nothing_as_failed(children: Children, run: Any) -> None:
    engine = {"kind": "vllm", "model": "m", "record_unanswered": True}
    assert children.run(fatal=5, engine=engine) == -signal.SIGKILL
    assert children.run(fatal=5, engine=engine) == -signal.SIGKILL
    assert list(children.out.glob("under_way/*"))
    assert children.run(fatal=-1, engine=engine) == 0
    edges = read_parquet(children.out / "edges" / "records.parquet").to_pylist()
    assert {record["status"] for record in edges} == {"ok"}
    assert not list(children.out.glob("under_way/*"))
