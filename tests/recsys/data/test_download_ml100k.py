"""The optional download, against archives on this disk only."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from augrec.artefacts.errors import AugrecError, DataError
from recsys.data.download import NEEDED, download_ml100k


def archive(path: Path, extra: dict[str, str] | None = None, without: str = "") -> tuple[str, str]:
    with zipfile.ZipFile(path, "w") as out:
        for name in NEEDED:
            if name != without:
                out.writestr(f"ml-100k/{name}", f"content of {name}")
        for name, content in (extra or {}).items():
            out.writestr(name, content)
    return path.as_uri(), hashlib.md5(path.read_bytes()).hexdigest()


def test_unpacks_the_needed_files_and_nothing_else(tmp_path: Path) -> None:
    url, md5 = archive(tmp_path / "a.zip", {"../escaped": "x", "/tmp/escaped-augrec": "x", "ml-100k/mku.sh": "x"})
    folder = download_ml100k(tmp_path / "data" / "ml-100k", url=url, md5=md5)
    assert sorted(path.name for path in folder.iterdir()) == sorted(NEEDED)
    assert (folder / "u.data").read_text() == "content of u.data"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "data"]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["ml-100k"]  # no scratch is left


def test_a_complete_folder_is_not_fetched_again(tmp_path: Path) -> None:
    url, md5 = archive(tmp_path / "a.zip")
    folder = download_ml100k(tmp_path / "d", url=url, md5=md5)
    assert download_ml100k(folder, url="file:///nowhere") == folder


def test_an_endless_answer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, md5 = archive(tmp_path / "a.zip")
    monkeypatch.setattr("recsys.data.download.LARGEST", 100)
    with pytest.raises(DataError, match="more than 100 bytes"):
        download_ml100k(tmp_path / "d", url=url, md5=md5)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("case", ["checksum", "not a zip", "incomplete", "unreachable", "occupied"])
def test_a_failed_download_leaves_no_folder(tmp_path: Path, case: str) -> None:
    url, md5 = archive(tmp_path / "a.zip", without="u.item" if case == "incomplete" else "")
    folder = tmp_path / "d"
    if case == "checksum":
        md5 = "0" * 32
    elif case == "not a zip":
        (tmp_path / "a.zip").write_text("hello")
        md5 = hashlib.md5(b"hello").hexdigest()
    elif case == "unreachable":
        url = (tmp_path / "gone.zip").as_uri()
    elif case == "occupied":
        folder.mkdir()
        (folder / "mine.txt").write_text("keep")
    messages = {
        "checksum": "not the published one.*sha256",
        "not a zip": "not a zip",
        "incomplete": "lacks some",
        "unreachable": "download failed",
        "occupied": "holds other files",
    }
    expected = AugrecError if case == "unreachable" else DataError
    with pytest.raises(expected, match=f"(?s){messages[case]}"):
        download_ml100k(folder, url=url, md5=md5)
    assert [path.name for path in folder.glob("*")] == (["mine.txt"] if case == "occupied" else [])
    assert not list(tmp_path.glob(".d.*"))
