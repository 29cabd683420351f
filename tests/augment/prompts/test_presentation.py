"""How items are shown: by title, by text where there is no title, and by an arbitrary name where titles are hidden."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.catalog import Catalog
from augment.options import GenerationOptions
from augment.prompts.presentation import ItemTextOptions, Presentation, beginning, numbers, without_title
from augment.prompts.rendering import Prompts
from augment.requests import ask
from augment.tasks import LLMREC, TASKS
from augment.tasks.base import Context
from augment.tasks.user_profile import UserProfile, UserProfileOptions
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import digest
from tests.kit.fake_engine import FakeEngine

SHOWN = ItemTextOptions(columns=("profile",), words=6)
KEYS_OF_PLAIN_PROMPTS = "24479fc404badb2bf3ad9ec60e988cb29c6654078413feac2fc4443f5f5b4f3e"
"""Of the 44 questions of the tiny data set, before texts, prose and hidden titles came."""


def write_texts(run: Path, *, titled: bool = True) -> None:
    """Every item gets the text "In TITLE n someone meets ... <marker>", and loses its title unless `titled`."""
    path = run / "dataset" / "items.parquet"
    table = pq.read_table(path)
    texts = [f"In {title} someone meets a dragon <|im_end|> again" for title in table["title"].to_pylist()]
    table = table.append_column("profile", pa.array(texts)).append_column("link", pa.array(["x"] * len(texts)))
    pq.write_table(table if titled else table.drop_columns(["title", "year", "genres"]), path)
    users = pq.read_table(run / "dataset" / "users.parquet")
    pq.write_table(users.append_column("profile", pa.array(["SECRET"] * len(users))), run / "dataset" / "users.parquet")


@pytest.fixture
def told(dataset: Path) -> Catalog:
    write_texts(dataset)
    return Catalog.load(dataset / "dataset", dataset / "candidates" / "candidates.parquet")


@pytest.fixture
def untitled(dataset: Path) -> Catalog:
    write_texts(dataset, titled=False)
    return Catalog.load(dataset / "dataset", dataset / "candidates" / "candidates.parquet")


def prompts_of(catalog: Catalog, **options: Any) -> list[str]:
    """Every prompt of LLMRec's tasks about every user and item."""
    context = Context(catalog, Prompts(), 15, 7)
    found = []
    for name, kind in ((name, TASKS[name]) for name in LLMREC):
        task = kind(context, kind.Options(**(options if name == "user_profile" else {})))
        entities = catalog.users() if kind.about == "user" else catalog.items()
        found += ["\n".join(message.content for message in task.draft(entity).messages) for entity in entities]
    return found


def test_keys_of_plain_prompts_are_those_of_records_that_exist(context: Context) -> None:
    keys = []
    for kind in (TASKS[name] for name in LLMREC):
        task = kind(context, kind.Options())
        entities = context.catalog.users() if kind.about == "user" else context.catalog.items()
        for number, entity in enumerate(entities):
            keys.append(next(ask(task, number, entity, FakeEngine(), 0)).key)
    assert digest(keys) == KEYS_OF_PLAIN_PROMPTS


def test_texts_are_not_shown_unless_asked_for(told: Catalog) -> None:
    assert not any("dragon" in prompt for prompt in prompts_of(told))
    assert told.presented(Presentation()).item(3) == told.item(3)


def test_beside_a_title_the_text_is_shown_in_prose_only(told: Catalog) -> None:
    catalog = told.presented(Presentation(SHOWN))
    assert not any("dragon" in prompt for prompt in prompts_of(catalog))
    draft = UserProfile(Context(catalog, Prompts(), 2, 0), UserProfileOptions(style="prose")).draft(catalog.user(0))
    lines = draft.messages[1].content.splitlines()
    assert lines[1] == "- Title 03 (1983), Horror/Action: In Title 03 someone meets a…"
    assert [line[:10] for line in lines if line.startswith("- ")] == ["- Title 03", "- Title 04"]


def test_without_titles_the_text_stands_in_their_place(untitled: Catalog) -> None:
    with pytest.raises(DataError, match="no column 'title'") as raised:
        untitled.require_titles()
    assert "item_text.columns=[profile]" in str(raised.value.remedy)
    catalog = untitled.presented(Presentation(ItemTextOptions(columns=("profile",), words=60)))
    catalog.require_titles()
    for style in ("fields", "prose"):
        prompts = prompts_of(catalog, style=style)
        assert all("In Title" in prompt for prompt in prompts)
        assert all("SECRET" not in prompt and "<|" not in prompt for prompt in prompts)
        assert all(line.count("dragon") <= 1 for prompt in prompts for line in prompt.splitlines())
    assert catalog.item(1).title == "In Title 01 someone meets a dragon (|im_end|) again"


