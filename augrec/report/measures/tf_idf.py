"""Texts as TF-IDF vectors, where no embedding is at hand."""

from __future__ import annotations

from typing import Any

import scipy.sparse as sp

FEW = 100
"""Of more texts, a word of one alone says nothing of how near two are."""
MOST = 0.5
"""A word of more than this share of the texts says nothing either: most are labels of fields."""


def tf_idf(profiles: list[str], items: list[str]) -> tuple[sp.csr_array, sp.csr_array]:
    """Rows of profiles and of items in one space: terms of the items' texts, idf over the items."""
    vectorizer = _vectorizer(len(items))
    theirs = vectorizer.fit_transform(items)
    return sp.csr_array(vectorizer.transform(profiles)), sp.csr_array(theirs)


def tf_idf_rows(texts: list[str]) -> sp.csr_array:
    """A row for each text in terms that tell texts apart, of zeros where it has none; float64 [n, terms]."""
    try:
        return sp.csr_array(_vectorizer(len(texts), max_df=MOST).fit_transform(texts))
    except ValueError:  # there is no such term
        return sp.csr_array((len(texts), 1))


def _vectorizer(texts: int, **options: float) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(stop_words="english", min_df=2 if texts > FEW else 1, **options)
