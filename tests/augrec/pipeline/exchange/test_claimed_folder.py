"""What a command left that broke off is its own again; what is another's stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import read_json
from augrec.pipeline.exchange.claimed_folder import claim, complete, written_files

SAID = "export.json"


def test_a_folder_that_was_left_half_written_is_taken_up_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert claim(out, SAID) == {}
    (out / "half.txt").touch()
    assert claim(out, SAID) == {}  # the command was killed, and runs again
    assert written_files(out) == ["half.txt"]
    complete(out, SAID, {"tables": 3})
    assert sorted(path.name for path in out.iterdir()) == [SAID, "half.txt"]
    assert claim(out, SAID) == {"tables": 3}
    assert not (out / SAID).exists()  # it does not say to be whole while it is not
    assert claim(out, SAID) == {"tables": 3}  # and what there was before is known still
    complete(out, SAID, {})
    assert read_json(out / SAID) == {}


def test_what_is_anothers_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UsageError, match="holds something else"):
        claim(tmp_path, SAID)
    with pytest.raises(UsageError, match="taken by a file"):
        claim(tmp_path / "mine.txt", SAID)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("whole", [True, False])
def test_files_of_two_layouts_are_not_mixed(tmp_path: Path, whole: bool) -> None:
    out = tmp_path / "out"
    claim(out, SAID, {"layout": "one"})
    if whole:
        complete(out, SAID, {"layout": "one"})
    with pytest.raises(UsageError, match="its layout is one"):
        claim(out, SAID, {"layout": "two"})
    claim(out, SAID, {"layout": "one"})