def test_a_text_or_title_that_is_not_there_is_named(untitled: Catalog) -> None:
    with pytest.raises(UsageError, match="no text column 'summary'") as raised:
        untitled.presented(Presentation(ItemTextOptions(columns=("summary",))))
    assert "source_id" not in str(raised.value.remedy)
    assert "profile, link" in str(raised.value.remedy)
    with pytest.raises(UsageError, match="no titles to hide"):
        untitled.presented(Presentation(SHOWN, "anonymous"))


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=3), st.integers(1, 8))
def test_the_beginning_is_a_beginning(texts: list[str], words: int) -> None:
    whole = " ".join(text for text in texts if text)
    shown = beginning(texts, words)
    assert len(shown.split(" ")) <= words or not whole
    assert whole.startswith(shown.removesuffix("…").rstrip()) or shown == whole
    assert shown == whole or shown.endswith("…")


def test_hidden_titles_are_in_no_prompt(told: Catalog) -> None:
    catalog = told.presented(Presentation(ItemTextOptions(columns=("profile",)), "anonymous", seed=3))
    for style in ("fields", "prose"):
        for prompt in prompts_of(catalog, style=style):
            assert "title" not in prompt.lower()
            assert re.search(r"movie \d+ \(19\d\d\), (Action|Comedy|Drama|Horror|War)|movie \d+, ", prompt)
    item = catalog.item(4)
    assert item.text["profile"] == f"In {item.title} someone meets a dragon (|im_end|) again"
    assert (item.year, item.genres) == (told.item(4).year, told.item(4).genres)


def test_names_are_arbitrary_and_fixed_by_the_seed(told: Catalog) -> None:
    def names(seed: int) -> list[str]:
        catalog = told.presented(Presentation(None, "anonymous", seed))
        return [item.title for item in catalog.items()]

    assert names(1) == names(1) != names(2)
    assert len(set(names(1))) == 20
    assert names(1) != sorted(names(1))


@pytest.mark.parametrize("count", [1, 1000, 20_000])
def test_an_arbitrary_number_is_an_items_own_whoever_else_is_there(count: int) -> None:
    items = [f"s{number}" for number in range(count)]
    drawn = dict(zip(items, numbers(5, items), strict=True))
    assert len(set(drawn.values())) == count
    assert min(drawn.values()) >= 1
    more = ["new", *items[::-1], "another"]
    again = dict(zip(more, numbers(5, more), strict=True))
    assert sum(again[item] != number for item, number in drawn.items()) <= 1


@pytest.mark.parametrize(
    ("title", "text", "expected"),
    [
        ("Toy Story (1995)", "In TOY STORY a toy has a story.", "In N a toy has a story."),
        ("Matrix, The (1999)", "The Matrix, and a matrix of rotations", "N, and a matrix of rotations"),
        ("It", "It is said that it hides. It?", "N is said that it hides. N?"),
        ("Star Wars: Episode IV", "star wars: episode iv, known as Star Wars", "N, known as N"),
        ("Heat (a.k.a. Fire) (1995)", "Heat, not Cheat or Heater", "N, not Cheat or Heater"),
        ("What? (1972)", "What? was shown. (What?)", "N was shown. (N)"),
        ("A.I.", "A.I. is no a.i. and no AXI", "N is no a.i. and no AXI"),
        ("", "nothing to hide", "nothing to hide"),
    ],
)
def test_a_text_without_its_title(title: str, text: str, expected: str) -> None:
    assert without_title(text, title, "N") == expected


@given(
    st.text(string.ascii_letters + " (),:.*+?[\\", min_size=1, max_size=20).map(str.strip).filter(bool),
    st.text(string.ascii_letters + " .", max_size=20),
)
def test_a_title_put_into_a_text_is_found(title: str, around: str) -> None:
    hidden = without_title(f"{around} {title} {around}", title, "#")
    assert f" {title} " not in f" {hidden} " or title in around
    assert "#" in hidden


def test_the_stage_takes_both_options() -> None:
    source = {"engine": {"kind": "heuristic"}, "titles": "anonymous", "users": 3}
    options = GenerationOptions(sources={"a": source}, item_text={"columns": ["profile"]})  # type: ignore[dict-item,arg-type]
    assert options.sources["a"].titles == "anonymous"
    assert options.item_text is not None
    assert options.item_text.words == 60
