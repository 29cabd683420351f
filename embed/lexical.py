"""Words weighed by their rarity, for where the same rare word is what two texts share: no model, no GPU.

Source: TF-IDF as in Salton and Buckley, "Term-Weighting Approaches in Automatic Text Retrieval", 1988, as scikit-learn
computes it with the logarithm of counts: (1 + ln tf) (ln((1 + n) / (1 + df)) + 1), each text to length 1.
A matrix has a column for each term of its own texts, so vectors of two matrices are not comparable. Nearly all of it is
zeros; models that multiply by it may take it as sparse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from augrec.artefacts.files import digest
from augrec.artefacts.versions import minor_versions
from embed.options import EmbeddingOptions

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from augrec.artefacts.progress import Ticker

RULE = 1
"""Raised when vectors of the same texts change."""


class LexicalEncoder:
    """TF-IDF of the texts that it is given together; the same texts give the same vectors in any order.

    Args:
        options: `fewest_texts` and `terms` count.
    """

    pooling = "tf-idf"
    block = None

    def __init__(self, options: EmbeddingOptions) -> None:
        self._fewest_texts, self._terms = options.fewest_texts, options.terms

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the vectors apart from the texts; the hash is of this, as there are no weights."""
        decided = {
            "rule": RULE,
            "fewest_texts": self._fewest_texts,
            "terms": self._terms,
            "versions": minor_versions(("scikit-learn",)),
        }
        return {"model": "tfidf", "model_sha256": digest(decided), **decided}

    @property
    def dim(self) -> int:
        """Length of a vector where there is no text."""
        return 1

    def encode(self, texts: Sequence[str], ticker: Ticker | None = None) -> np.ndarray:
        """float32 [n, terms]. A last column marks the texts without any term, where there are such."""
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        matrix = self._weighed(texts)
        empty = np.diff(matrix.indptr) == 0
        values = np.zeros((len(texts), matrix.shape[1] + bool(empty.any())), dtype=np.float32)
        values[:, : matrix.shape[1]] = matrix.toarray()
        values[empty, -1] = 1.0
        if ticker is not None:
            ticker.advance(len(texts))
        return values

    def _weighed(self, texts: Sequence[str]) -> csr_matrix:
        """Terms in order of the alphabet; those of few texts count where there are no others."""
        from scipy.sparse import csr_matrix
        from sklearn.feature_extraction.text import TfidfVectorizer

        for fewest in (self._fewest_texts, 1):
            vectorizer = TfidfVectorizer(
                stop_words="english", sublinear_tf=True, min_df=fewest, max_features=self._terms, dtype=np.float32
            )
            try:
                return csr_matrix(vectorizer.fit_transform(texts))
            except ValueError:  # no term is left
                continue
        return csr_matrix((len(texts), 0), dtype=np.float32)

    def cut(self, texts: Sequence[str]) -> int:
        """None: texts of any length are read whole."""
        return 0
