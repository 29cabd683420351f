"""How much memory propagating models need, from their sizes alone. No torch here."""

from __future__ import annotations

FLOAT = INDEX = 4  # bytes: float32, and int32 as long as there are fewer than 2^31 edges
BLOCK = 2**15  # columns of a block, as in `sparse_operator`


def graph_bytes(n_users: int, n_items: int, n_edges: int) -> int:
    """The user-item matrix and its transpose in CSR form: a column and a value per entry, a pointer per row.

    A direction of more than 32,768 columns is held once more on the CPU, in blocks of so many columns.
    """
    total = 0
    for rows, columns in ((n_users, n_items), (n_items, n_users)):
        blocks = -(-columns // BLOCK) if columns > BLOCK else 0
        total += (n_edges * (INDEX + FLOAT)) * (2 if blocks else 1) + (rows + 1) * INDEX * (1 + blocks)
    return total


def propagation_bytes(n_users: int, n_items: int, n_edges: int, dim: int) -> dict[str, int]:
    """Bytes that a training of LightGCN holds at its peak, by what they are for; their sum is what to plan for.

    With N = (n_users + n_items) * dim * 4 bytes, one table of embeddings: the parameters are N, Adam's two moments 2 N,
    and a step has at its peak 4 N: the gradient of the final embeddings, Horner's scheme on it (its running sum and the
    next one), and the final embeddings or the gradient of the penalty. No layer is stored, so their number does not
    count. The batch, the interpreter and torch itself come on top.
    """
    table = (n_users + n_items) * dim * FLOAT
    return {
        "graph": graph_bytes(n_users, n_items, n_edges),
        "parameters": table,
        "Adam's moments": 2 * table,
        "gradients and propagation": 4 * table,
    }
