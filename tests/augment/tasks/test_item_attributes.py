"""Which facts are asked about an item, with which worked examples, and which answers say that nothing is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from augment.answers.answer import Malformed
from augment.catalog import Catalog
from augment.messages import Draft
from augment.prompts.domains import DOMAINS, PAGES
from augment.prompts.rendering import Prompts
from augment.tasks.base import Context
from augment.tasks.item_attributes import ItemAttributes, ItemAttributesOptions
from augrec.artefacts.errors import UsageError
from tests.kit.prepared_data import write_prepared


def task_of(folder: Path, domain: str, **options: Any) -> ItemAttributes:
    write_prepared(folder / "run", domain=domain)
    context = Context(Catalog.load(folder / "run" / "dataset"), Prompts(), 15, 7)
    return ItemAttributes(context, ItemAttributesOptions(**options))


def asked(folder: Path, domain: str, **options: Any) -> tuple[ItemAttributes, Draft]:
    task = task_of(folder, domain, **options)
    return task, task.draft(Catalog.load(folder / "run" / "dataset").item(3))


def test_without_options_the_question_is_llmrec_s(tmp_path: Path) -> None:
    _, question = asked(tmp_path, "movies")
    assert question.messages[1].content.startswith("Who is the director of a movie, and from which country")
    assert list(question.answer.schema["properties"]) == ["director", "country", "language"]


@pytest.mark.parametrize(
    ("domain", "fields"), [("movies", ("director", "star")), ("books", ("genre", "pages")), ("games", ("country",))]
)
def test_the_facts_that_are_named_are_asked_for(tmp_path: Path, domain: str, fields: tuple[str, ...]) -> None:
    _, question = asked(tmp_path, domain, fields=fields)
    assert list(question.answer.schema["properties"]) == list(fields)
    text = question.messages[1].content
    genres = "" if "genre" in fields else ", Horror/Action"
    assert text.endswith("\n" + f"{domain[:-1].capitalize()}: Title 03 (1983){genres}")
    assert all(name in text for name in fields)
    assert "unknown" in text


@pytest.mark.parametrize(("domain", "fields"), [("movies", ("director", "star")), ("books", ("genre", "pages"))])
def test_three_worked_examples_stand_before_the_item_and_one_is_not_known(
    tmp_path: Path, domain: str, fields: tuple[str, ...]
) -> None:
    task, question = asked(tmp_path, domain, fields=fields, examples=3)
    answers = [line for line in question.messages[1].content.split("\n") if line.startswith("{")]
    assert len(answers) == 3
    for answer in answers:
        said = question.answer.parse(json.dumps(json.loads(answer), separators=(",", ":"), ensure_ascii=False))
        assert tuple(said) == fields, "an example is an answer that the grammar allows"
    assert json.loads(answers[-1]) == dict.fromkeys(fields, "unknown")
    assert not any("unknown" in answer for answer in answers[:-1])
    beginning = question.messages[1].content.rpartition("\n\n")[0]
    other = task.draft(Catalog.load(tmp_path / "run" / "dataset").item(4))
    assert other.messages[1].content.startswith(beginning), "all items share it"


def test_every_example_has_every_fact_of_its_domain() -> None:
    for domain in DOMAINS.values():
        for example in domain.examples:
            assert set(example.known) == set(domain.known_facts)


def test_a_movie_s_genre_is_one_of_the_data_s_own_which_the_question_does_not_show(tmp_path: Path) -> None:
    _, question = asked(tmp_path, "movies", fields=("genre",), examples=3)
    catalog = Catalog.load(tmp_path / "run" / "dataset")
    assert catalog.item(3).genres == ("Horror", "Action")
    for genre in (*catalog.genres, "unknown"):
        assert question.answer.parse(json.dumps({"genre": genre})) == {"genre": genre}
    with pytest.raises(Malformed):
        question.answer.parse('{"genre":"Space opera"}')
    text = question.messages[1].content
    assert text.endswith("Title 03 (1983)")
    assert f"({', '.join(catalog.genres)})" in text
    assert not any("/" in line for line in text.split("\n")), "worked examples show none either"


def test_the_length_of_a_book_is_one_of_the_ranges(tmp_path: Path) -> None:
    _, question = asked(tmp_path, "books", fields=("pages",))
    for pages in (*PAGES, "unknown"):
        assert question.answer.parse(json.dumps({"pages": pages})) == {"pages": pages}
    with pytest.raises(Malformed):
        question.answer.parse('{"pages":"312"}')


def test_placeholders_and_titles_in_place_of_names_are_unknown(tmp_path: Path) -> None:
    task, question = asked(tmp_path, "movies", fields=("director", "star", "country"))
    checked = task.check({"director": "Title 03", "star": "None", "country": "Title 03"}, question)
    assert checked.fields == {"director": "unknown", "star": "unknown", "country": "Title 03"}
    assert checked.repairs == ("star: placeholder 'None'", "director: echoes the title")


@pytest.mark.parametrize(
    ("domain", "options", "complaint"),
    [
        ("movies", {"fields": ("pages",)}, r"the 'pages' of a movie(.|\n)*director, country, language, star"),
        ("games", {"examples": 2}, r"no worked examples of games(.|\n)*set it to 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path: Path, domain: str, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        task_of(tmp_path, domain, **options)


def test_a_field_is_named_once() -> None:
    with pytest.raises(ValueError, match="named twice"):
        ItemAttributesOptions(fields=("star", "star"))
