"""What items are about, without a language model: the terms with the highest mean TF-IDF over them.

An item's document is its title, genres and the text columns that prompts show, whole, unless a task says otherwise.
scikit-learn weighs the terms: tf * (ln((1 + n) / (1 + df)) + 1), each document to unit length. Terms that are in one
document only name that item, and those in more than half of them name none; both are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from augment.catalog import Catalog

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

USERS_AT_ONCE = 4096
TERM = r"(?u)\b[^\W\d_](?:[^\W\d_]|-)+[^\W\d_]\b"
"""Three letters or more, hyphens inside."""
STEMS_OF_CONTRACTIONS = {"aren", "couldn", "didn", "doesn", "don", "hasn", "haven", "isn", "wasn", "weren", "wouldn"}
DECIMALS = 10
"""Scores are rounded so that equal ones stay equal whatever the order of the sum; ties go by the alphabet."""


class MeanTerms:
    """The terms of every user, or item, computed for all of them when the first is asked for.

    Args:
        catalog: the items.
        entities: how many users or items there are.
        shown: the items of an entity that count: those that a prompt would show.
        most: most terms of an entity.
        documents: the text of every item; None for what prompts with a history show.
    """

    def __init__(
        self,
        catalog: Catalog,
        entities: int,
        shown: Callable[[int], Sequence[int] | np.ndarray],
        most: int,
        documents: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        self._catalog, self._entities, self._shown, self._most = catalog, entities, shown, most
        self._documents = documents or catalog.documents

    def of(self, entity: int) -> list[str]:
        """The terms of a user or item, best first; none where no item has a text."""
        return [self._names[term] for term in self._best[entity] if term >= 0]

    @cached_property
    def _weights(self) -> tuple[Sequence[str], sp.csr_matrix]:
        """The vocabulary in order of the alphabet, and items x terms."""
        documents = list(self._documents())
        for fewest in (2, 1):
            try:
                vectorizer = self._vectorizer(fewest)
                matrix = vectorizer.fit_transform(documents)
            except ValueError:  # no term is left
                continue
            return vectorizer.get_feature_names_out().tolist(), sp.csr_matrix(matrix)
        return [], sp.csr_matrix((len(documents), 0))

    def _vectorizer(self, fewest: int) -> TfidfVectorizer:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

        domain = self._catalog.domain
        names = {word for name in (domain.one, domain.many) for word in name.split()}
        left_out = sorted(ENGLISH_STOP_WORDS | STEMS_OF_CONTRACTIONS | names)
        most = 0.5 if fewest > 1 else 1.0
        return TfidfVectorizer(token_pattern=TERM, stop_words=left_out, min_df=fewest, max_df=most, dtype=np.float64)

    @property
    def _names(self) -> Sequence[str]:
        return self._weights[0]

    @cached_property
    def _best(self) -> np.ndarray:
        """Entities x terms, int32: places in the vocabulary, best first, then -1."""
        best = np.full((self._entities, self._most), -1, dtype=np.int32)
        for first in range(0, len(best), USERS_AT_ONCE):
            rows = best[first : first + USERS_AT_ONCE]
            means = (self._means(range(first, first + len(rows))) @ self._weights[1]).tocsr()
            row = np.repeat(np.arange(len(rows)), np.diff(means.indptr))
            order = np.lexsort((means.indices, -np.round(means.data, DECIMALS), row))
            place = np.arange(len(order)) - means.indptr[row]
            kept = place < self._most
            rows[row[kept], place[kept]] = means.indices[order][kept]
        return best

    def _means(self, entities: range) -> sp.csr_matrix:
        """Entities x items: one over the number of items shown where an item is among them."""
        shown = [self._shown(entity) for entity in entities]
        lengths = np.array([len(items) for items in shown])
        values = np.repeat(1.0 / np.maximum(lengths, 1), lengths)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        items = np.concatenate([np.asarray(items, np.int64) for items in (*shown, ())])
        return sp.csr_matrix((values, items, starts), shape=(len(entities), self._catalog.n_items))


class HistoryTerms(MeanTerms):
    """The terms of every user's latest training items.

    Args:
        catalog: items and histories, as they are shown.
        max_history: how many of a user's latest training items count: those that a prompt would show.
        most: most terms of a user.
    """

    def __init__(self, catalog: Catalog, max_history: int, most: int) -> None:
        super().__init__(catalog, catalog.n_users, lambda user: catalog.train_items(user)[-max_history:], most)
