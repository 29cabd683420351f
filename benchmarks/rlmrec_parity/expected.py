"""What is compared with: released data with their embeddings, and one model's figures under the code's own names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.data.dataset import Dataset
from recsys.data.released.rlmrec import read_rlmrec
from recsys.data.released.unpickle import load

VECTORS = {"user": "usr_emb_np.pkl", "item": "itm_emb_np.pkl"}

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class ReleasedData:
    """A released folder.

    Attributes:
        dataset: the published split.
        side: the vectors of users and items, both called `profile`.
    """

    dataset: Dataset
    side: SideInformation

    @classmethod
    def read(cls, folder: Path) -> ReleasedData:
        """Reads the matrices and the vectors; the texts are not needed."""
        dataset = read_rlmrec(folder).dataset
        rows = {"user": dataset.n_users, "item": dataset.n_items}
        vectors = {about: {"profile": _vectors(folder / name, rows[about])} for about, name in VECTORS.items()}
        return cls(dataset, SideInformation(user=vectors["user"], item=vectors["item"]))


def _vectors(path: Path, rows: int) -> FeatureMatrix:
    array = load(path)
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu" or len(array) != rows:
        raise DataError(f"expected an array of numbers with {rows} rows", where=path, remedy="use one release's files")
    dense = array.astype(np.float32)
    return FeatureMatrix(dense, np.arange(rows), np.ones(rows, dtype=np.bool_))


class Figures:
    """One model's arrays.

    Args:
        model: its name there, e.g. lightgcn_plus.
        arrays: under the code's names.
        shared: those of the whole file.
        path: of the file, for messages.
    """

    def __init__(self, model: str, arrays: Arrays, shared: Arrays, path: Path) -> None:
        self.model, self.arrays, self.shared, self.path = model, arrays, shared, path
        self.hyper: Mapping[str, Any] = _json(self.get("hyper"), "hyper", path)

    def get(self, name: str) -> np.ndarray:
        """An array that must be there."""
        if name not in self.arrays:
            raise DataError(f"the array '{self.model}/{name}' is missing", where=self.path)
        return self.arrays[name]

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """Arrays whose names begin so, without the prefix."""
        return {name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)}

    def setting(self, section: str, name: str) -> Any:
        """A setting that must be there, e.g. of the section `model`."""
        try:
            return self.hyper[section][name]
        except (KeyError, TypeError):
            raise DataError(f"'{self.model}/hyper' has no setting {section}.{name}", where=self.path) from None

    def of_model(self, *names: str) -> Any:
        """The first of these settings of the section `model` that is there."""
        section = self.hyper.get("model")
        present = [name for name in names if isinstance(section, Mapping) and name in section]
        return self.setting("model", present[0] if present else names[0])


class Expected:
    """A file of figures.

    Args:
        arrays: all of them.
        path: for messages.
    """

    def __init__(self, arrays: Arrays, path: Path) -> None:
        self.arrays, self.path = arrays, path
        meta = _json(arrays["meta"], "meta", path) if "meta" in arrays else {}
        self.models: tuple[str, ...] = tuple(meta.get("models", ()))
        if not self.models:
            raise DataError("'meta' names no models", where=path)

    @classmethod
    def read(cls, path: Path) -> Expected:
        """Reads an .npz without pickled objects."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls({name: file[name] for name in file.files}, path)
        except FileNotFoundError:
            raise DataError("the file does not exist", where=path) from None
        except DataError:
            raise
        except Exception as error:  # zip, header and pickle errors alike
            raise DataError(f"the file is not a readable .npz of numbers ({error})", where=path) from None

    def of(self, model: str) -> Figures:
        """One model's."""
        own = {k.removeprefix(f"{model}/"): array for k, array in self.arrays.items() if k.startswith(f"{model}/")}
        shared = {name: array for name, array in self.arrays.items() if name.startswith("graph")}
        return Figures(model, own, shared, self.path)


def _json(array: np.ndarray, name: str, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(str(array))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise DataError(f"'{name}' is no JSON object", where=path)
    return value
