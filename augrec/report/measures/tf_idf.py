"""Texts as TF-IDF vectors, where no embedding is at hand."""

from __future__ import annotations

import scipy.sparse as sp


def tf_idf(profiles: list[str], items: list[str]) -> tuple[sp.csr_array, sp.csr_array]:
    """Rows of profiles and of items in one space: terms of the items' texts, idf over the items."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(stop_words="english", min_df=2 if len(items) > 100 else 1)
    theirs = vectorizer.fit_transform(items)
    return sp.csr_array(vectorizer.transform(profiles)), sp.csr_array(theirs)
