"""From a table of clicks to recommendations: two models over seeds, judged and compared.

    python examples/own_table.py

The clicks are generated: each of 60 customers buys mostly of one shelf.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import augrec


def clicks(customers: int = 60, products: int = 40, each: int = 12) -> pd.DataFrame:
    """A row per purchase, the oldest first."""
    rng = np.random.default_rng(0)
    rows = []
    for customer in range(customers):
        liked = np.where(np.arange(products) % 4 == customer % 4, 8.0, 1.0)
        for day, product in enumerate(rng.choice(products, each, replace=False, p=liked / liked.sum())):
            rows.append((f"c{customer}", f"p{product}", f"2024-01-{day + 1:02d}"))
    return pd.DataFrame(rows, columns=["customer", "sku", "day"])


def main() -> None:
    """Prepares, trains, judges, compares, recommends."""
    data = augrec.prepare(clicks(), user="customer", item="sku", timestamp="day", split="temporal", k_core=3)
    print(f"{data.n_users} customers, {data.n_items} products, {len(data.train)} purchases to learn from")

    models = [
        augrec.train(data, "popularity"),
        augrec.train(data, "ease", l2=10.0),
        augrec.train(data, "lightgcn", dim=16, layers=2, seeds=3, training={"epochs": 10, "lr": 0.05}),
    ]
    baseline, *others = [augrec.evaluate(model) for model in models]
    for verdict in augrec.compare(baseline, *others, metric="ndcg@10"):
        print(verdict)

    print(augrec.recommend(models[1], ["c0", "c1"], k=3).to_pandas().to_string(index=False))
    print(augrec.recommend(models[1], {"somebody new": ["p0", "p4"]}, k=3).to_pandas().to_string(index=False))


if __name__ == "__main__":
    main()
