"""Products of two fields' embeddings, summed over all pairs of fields."""

from __future__ import annotations

from torch import Tensor


def sum_of_products(embedded: Tensor) -> Tensor:
    """sum over i < j of v_i * v_j, element by element: [b, fields, dim] to [b, dim], in time that is linear in fields.

    Source: Rendle, "Factorization Machines", ICDM 2010, lemma 3.1; He and Chua, SIGIR 2017, equation 4.
    """
    return (embedded.sum(dim=1).square() - embedded.square().sum(dim=1)) / 2
