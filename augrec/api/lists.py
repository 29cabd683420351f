"""Top-k lists of a trained model, or of a run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from augrec.api.runs import LoadedRun
from augrec.api.training import TrainedModel
from augrec.artefacts.errors import DataError, UsageError
from augrec.pipeline.recommend.asked import Asked, ask, everybody
from augrec.pipeline.recommend.choice import chosen_training
from augrec.pipeline.recommend.lists import Exclude, recommendation_lists
from augrec.pipeline.recommend.restored import Restored, joined_model
from augrec.pipeline.recommend.run import tables
from augrec.pipeline.stages.saved_run import run_at_home
from recsys.data.dataset import Dataset
from recsys.device import device_named
from recsys.options import EvaluationOptions

Ids: TypeAlias = Sequence[str] | Sequence[int] | np.ndarray | pa.Array | pa.ChunkedArray
"""pandas.Series as well."""
Users: TypeAlias = Ids | Mapping[str, Ids] | Mapping[int, Ids]


def recommend(
    model: TrainedModel | LoadedRun | Path | str,
    users: Users | None = None,
    *,
    k: int = 20,
    variant: str | None = None,
    seed: int | None = None,
    exclude: Exclude | None = None,
) -> pa.Table:
    """The best items of users, best first, by the ids of the data's source.

    Args:
        model: the result of `train`, or a run or its folder.
        users: source ids, as a list, an array or a column; or a mapping from source ids of users to source ids of
            items, oldest first: the history of a new user, or what a known user did since training. Only some
            families can score newcomers, see docs/exchange.md. None stands for all users.
        k: how many items per user.
        variant: the variant of a run; by default the best on validation.
        seed: the training seed; by default the first.
        exclude: "train", "valid" or "test": a user's items up to this split are not recommended; by default as in the
            test evaluation.

    Returns:
        Columns user, rank (1 is the best), item, score and, where items have titles, title.

    Raises:
        UsageError: the family cannot score newcomers, `users` are no ids, or `k` is not a positive integer.
        DataError: a user is unknown or has an empty history, or no training has finished.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise UsageError(f"k is {k!r}, expected a whole number above 0", where="recommend()")
    if isinstance(model, TrainedModel):
        asked = _asked(model.dataset, users)
        chosen = model.seeds[0] if seed is None else seed
        ready = _ready(model, chosen, asked)
        blocks = recommendation_lists(ready, asked.users, k, options=EvaluationOptions(), exclude=exclude)
        return pa.concat_tables(blocks)
    if not isinstance(model, LoadedRun | Path | str):
        raise UsageError(f"model is of type {type(model).__name__}, expected the result of train(), or a run",
                         where="recommend()", remedy="a run is given by its folder")  # fmt: skip
    with run_at_home(model.folder if isinstance(model, LoadedRun) else Path(model)) as run:
        choice = chosen_training(run, variant, seed)
        asked = _asked(Dataset.load(run.files.dataset), users)
        return pa.concat_tables(tables(run, choice, asked, k, exclude))


def _asked(dataset: Dataset, users: Users | None) -> Asked:
    if users is None:
        return everybody(dataset)
    names = _ids([*users] if isinstance(users, Mapping) else users, "users")
    if not len(names):
        raise DataError("no user was asked for", where="users", remedy="name one, or leave `users` out for everybody")
    items = None
    if isinstance(users, Mapping):
        histories = [_ids(history, f"users[{user!r}]") for user, history in users.items()]
        lengths = np.array([len(history) for history in histories])
        if not lengths.all():
            raise DataError(f"the history of {names[lengths == 0][0]!r} is empty", where="users",
                            remedy="leave out who did nothing; a list of ids asks for users of the data")  # fmt: skip
        names, items = np.repeat(names, lengths), np.concatenate(histories)
    asked = ask(names, items, dataset, "users")
    for note in asked.notes:
        warnings.warn(note, stacklevel=3)
    return asked


def _ids(given: Any, where: str) -> np.ndarray:
    """Source ids as `prepare` keeps them, as text: a table may have held them as whole numbers."""
    ids = np.asarray(given, dtype=object)
    if ids.ndim != 1:  # a text, a set, a table
        raise UsageError(f"{where} is of type {type(given).__name__}, expected ids", where="recommend()",
                         remedy="give a list of them, or one column")  # fmt: skip
    return np.array([str(one) if isinstance(one, int | np.integer) else one for one in ids], dtype=object)


def _ready(model: TrainedModel, seed: int, asked: Asked) -> Restored:
    folder = model.of_seed(seed)
    recommender, dataset = joined_model(model.name, folder, model.options, model.dataset, model.side, asked.newcomers)
    device = device_named(model.training.device)
    return Restored(recommender.to(device), dataset, model.options.judged, device)
