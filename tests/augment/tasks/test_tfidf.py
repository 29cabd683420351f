"""A history's terms by TF-IDF, against the formula in plain loops."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from augment.catalog import Catalog
from augment.engines.heuristic import HeuristicOptions
from augment.options import GenerationOptions
from augment.prompts.domains import domain_named
from augment.prompts.presentation import ItemTextOptions, Presentation
from augment.runner import run_source
from augment.tasks.tfidf import HistoryTerms
from augrec.artefacts.interactions import UserItems

WORDS = ["dragon", "castle", "knight", "murder", "detective", "baking", "romance", "sea", "ship", "war", "spy", "farm"]


def small_world(seed: int = 0, n_users: int = 25, n_items: int = 40) -> Catalog:
    """Items whose text is a few words; users with none to nine of them."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(0, 8))) for _ in range(n_items)]
    texts[3] = "wholly unique words"
    items = pa.table({"item": range(n_items), "profile": texts})
    lengths = rng.integers(0, 10, n_users)
    drawn = [rng.choice(n_items, size=length, replace=False) for length in lengths]
    history = UserItems(np.concatenate([[0], np.cumsum(lengths)]), np.concatenate(drawn).astype(np.int64))
    return Catalog(items, history, None, domain_named("books"), ()).presented(
        Presentation(ItemTextOptions(columns=("profile",)))
    )


def by_hand(catalog: Catalog, user: int, max_history: int, most: int) -> list[str]:
    """The same in loops: counts, smoothed idf, unit length, mean over the history, ties by the alphabet."""
    bags = [Counter(re.findall(r"[a-z]{3,}", document)) for document in catalog.documents()]
    df = Counter(word for bag in bags for word in bag)
    known = {word for word, count in df.items() if 2 <= count <= len(bags) / 2}
    totals: Counter[str] = Counter()
    shown = catalog.train_items(user)[-max_history:]
    for item in shown:
        weights = {
            word: count * (math.log((1 + len(bags)) / (1 + df[word])) + 1)
            for word, count in bags[item].items()
            if word in known
        }
        norm = math.sqrt(sum(weight**2 for weight in weights.values()))
        for word, weight in weights.items():
            totals[word] += weight / norm / len(shown)
    return sorted(totals, key=lambda word: (-round(totals[word], 10), word))[:most]


@pytest.mark.parametrize(("max_history", "most"), [(5, 4), (20, 50), (1, 1)])
def test_the_terms_are_those_of_the_formula(max_history: int, most: int) -> None:
    catalog = small_world()
    terms = HistoryTerms(catalog, max_history, most)
    found = [terms.of(user) for user in range(catalog.n_users)]
    assert found == [by_hand(catalog, user, max_history, most) for user in range(catalog.n_users)]
    assert any(found)
    assert not any("unique" in terms for terms in found)


def test_users_are_computed_in_parts_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = small_world()
    whole = [HistoryTerms(catalog, 5, 6).of(user) for user in range(catalog.n_users)]
    monkeypatch.setattr("augment.tasks.tfidf.USERS_AT_ONCE", 7)
    parts = HistoryTerms(catalog, 5, 6)
    assert [parts.of(user) for user in range(catalog.n_users)] == whole


def test_without_texts_there_are_no_terms() -> None:
    history = UserItems(np.array([0, 2]), np.array([3, 5]))
    empty = Catalog(pa.table({"item": range(40), "title": [""] * 40}), history, None, domain_named("books"), ())
    assert HistoryTerms(empty, 5, 6).of(0) == []


def test_titles_count_only_while_they_are_shown(catalog: Catalog) -> None:
    assert all("Title" in document for document in catalog.documents())
    hidden = catalog.presented(Presentation(None, "anonymous"))
    assert not any("Title" in document or "movie" in document for document in hidden.documents())


def source(style: str = "fields", **engine: object) -> GenerationOptions:
    given = {"engine": {"kind": "heuristic", **engine}, "tasks": ["user_profile"]}
    return GenerationOptions.model_validate({"sources": {"rule": given}, "tasks": {"user_profile": {"style": style}}})


def ended(catalog: Catalog, options: GenerationOptions, folder: Path) -> dict:
    return run_source(catalog, "rule", options.sources["rule"], options, folder=folder, seed=0)


def test_as_a_source_it_writes_profiles_of_terms(tmp_path: Path, records: object) -> None:
    catalog = small_world()
    options = source(rule="tfidf", terms=3).model_copy(update={"item_text": ItemTextOptions(columns=("profile",))})
    summary = ended(catalog, options, tmp_path / "out")
    rows = records("out")["user_profile"]  # type: ignore[operator]
    described = {"engine": "heuristic", "rules": 1, "rule": "tfidf", "terms": 3, "model": None, "llm": False}
    assert summary["engine"] == described
    for row in rows:
        expected = by_hand(catalog, row["entity"], 15, 3)
        assert (row["status"] == "ok") == bool(expected)
        if expected:
            assert row["fields"] == '{"profile":"' + ", ".join(expected) + '"}'
        else:
            assert row["reason"].partition(":")[0] in ("no_history", "placeholder")
    assert {row["status"] for row in rows} == {"ok", "failed"}


def test_prose_by_the_ordinary_rule_is_the_same(catalog: Catalog, tmp_path: Path, records: object) -> None:
    ended(catalog, source(rule="tfidf"), tmp_path / "tfidf")
    ended(catalog, source(style="prose"), tmp_path / "prose")
    tfidf, rule = (
        [row["fields"] for row in records(name)["user_profile"]]  # type: ignore[operator]
        for name in ("tfidf", "prose")
    )
    assert tfidf == rule
    assert all("drama" in fields for fields in tfidf)


def test_what_the_rule_is_told_is_part_of_its_identity() -> None:
    from augment.engines.heuristic import HeuristicEngine

    assert HeuristicEngine().identity == {"engine": "heuristic", "rules": 1}
    others = [HeuristicEngine(HeuristicOptions(terms=5)), HeuristicEngine(HeuristicOptions(rule="tfidf"))]
    assert len({str(engine.identity) for engine in others}) == 2
