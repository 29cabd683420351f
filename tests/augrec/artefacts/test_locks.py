"""One lock, with `flock` and without: the living keep it, the dead do not, and whoever cannot be judged is named."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from augrec.artefacts import owners
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.locks import ROOM, hold
from augrec.artefacts.owners import FIRST_SPACE, Owner, owner_of, read_owner, this_process
from tests.kit.machine_speed import patience

ROOT = Path(__file__).parents[3]
CODE = """
import errno, fcntl, os, sys
from pathlib import Path
def refuse(handle, operation):
    raise OSError(errno.ENOLCK, "No locks available")
path, offered, shared = Path(sys.argv[1]), sys.argv[2] == "True", sys.argv[3] == "True"
if not offered:
    fcntl.flock = refuse
from augrec.artefacts.locks import hold
"""
HOLDS = CODE + "with hold(path, 'held', shared=shared):\n    print('in', flush=True)\n    input()\n"
COUNTS = (
    CODE
    + """
for _ in range(10):
    with hold(path, "held", wait=True):
        counter = path.with_name("counter")
        number = int(counter.read_text())
        counter.write_text("")  # whoever comes between reads no number
        counter.write_text(str(number + 1))
"""
)


def refuse(number: int) -> Callable[[int, int], None]:
    def flock(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.fixture(params=[True, False], ids=["flock", "no flock"])
def offered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    return request.param


@pytest.fixture
def no_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOSYS))


def command(code: str, path: Path, offered: bool, shared: bool = False) -> list[str]:
    return [sys.executable, "-c", code, str(path), str(offered), str(shared)]


@contextmanager
def holder(path: Path, offered: bool, shared: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command(HOLDS, path, offered, shared), text=True, env=environment, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "in\n"
        try:
            yield process
        finally:
            process.kill()


def claims(path: Path) -> list[Path]:
    return sorted(path.with_name(f"{path.name}.claims").glob("*.json"))


def plant(path: Path, owner: Owner) -> Path:
    """A claim as another process would have left it."""
    claim = path.with_name(f"{path.name}.claims") / "1-planted.json"
    claim.parent.mkdir(parents=True, exist_ok=True)
    claim.write_text(owner.line)
    return claim


def free(path: Path, *, shared: bool = False) -> bool:
    try:
        with hold(path, "held", shared=shared):
            return True
    except AugrecError:
        return False


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP])
def test_a_file_system_without_locks_has_one_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(number))
    path = tmp_path / "source" / "locks" / "a.lock"
    with hold(path, "held"):
        assert len(claims(path)) == 1
        with (
            pytest.raises(AugrecError, match=rf"held: process {os.getpid()} on {platform.node()} since"),
            hold(path, "held"),
        ):
            pass
        assert len(claims(path)) == 1, "who was refused leaves nothing"
    assert (claims(path), free(path)) == ([], True)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_keeps_nobody_from_flock_and_is_said_without(
    tmp_path: Path, offered: bool, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*arguments: object, **options: object) -> int:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "a.lock"
    monkeypatch.setattr(os, "pwrite", full)
    monkeypatch.setattr(Path, "write_text", full)
    for shared in (True, False):
        if offered:
            assert free(path, shared=shared)
        else:
            with pytest.raises(AugrecError, match="the disk"), hold(path, "held", shared=shared):
                pass
    monkeypatch.undo()
    assert free(path)


def test_the_last_blocks_of_a_disk_are_left_to_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, disk = tmp_path / "a.lock", os.statvfs(tmp_path)
    for blocks, named in ((0, False), (ROOM // disk.f_frsize, True)):
        monkeypatch.setattr(os, "fstatvfs", lambda _, b=blocks: os.statvfs_result([*disk[:4], b, *disk[5:]]))
        with hold(path, "held"):
            assert bool(path.read_bytes()) == named
        assert path.read_bytes() == b""


def test_another_trouble_with_the_lock_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"), hold(tmp_path / "a.lock", "held"):
        pass


def test_a_living_owner_is_named_and_a_killed_one_holds_nothing(tmp_path: Path, offered: bool) -> None:
    path = tmp_path / "a.lock"
    with holder(path, offered) as other:
        with pytest.raises(AugrecError) as raised, hold(path, "busy"):
            pass
        assert raised.value.what.startswith(f"busy: process {other.pid} on {platform.node()} since 20")
        assert raised.value.where == str(path)
        assert raised.value.remedy == "wait for it or stop it; a lock never outlives its process"
        other.kill()
        other.wait()
        assert free(path)
    assert claims(path) == []


def test_a_killed_owner_that_nobody_has_buried_holds_nothing(tmp_path: Path, no_flock: None) -> None:
    path = tmp_path / "a.lock"
    with holder(path, offered=False) as other:
        other.kill()
        assert other.stdout is not None
        assert other.stdout.read() == ""  # its end of the pipe is closed: it is dead, and not waited for
        while Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X"):
            pass
        assert free(path)


@pytest.mark.parametrize(("theirs", "mine", "possible"), [(1, 1, True), (1, 0, False), (0, 1, False), (0, 0, False)])
@pytest.mark.parametrize("their_flock", [True, False])
def test_only_shares_stand_beside_each_other(
    tmp_path: Path, offered: bool, their_flock: bool, theirs: int, mine: int, possible: bool
) -> None:
    """Also where one process has `flock` and the other has not."""
    path = tmp_path / "a.lock"
    with holder(path, their_flock, shared=bool(theirs)) as other:
        assert free(path, shared=bool(mine)) == possible
        other.communicate("\n")
        assert free(path)
    assert (claims(path), path.read_bytes()) == ([], b"")


@pytest.mark.parametrize("their_flock", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_the_killed_leave_nothing_that_keeps_others_out(
    tmp_path: Path, offered: bool, their_flock: bool, shared: bool
) -> None:
    path = tmp_path / "a.lock"
    with holder(path, their_flock, shared) as other:
        other.kill()
        other.wait()
        assert free(path)
    assert claims(path) == []


def test_a_number_used_again_is_not_the_owner(tmp_path: Path, offered: bool) -> None:
    me = this_process(shared=False)
    plant(tmp_path / "a.lock", me)
    assert not free(tmp_path / "a.lock")
    plant(tmp_path / "a.lock", replace(me, started="7"))
    assert free(tmp_path / "a.lock")


def test_a_machine_started_anew_has_no_owners_of_before(
    tmp_path: Path, offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, place = tmp_path / "a.lock", replace(owners.here(), machine="m", space=FIRST_SPACE, boot="now")
    monkeypatch.setattr(owners, "here", lambda: place)
    before = replace(this_process(shared=False), boot="before")
    plant(path, before)
    assert free(path)
    for other in ({"machine": "n"}, {"host": "n"}, {"space": "pid:[7]"}, {"machine": "n", "host": "n"}):
        plant(path, replace(before, **other))  # type: ignore[arg-type]
        assert not free(path), other


@pytest.mark.parametrize("change", [{"host": "gpu7", "boot": "another"}, {"space": "pid:[7]"}])
def test_an_owner_elsewhere_is_refused_with_what_to_do(tmp_path: Path, offered: bool, change: dict[str, str]) -> None:
    """On another machine, or in another container of this one: nobody here can know whether it lives."""
    path = tmp_path / "a.lock"
    owner = replace(this_process(shared=False), pid=1234, **change)  # type: ignore[arg-type]
    claim = plant(path, owner)
    with pytest.raises(AugrecError) as raised, hold(path, "busy"):
        pass
    assert raised.value.what == f"busy: {owner}"
    assert raised.value.remedy is not None
    assert f"look on {owner.host}" in raised.value.remedy
    assert f"delete {claim}" in raised.value.remedy
    claim.unlink()
    assert free(path)


@pytest.mark.parametrize("text", ["", "junk", "[1]", '{"pid": "7"}', '{"pid": -1}', "[" * 100_000])
def test_a_claim_that_cannot_be_read_is_nobodys(tmp_path: Path, no_flock: None, text: str) -> None:
    path = tmp_path / "a.lock"
    claim = plant(path, this_process(shared=False))
    claim.write_text(text)
    assert read_owner(text) is None
    with pytest.raises(AugrecError, match=rf"delete {claim}"), hold(path, "busy"):
        pass


def test_an_owner_is_its_line(tmp_path: Path) -> None:
    me = this_process(shared=True)
    assert read_owner(me.line) == me
    assert asdict(me) == json.loads(me.line)
    assert (read_owner(me.line).since, read_owner(me.line).shared) == (me.since, True)  # type: ignore[union-attr]
    assert owner_of({"event": "start", **me.place()}) == me
    for name in me.place():
        assert owner_of({**me.place(), name: None}) is None
        assert owner_of({key: value for key, value in me.place().items() if key != name}) is None
    for pid in (True, 0, -1, 1 << 31, "7"):
        assert owner_of({**me.place(), "pid": pid}) is None
    assert me.life() == "alive"


def test_of_many_that_want_it_one_has_it(tmp_path: Path, offered: bool) -> None:
    path = tmp_path / "a.lock"
    (tmp_path / "counter").write_text("0")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen(command(COUNTS, path, offered), env=environment) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert (tmp_path / "counter").read_text() == "40"


class Said(io.StringIO):
    """A stream that tells what is written to it, and when: reading a captured one meanwhile may lose a line."""

    def __init__(self) -> None:
        super().__init__()
        self.something = threading.Event()

    def write(self, text: str, /) -> int:
        written = super().write(text)
        self.something.set()
        return written


def test_it_waits_and_says_for_whom(tmp_path: Path, offered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    path, got, said = tmp_path / "a.lock", threading.Event(), Said()
    monkeypatch.setattr(sys, "stderr", said)

    def wait() -> None:
        with hold(path, "held", wait=True):
            got.set()

    with holder(path, offered) as other:
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert said.something.wait(patience(30))
        assert not got.is_set()
        other.communicate("\n")
        waiting.join()
    assert got.is_set()
    assert said.getvalue().count("waiting for") == 1
    assert f"process {other.pid}" in said.getvalue()


def test_a_forked_child_does_not_release_it(tmp_path: Path, offered: bool) -> None:
    path = tmp_path / "a.lock"
    held = hold(path, "held")
    held.__enter__()
    child = os.fork()
    if child == 0:
        held.__exit__(None, None, None)
        os._exit(0)
    os.waitpid(child, 0)
    assert not free(path)
    held.__exit__(None, None, None)
    assert free(path)
