"""Texts of items beside clicks: a model that knows items by what is written of them, and one without.

    python examples/own_texts.py

The texts say which shelf a product stands on. `tfidf` stands for an embedding model here, so that nothing has to be
installed; leave it out for the default one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from own_table import clicks

import augrec

SHELVES = ("garden tools", "board games", "running shoes", "kitchen knives")


def main() -> None:
    """Trains a model of texts beside one of interactions."""
    purchases = clicks()
    names = sorted(purchases["sku"].unique())
    products = pd.DataFrame({"sku": names, "title": [f"{SHELVES[int(name[1:]) % 4]} {name}" for name in names]})
    data = augrec.prepare(purchases, user="customer", item="sku", items=products)

    vectors = augrec.embed(data.items["title"].to_pylist(), "tfidf", fewest_texts=2)
    assert vectors.dtype == np.float32
    texts = augrec.train(data, "text_cosine", user="history", item_features={"text": vectors}, name="texts")
    clicked = augrec.train(data, "item_knn")
    (verdict,) = augrec.compare(augrec.evaluate(clicked), augrec.evaluate(texts))
    print(verdict)


if __name__ == "__main__":
    main()
