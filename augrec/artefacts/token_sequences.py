"""What a language model is trained on as token ids: a prompt and its answer in one sequence, one a row.

Columns: id (the instruction's), tokens (list of int32), answer (int32, the place of the answer's first token). The loss
is of the tokens from there on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_parquet, write_parquet

SCHEMA = pa.schema([("id", pa.string()), ("tokens", pa.list_(pa.int32())), ("answer", pa.int32())])
REMEDY = "`augrec tune CONFIG --force` writes it again"


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """One instruction.

    Args:
        id: the instruction's.
        tokens: of the prompt and of the answer, with the token that ends it.
        answer: where the answer begins.
    """

    id: str
    tokens: tuple[int, ...]
    answer: int


def write_sequences(path: Path, sequences: Iterable[TokenSequence]) -> None:
    """Writes sequences, atomically."""
    rows = [{"id": each.id, "tokens": each.tokens, "answer": each.answer} for each in sequences]
    write_parquet(path, pa.Table.from_pylist(rows, schema=SCHEMA))


def read_sequences(path: Path) -> Iterator[TokenSequence]:
    """The sequences in their order.

    Raises:
        DataError: the file is missing, damaged or of another schema, or an answer is empty or has no prompt.
    """
    table = read_parquet(path, remedy=REMEDY)
    if table.schema.names != SCHEMA.names:
        raise DataError(f"the columns are not {', '.join(SCHEMA.names)}", where=path, remedy=REMEDY)
    for batch in table.to_batches(max_chunksize=1024):
        for row in batch.to_pylist():
            if not 0 < row["answer"] < len(row["tokens"]):
                raise DataError("a sequence has no prompt or no answer", where=f"{path}, {row['id']}", remedy=REMEDY)
            yield TokenSequence(row["id"], tuple(row["tokens"]), row["answer"])
