"""The identity of code follows its meaning, not its layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.code_identity import code_identity

SOURCE = '"""Doc."""\n\n\ndef double(x):\n    """Twice."""\n    return 2 * x  # a comment\n'


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "someidentitypackage"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "module.py").write_text(SOURCE)
    (folder / "prompt.j2").write_text("Hello")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def identity() -> str:
    code_identity.cache_clear()
    return code_identity(("someidentitypackage",))


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = identity()
    (package / "module.py").write_text("def double( x ):\n\n    return (2 * x)\n")
    assert identity() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [("module.py", SOURCE.replace("2 *", "3 *")), ("prompt.j2", "Hello!"), ("added.py", "VALUE = 1\n")],
)
def test_code_templates_and_new_files_count(package: Path, name: str, content: str) -> None:
    before = identity()
    (package / name).write_text(content)
    assert identity() != before


def test_a_missing_package_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        code_identity(("nosuchpackageanywhere",))
