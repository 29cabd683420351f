from __future__ import annotations

import torch

from recsys.models.parts.inner_products import inner_products


def test_inner_products_are_the_same_looked_up_and_with_the_whole_table() -> None:
    rows, table, ids = torch.randn(4, 3), torch.randn(50, 3), torch.randint(9, (4, 6))
    expected = torch.tensor([[float(rows[b] @ table[i]) for i in ids[b]] for b in range(4)])
    torch.testing.assert_close(inner_products(rows, table, ids), expected)
    torch.testing.assert_close(inner_products(rows, table[:9], ids), expected)
