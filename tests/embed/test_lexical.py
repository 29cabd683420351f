"""Words as vectors: what is near what, and that the same texts give the same vectors."""

from __future__ import annotations

import math

import numpy as np

from embed.lexical import LexicalEncoder
from embed.options import EmbeddingOptions

TEXTS = ["dragons and a castle", "a castle by the sea", "dragons dragons", "the sea, the sea", "and of the"]


def encoder(**options: int) -> LexicalEncoder:
    return LexicalEncoder(EmbeddingOptions(model="tfidf", **{"fewest_texts": 2, **options}))


def test_vectors_equal_the_formula_in_a_loop() -> None:
    counts = [{"dragons": 1, "castle": 1}, {"castle": 1, "sea": 1}, {"dragons": 2}, {"sea": 2}, {}]
    terms = ["castle", "dragons", "sea"]
    expected = np.zeros((5, 4))
    for row, found in enumerate(counts):
        for place, term in enumerate(terms):
            if term in found:
                rarity = math.log(6 / (1 + sum(term in other for other in counts))) + 1
                expected[row, place] = (1 + math.log(found[term])) * rarity
    expected[4, 3] = 1  # a text of no term is not missing
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = encoder().encode(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_order_of_texts_does_not_matter() -> None:
    order = [3, 0, 4, 2, 1]
    np.testing.assert_array_equal(encoder().encode([TEXTS[row] for row in order]), encoder().encode(TEXTS)[order])


def test_rare_terms_count_where_there_are_no_others_and_the_commonest_are_kept() -> None:
    assert encoder(fewest_texts=5).encode(TEXTS[:4]).shape == (4, 3)
    assert encoder(terms=1).encode(TEXTS).shape == (5, 2)
    assert encoder().encode(["of the", "and"]).tolist() == [[1.0], [1.0]]
    assert encoder().encode([]).shape == (0, 1)


def test_settings_tell_one_choice_from_another() -> None:
    hashes = {encoder(**options).settings["model_sha256"] for options in ({}, {"terms": 5}, {"fewest_texts": 3})}
    assert len(hashes) == 3
    assert encoder().settings == encoder().settings
