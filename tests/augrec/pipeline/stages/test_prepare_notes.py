"""What a person should know of the data is said when it is prepared, and kept beside it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from augment.catalog import Catalog
from augment.prompts.presentation import ItemTextOptions, Presentation
from augrec.artefacts.errors import UsageError
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.chain import run_one
from augrec.pipeline.stages.base import Run

CONFIG: dict[str, Any] = {
    "name": "shop",
    "dataset": {
        "name": "Shop",
        "source": {"format": "table", "path": "data", "table": {"interactions": "clicks.csv", "items": "items.csv"}},
        "split": {"kind": "random"},
    },
    "candidates": {"size": 5, "model": "pop"},
    "generation": {"sources": {"rules": {"engine": {"kind": "heuristic"}}}},
    "embedding": {"model": "nothing"},
    "models": {"pop": {"family": "popularity"}},
    "variants": {"pop": {"model": "pop"}},
    "report": {"baseline": "pop"},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty users who clicked on six of twelve items; two items have no title, one of these no text, one no row."""
    (tmp_path / "data").mkdir()
    clicks = [f"u{user}, i{(user + n) % 12}" for user in range(30) for n in range(6)]
    (tmp_path / "data" / "clicks.csv").write_text("\n".join(["user_id,item_id", *clicks]))
    titles = ["" if item in (3, 4) else f"Title &amp; {item}" for item in range(11)]
    items = [f"i{item},{title},{'' if item == 4 else 'Some text'}" for item, title in enumerate(titles)]
    (tmp_path / "data" / "items.csv").write_text("\n".join(["item_id,title,description", *items]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(folder: Path, force: bool = False, **generation: Any) -> str:
    """What the console shows."""
    config = CONFIG | {"generation": CONFIG["generation"] | generation}
    (folder / "shop.yaml").write_text(yaml.safe_dump(config))
    shown = io.StringIO()
    run_one(Run(read_config(folder / "shop.yaml")), "prepare", force=force, console=Console(file=shown, width=60))
    return shown.getvalue()


def test_each_thing_is_one_line_on_the_console_and_stored(folder: Path) -> None:
    expected = [
        "clicks.csv: 180 of 180 values of item_id had blanks around them: removed",
        "1 of 12 items have no row in items.csv, e.g. 'i11'",
        "items: HTML tags and entities removed from title (9)",
        "3 of 12 items have no title",
    ]
    told = ["11 of 12 items were found in items.csv", "of 12 items some lack: description (2)"]
    assert {*expected, *told} <= {line.strip() for line in prepare(folder).splitlines()}
    stored = json.loads((folder / "runs" / "shop" / "dataset" / "dataset.json").read_text())
    assert stored["notes"] == expected
    assert stored["missing"] == {"items": {"title": 3, "description": 2}, "users": {}}


def test_two_files_of_one_name_count_both(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a file without a header may be named with its folder."""
    for name, file in (("log", "clicks.csv"), ("about", "items.csv")):
        (folder / "data" / name).mkdir()
        (folder / "data" / file).rename(folder / "data" / name / "data.csv")
    log = folder / "data" / "log" / "data.csv"
    log.write_text(log.read_text().partition("\n")[2])
    table = {
        "interactions": "log/data.csv",
        "items": "about/data.csv",
        "columns": {"log/data.csv": ["user_id", "item_id"]},
    }
    monkeypatch.setitem(CONFIG["dataset"]["source"], "table", table)
    assert "30 users, 12 items" in " ".join(prepare(folder).split())
    log.write_text(log.read_text().replace("u29,", "u28,"))
    assert "29 users, 12 items" in " ".join(prepare(folder).split())


def test_guessed_words_of_prompts_are_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "prompts speak of" not in prepare(folder)
    monkeypatch.setitem(CONFIG["dataset"], "domain", "wines")
    assert "prompts speak of a wine, of wines that somebody liked, and of its maker" in prepare(folder)


def test_text_that_prompts_will_lack_is_said(folder: Path) -> None:
    assert (
        "prompts can only say 'untitled' of 3 items: no title; generation.item_text could show description"
        in prepare(folder)
    )
    shown = prepare(folder, force=True, item_text={"columns": ["description"]})
    assert "prompts can only say 'untitled' of 2 items: no title and no description" in shown
    assert "2 of 12 items have no description, which item_text promises" in shown
    assert "item_text is shown in place of missing titles only: 9 of 12 items have one" in shown
    prose = prepare(
        folder, force=True, item_text={"columns": ["description"]}, tasks={"user_profile": {"style": "prose"}}
    )
    assert "in place of missing titles only" not in prose


def test_a_text_column_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)no text column 'summary'.*they have: description"):
        prepare(folder, item_text={"columns": ["summary"]})


def test_titles_cannot_write_to_the_terminal(folder: Path) -> None:
    path = folder / "data" / "clicks.csv"
    path.write_text(path.read_text() + "\nu1,\x1b[31mred\nu2,\x1b[31mred")
    shown = prepare(folder)
    assert "no row in items.csv" in shown
    assert "\x1b" not in shown


def test_an_item_without_a_title_is_shown_by_the_text_that_was_promised(folder: Path) -> None:
    promised = {"columns": ["description"]}
    prepare(folder, item_text=promised)
    catalog = Catalog.load(folder / "runs" / "shop" / "dataset").presented(Presentation(ItemTextOptions(**promised)))
    titles = dict(zip(catalog.source_ids("item"), (item.title for item in catalog.items()), strict=True))
    assert titles["i3"] == "Some text"
    assert titles["i5"] == "Title & 5"
    assert "unknown" not in titles.values()
