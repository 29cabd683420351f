"""How much memory a training needs, from its sizes alone, and what is said when it runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.memory import size_in_words
from recsys.graph.sparse_operator import block_count

FLOAT = INDEX = 4  # bytes: float32, and int32 as long as there are fewer than 2^31 edges
SIGNS = ("can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory", "alloc_failed")
Phase = Literal["building the model", "training", "evaluation"]


def graph_bytes(n_users: int, n_items: int, n_edges: int) -> int:
    """The user-item matrix and its transpose in CSR form: a column and a value per entry, a pointer per row.

    A direction that large products cut into blocks of columns is held once more on the CPU.
    """
    total = 0
    for rows, columns in ((n_users, n_items), (n_items, n_users)):
        count = block_count(rows, columns, n_edges)
        blocks = count if count > 1 else 0
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


@dataclass(frozen=True)
class Explanation:
    """What a training needs, in bytes that follow from its options.

    Attributes:
        n_users, n_items, dim: the sizes of the embedding tables on this device; dim is 0 for models without.
        n_edges: training interactions of these users.
        batch_size: triplets per step.
        chunk: users scored at a time.
        candidates: items they are scored against.
    """

    n_users: int = 0
    n_items: int = 0
    dim: int = 0
    n_edges: int = 0
    batch_size: int = 0
    chunk: int = 0
    candidates: int = 0

    def needs(self) -> dict[str, int]:
        """Bytes by what they are for, of a model that propagates; features and wider layers come on top."""
        tables = {}
        if self.dim:
            tables = propagation_bytes(self.n_users, self.n_items, self.n_edges, self.dim)
            tables["the best epoch's copy"] = tables["parameters"]
        batch, scores = 2 * 3 * self.batch_size * self.dim * FLOAT, self.chunk * self.candidates * FLOAT
        return {
            **tables,
            f"a batch (training.batch_size={self.batch_size})": batch,
            f"scores (evaluation.chunk={self.chunk} users x {self.candidates} items)": scores,
        }

    def error(self, phase: Phase, cause: BaseException) -> AugrecError:
        """The error to show."""
        listed = "; ".join(f"{name}: {size_in_words(size)}" for name, size in self.needs().items())
        said = str(cause).strip().splitlines()[0][:200] if str(cause).strip() else type(cause).__name__
        smaller = {
            "building the model": "make the model's dim smaller",
            "training": f"lower training.batch_size (now {self.batch_size}), or the model's dim or number of layers",
            "evaluation": f"lower evaluation.chunk (now {self.chunk})",
        }[phase]
        return AugrecError(
            f"memory ran out in {phase}. This is needed: {listed}",
            where=said,
            remedy=f"{smaller}; run fewer trainings side by side (workers); lightgcn and mf_bpr can be split over "
            "several GPUs (training.shard=true training.processes=N)",
        )


@contextmanager
def explained(phase: Phase, explanation: Explanation) -> Iterator[None]:
    """Turns an allocation that failed inside the block, on a GPU or the CPU, into an `AugrecError` with a remedy."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise explanation.error(phase, error) from error
    except RuntimeError as error:
        if any(sign in str(error).lower() for sign in SIGNS):
            raise explanation.error(phase, error) from error
        raise
