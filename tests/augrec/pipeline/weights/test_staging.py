"""Weights on a node's own disk are used only if this user copied them and nobody else can have changed them."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from augrec.pipeline.weights import staging

HASH = "a" * 64


class Disk(NamedTuple):
    """What is asked of a disk."""

    free: int


NAME = HASH[:16]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "weights").write_text("weights")
    (folder / "weights").chmod(0o666)
    (folder / "1_Pooling" / "config.json").write_text("{}")
    return folder


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "local"
    monkeypatch.setenv(staging.VARIABLE, str(root))
    return root


def plant(local: Path) -> Path:
    """Weights that lie there before anybody copied some."""
    local.mkdir(exist_ok=True)
    (local / NAME).mkdir()
    (local / NAME / "weights").write_text("planted")
    return local / NAME


def text(folder: Path) -> str:
    return (folder / "weights").read_text()


def test_a_copy_is_closed_to_others_and_used_again(model: Path, local: Path) -> None:
    copy = staging.staged(model, HASH)
    assert copy == local / NAME
    assert all(not path.stat().st_mode & 0o022 for path in (local, copy, *copy.rglob("*")))
    inode = copy.stat().st_ino
    assert staging.staged(model, HASH).stat().st_ino == inode


def test_what_this_user_did_not_copy_is_replaced(model: Path, local: Path) -> None:
    plant(local)
    assert text(staging.staged(model, HASH)) == "weights"
    assert not [path for path in local.iterdir() if path.name.startswith(".copy-")]


def test_a_copy_put_in_place_of_ours_is_replaced(model: Path, local: Path) -> None:
    staging.staged(model, HASH).rename(local / "moved")
    plant(local)
    assert text(staging.staged(model, HASH)) == "weights"


def planted_link(local: Path, model: Path) -> None:
    plant(local).rename(local / "elsewhere")
    (local / NAME).symlink_to(local / "elsewhere")


def file_others_may_write(local: Path, model: Path) -> None:
    copy = staging.staged(model, HASH)
    (copy / "weights").write_text("planted")
    (copy / "weights").chmod(0o666)


def folder_others_may_write(local: Path, model: Path) -> None:
    copy = staging.staged(model, HASH)
    (copy / "weights").write_text("planted")
    copy.chmod(0o777)


def link_inside(local: Path, model: Path) -> None:
    copy = staging.staged(model, HASH)
    (local / "evil").write_text("planted")
    (copy / "weights").unlink()
    (copy / "weights").symlink_to(local / "evil")


def open_mark(local: Path, model: Path) -> None:
    (staging.staged(model, HASH) / "weights").write_text("planted")
    staging.mark_of(local, NAME).chmod(0o666)


@pytest.mark.parametrize(
    "change", [planted_link, file_others_may_write, folder_others_may_write, link_inside, open_mark]
)
def test_a_copy_that_others_can_have_changed_is_replaced(
    model: Path, local: Path, change: Callable[[Path, Path], None]
) -> None:
    change(local, model)
    copy = staging.staged(model, HASH)
    assert text(copy) == "weights"
    assert copy == local / NAME
    assert not copy.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another user takes root")
@pytest.mark.parametrize("what", ["copy", "weights", "mark", "place"])
def test_a_copy_of_another_user_is_not_used(model: Path, local: Path, what: str) -> None:
    copy = staging.staged(model, HASH)
    (copy / "weights").write_text("planted")
    path = {"copy": copy, "weights": copy / "weights", "mark": staging.mark_of(local, NAME), "place": local}[what]
    os.chown(path, 65534, 65534)
    assert text(staging.staged(model, HASH)) == "weights"


@pytest.mark.parametrize(("mode", "used"), [(0o777, False), (0o1777, True), (0o770, False), (0o755, True)])
def test_a_place_where_others_can_exchange_the_copy_is_passed_over(
    model: Path, local: Path, mode: int, used: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    local.mkdir()
    local.chmod(mode)
    assert (staging.staged(model, HASH) == local / NAME) is used
    assert ("reading" in capsys.readouterr().err) is not used
    assert stat.S_IMODE(local.stat().st_mode) == mode


def test_what_cannot_be_removed_is_passed_over(model: Path, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(local)

    def refuse(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(staging.shutil, "rmtree", refuse)
    assert staging.staged(model, HASH) == model


def test_another_conversion_of_the_same_file_is_another_copy(model: Path, local: Path) -> None:
    (model / "source.json").write_text('{"versions": {"gguf": "0.17.0"}}')
    first = staging.staged(model, HASH)
    (model / "source.json").write_text('{"versions": {"gguf": "0.18.0"}}')
    assert staging.staged(model, HASH) != first


@pytest.fixture
def hold_nothing(local: Path) -> Iterator[Callable[[], None]]:
    yield lambda: staging.give_back(local)
    staging.give_back(local)


def age(local: Path, sha256: str, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(staging.mark_of(local, sha256[:16]), (then, then))


def copies(local: Path) -> set[str]:
    return {path.name for path in local.iterdir() if path.is_dir() and len(path.name) == 16}


@pytest.mark.parametrize(
    ("days", "room", "used", "kept"),
    [
        (8, True, False, False),
        (8, True, True, True),  # a process uses it
        (6, True, False, True),
        (6, False, False, False),  # the disk is full
        (6, False, True, True),
    ],
)
def test_a_copy_that_nobody_uses_goes_when_it_is_old_or_in_the_way(
    model: Path, local: Path, hold_nothing: Callable[[], None], monkeypatch: pytest.MonkeyPatch,
    days: float, room: bool, used: bool, kept: bool,
) -> None:  # fmt: skip
    other = "b" * 64
    staging.staged(model, other)
    hold_nothing()
    age(local, other, days)
    handle = os.open(local / f"{other[:16]}.use", os.O_RDWR)
    if used:
        fcntl.flock(handle, fcntl.LOCK_SH)
    monkeypatch.setattr(staging.shutil, "disk_usage", lambda root: Disk(1 << 40 if room or not copies(local) else 0))
    staging.staged(model, HASH)
    os.close(handle)
    assert (other[:16] in copies(local)) == kept
    assert (NAME in copies(local)) == (room or not kept), "the new one is copied where there is room for it then"


def test_a_copy_is_as_young_as_its_last_use(model: Path, local: Path, hold_nothing: Callable[[], None]) -> None:
    staging.staged(model, HASH)
    age(local, HASH, 8)
    staging.staged(model, HASH)
    hold_nothing()
    staging.staged(model, "b" * 64)
    assert copies(local) == {NAME, "b" * 16}
