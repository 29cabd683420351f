"""What the stage `rerank` says of its rows: how the answers are, and with which weights they count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json

RERANK_AGAIN = "run `augrec rerank CONFIG` again"
Numbers = dict[str, float | None]


@dataclass(frozen=True)
class Weights:
    """How much a judgement counts against the recommender's, over the users who were asked about; None of nobody."""

    mean: float | None
    least: float | None
    most: float | None


@dataclass(frozen=True)
class RerankedRow:
    """A row of one training.

    Attributes:
        row: its name.
        variant: whose lists were judged.
        task, control: what was asked, None for nobody; None for what is claimed.
        b1, b2, chosen_by: the weights and the metric that chose them on validation; None where they were given.
        alpha: the weights that follow for users.
        users, asked: of the test split, and of whom the answers are.
        answers: split -> what is counted of the answers: `questions`, `failed`, `repaired`, the rank correlations
            `like_shown` and `like_list`, `place_variance` and `disagreement`.
        among_asked, unchanged: test metrics of the lists of those who were asked about, after and before.
        grid: b1, b2 and the monitor on validation; folders of earlier versions have none.
    """

    row: str
    variant: str
    task: str | None
    control: str | None
    b1: float | None
    b2: float | None
    chosen_by: str | None
    alpha: Weights
    users: int
    asked: int
    answers: dict[str, Numbers]
    among_asked: Numbers
    unchanged: Numbers
    grid: tuple[tuple[float, float, float | None], ...] = ()


@dataclass(frozen=True)
class Reranking:
    """All rows of a run, and how many items of a list are judged."""

    list_size: int
    rows: tuple[RerankedRow, ...]


_JSON = TypeAdapter(Reranking)


def read_reranking(path: Path) -> Reranking | None:
    """What `rerank/summary.json` holds; None where nothing was re-ranked.

    Raises:
        DataError: the file says something else.
    """
    if not path.exists():
        return None
    try:
        return _JSON.validate_python(read_json(path, remedy=RERANK_AGAIN))
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        raise DataError(
            f"the file does not hold what the stage writes ({key})", where=path, remedy=RERANK_AGAIN
        ) from None
