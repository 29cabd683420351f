"""Products of two fields' embeddings, of all pairs of fields, or summed over them."""

from __future__ import annotations

import torch
from torch import Tensor


def products(embedded: Tensor) -> Tensor:
    """v_i * v_j for i < j, element by element: [b, fields, dim] to [b, pairs of fields, dim].

    Slices, whose gradients are sums over slices: those of look-ups by index are several times slower.
    """
    fields = embedded.shape[1]
    parts = [embedded[:, field : field + 1] * embedded[:, field + 1 :] for field in range(fields - 1)]
    return torch.cat(parts, dim=1) if parts else embedded[:, :0]


def sum_of_products(embedded: Tensor) -> Tensor:
    """sum over i < j of v_i * v_j, element by element: [b, fields, dim] to [b, dim], in time that is linear in fields.

    Source: Rendle, "Factorization Machines", ICDM 2010, lemma 3.1; He and Chua, SIGIR 2017, equation 4.
    """
    return (embedded.sum(dim=1).square() - embedded.square().sum(dim=1)) / 2
