"""The prompt shows other lines of the catalogue and never the one that is asked for; hidden names are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from augment.answers.answer import Malformed
from augment.catalog import Catalog
from augment.prompts.presentation import Presentation
from augment.prompts.rendering import Prompts
from augment.tasks.base import Context
from augment.tasks.catalogue_entry import CatalogueEntry, CatalogueEntryOptions
from augrec.artefacts.errors import UsageError
from tests.kit.prepared_data import write_prepared


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    write_prepared(tmp_path / "run", domain="movies")
    return Catalog.load(tmp_path / "run" / "dataset")


def task(catalog: Catalog) -> CatalogueEntry:
    options = CatalogueEntryOptions(catalogue="Toy-20", lines=3)
    return CatalogueEntry(Context(catalog, Prompts(), 15, 7), options)


def test_no_prompt_shows_the_entry_that_it_asks_for(catalog: Catalog) -> None:
    asking, numbers = task(catalog), catalog.source_ids("item")
    for place in range(catalog.n_items):
        item = catalog.item(place)
        text = asking.draft(item).messages[1].content
        assert text.startswith("Toy-20 lists its movies by number.")
        assert f"has the number {numbers[place]}?" in text
        assert item.title not in text
        assert sum(f"\n{number}: Title" in text for number in numbers) == 3


def test_answers_are_title_year_and_genres_of_the_data(catalog: Catalog) -> None:
    draft = task(catalog).draft(catalog.item(3))
    genre = catalog.genres[0]
    said = {"title": "Star Wars: Episode IV", "year": "1977", "genres": [genre]}
    assert draft.answer.parse(json.dumps(said)) == said
    for wrong in ({"year": "77"}, {"genres": ["Unheard of"]}, {"title": 'a "quoted" one'}):
        with pytest.raises(Malformed):
            draft.answer.parse(json.dumps(said | wrong))
    before = catalog.item(2)
    assert draft.control.rule() == {
        "title": before.title,
        "year": str(before.year),
        "genres": list(before.genres),
    }, "a rule says the line before again"


def test_a_source_that_hides_titles_cannot_be_asked(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match="hides the names"):
        task(catalog.presented(Presentation(titles="anonymous")))
