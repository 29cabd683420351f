"""The trained model that recommends, on its run's data or on data that newcomers have joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.matrices import read_field
from augrec.pipeline.side.side_information import DATA_GROUP, OWN_TEXT
from augrec.pipeline.stages.base import Run
from augrec.pipeline.stages.embed import encoder_of
from augrec.pipeline.training.variant_training import Training, side_of
from embed.records import OWN_COLUMNS
from embed.texts import item_text
from recsys.augmentation import SideInformation
from recsys.data.dataset import Dataset
from recsys.data.newcomers import Newcomers
from recsys.device import device_named
from recsys.models.base import Recommender
from recsys.models.options.base import FamilyOptions, ModalityOptions
from recsys.options import Judged
from recsys.training.restore import restore


@dataclass(frozen=True, eq=False)
class Restored:
    """A model that is ready to score.

    Attributes:
        model: on its device.
        dataset: what it scores on.
        judged: what of it is judged.
        device: where its users lie.
    """

    model: Recommender
    dataset: Dataset
    judged: Judged
    device: torch.device


def restored(run: Run, training: Training, dataset: Dataset, newcomers: Newcomers) -> Restored:
    """The model of a finished training.

    Args:
        run: at its home.
        training: that has finished.
        dataset: the run's.
        newcomers: who and what is new; only some models can score them without another training.

    Raises:
        UsageError: the model cannot score the newcomers.
        DataError: the training kept no model.
    """
    config, side = training.config, side_of(training, dataset)
    options = config.models[config.variants[training.variant].model]
    embedded = partial(_with_vectors, run, training, options, side, dataset)
    model, dataset = joined_model(training.variant, training.out, options, dataset, side, newcomers, embedded=embedded)
    device = device_named(config.training.device)
    return Restored(model.to(device), dataset, options.judged, device)


def joined_model(
    name: str,
    folder: Path,
    options: FamilyOptions,
    dataset: Dataset,
    side: SideInformation,
    newcomers: Newcomers,
    *,
    embedded: Callable[[Newcomers], Newcomers] | None = None,
) -> tuple[Recommender, Dataset]:
    """A trained model on its data with the newcomers in them, and these data.

    Args:
        name: the model's, for messages.
        folder: of the training.
        options, dataset, side: what it was trained with.
        newcomers: only some models can score them without another training.
        embedded: gives new items their vectors.

    Raises:
        UsageError: the model cannot score the newcomers.
        DataError: the training kept no model.
    """
    model = restore(folder, dataset, options, side)
    new = _kinds(newcomers)
    if not new:
        return model, dataset
    _require_inductive(model, options, new, name)
    if embedded is not None and "item" in new:
        newcomers = embedded(newcomers)
    joined = newcomers.join(dataset)
    return restore(folder, joined, options, newcomers.side(side)), joined


def _kinds(newcomers: Newcomers) -> set[str]:
    """ "user" where a user is new or has done something since, "item" where an item is new."""
    users, items = len(newcomers.users) or len(newcomers.pairs), newcomers.items.num_rows
    return {kind for kind, there in (("user", users), ("item", items)) if there}


def _require_inductive(model: Recommender, options: FamilyOptions, new: set[str], variant: str) -> None:
    lacking = new - model.inductive
    if not lacking:
        return
    whom = "items" if "item" in lacking else "users, or interactions that came after training"
    how = {
        "user": "item-kNN, RP3beta, EASE and its relatives, models of sequences, text_cosine with `user: history`",
        "item": "alpharec and text_cosine, by the vectors of their texts",
    }
    raise UsageError(
        f"{variant}, of the family {options.family}, knows no new {whom}: it has learned something of each one that it "
        "scores",
        where="variant",
        remedy=f"take a model of another family ({how[max(lacking)]}), or run the config on data that hold them",
    )


def _with_vectors(
    run: Run,
    training: Training,
    options: FamilyOptions,
    side: SideInformation,
    dataset: Dataset,
    newcomers: Newcomers,
) -> Newcomers:
    """The newcomers with the vectors of new items' own texts, by the model that embedded those of the run."""
    embedding = run.config.embedding
    _require_embeddable(run, training.variant, options, side)
    encoder = encoder_of(run)
    assert encoder is not None
    assert embedding is not None
    about = read_field(run.files.matrix(DATA_GROUP, OWN_TEXT))[1]
    if about.get("model_sha256") != encoder.settings["model_sha256"]:
        raise DataError(
            "the embedding model is another one than that of the run's vectors",
            where=embedding.model,
            remedy="get back the model that the run was made with, or run the stages `embed` and `train` again",
        )
    columns = [name for name in embedding.columns or OWN_COLUMNS if name in dataset.items.column_names]
    vectors = encoder.encode(_texts_of_new(newcomers, columns))
    return replace(newcomers, vectors={OWN_TEXT: (vectors, np.ones(len(vectors), dtype=np.bool_))})


def _require_embeddable(run: Run, variant: str, options: FamilyOptions, side: SideInformation) -> None:
    """Raises UsageError where new items' own texts would become no vectors like those that the model was trained on."""
    embedding = run.config.embedding
    if OWN_TEXT not in _read(options, side):
        read = ", ".join(_read(options, side)) or "none"
        raise UsageError(
            f"{variant} reads the item features {read}, and of new items only their own text becomes a vector",
            where="--new-items",
            remedy=f"name a variant whose model reads the modality {OWN_TEXT}",
        )
    if embedding is None or embedding.lexical or OWN_TEXT in run.config.features:
        raise UsageError(
            f"the vectors that {variant} ({options.family}) reads were made from the run's texts together (tfidf) or "
            "brought along (features), so that there are none of new texts",
            where="--new-items",
            remedy="set embedding.model to a sentence-transformers model and run the config again",
        )
    if run.config.evaluation.protocol == "llama4rec":
        raise UsageError(
            "by evaluation.protocol: llama4rec items without training interactions are nobody's candidates",
            where="--new-items",
            remedy="run the config with another protocol",
        )


def _texts_of_new(newcomers: Newcomers, columns: list[str]) -> list[str]:
    """What the columns say of each new item.

    Raises:
        DataError: they say nothing of one.
    """
    rows = newcomers.items.select([name for name in columns if name in newcomers.items.column_names]).to_pylist()
    texts = [item_text({name: row.get(name) for name in columns}) for row in rows]
    silent = [place for place, text in enumerate(texts) if text is None]
    if silent:
        raise DataError(
            f"item {newcomers.items['source_id'][silent[0]].as_py()!r} has no text ({len(silent)} of {len(texts)} have "
            "none)",
            where="--new-items",
            remedy=f"fill in one of {', '.join(columns)}",
        )
    return [text or "" for text in texts]


def _read(options: FamilyOptions, side: SideInformation) -> list[str]:
    """The item modalities that a model, or what it is made of, reads."""
    parts = [name for part in options.components.values() for name in _read(part, side)]
    own = options.modalities or tuple(side.item) if isinstance(options, ModalityOptions) else ()
    return [*dict.fromkeys([*parts, *own])]


def scores_by_rating(restored: Restored, users: torch.Tensor, at_once: int = 1 << 16) -> torch.Tensor:
    """Predicted ratings of every item, float32 [b, n_items], of a model that rates pairs; `at_once` in memory."""
    items = torch.arange(restored.dataset.n_items, device=users.device)
    pairs = torch.cartesian_prod(users, items)
    with torch.no_grad():
        rated = torch.cat([restored.model.rate(part).float() for part in pairs.split(at_once)])
    return rated.view(len(users), -1)
