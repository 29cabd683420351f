from __future__ import annotations

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from recsys.augmentation import FeatureMatrix, SideInformation
from recsys.models.options.base import ModalityOptions
from recsys.models.parts.modalities import modalities_of


def features(rows: int = 4, missing: tuple[int, ...] = ()) -> FeatureMatrix:
    return FeatureMatrix.from_dense(np.arange(rows * 2.0).reshape(rows, 2) + 1, missing)


def test_all_modalities_or_those_named_in_their_order() -> None:
    side = SideInformation(item={"text": features(), "image": features(), "audio": features()})
    assert list(modalities_of("vbpr", side, ModalityOptions())) == ["text", "image", "audio"]
    assert list(modalities_of("vbpr", side, ModalityOptions(modalities=("image", "text")))) == ["image", "text"]


def test_a_dot_in_a_name_is_not_left_to_torch() -> None:
    side = SideInformation(item={"image.v2": features()})
    assert list(modalities_of("vbpr", side, ModalityOptions(modalities=("image.v2",)))) == ["image/v2"]


def test_a_missing_modality_is_named_with_what_there_is_and_the_remedy() -> None:
    side = SideInformation(item={"text": features(), "images": features()})
    with pytest.raises(DataError) as caught:
        modalities_of("mmgcn", side, ModalityOptions(modalities=("text", "image")))
    message = str(caught.value)
    for part in ("mmgcn", "'image'", "the data have: text, images", "did you mean 'images'?", "modalities"):
        assert part in message


def test_no_modality_at_all() -> None:
    with pytest.raises(DataError, match="'grcn' needs item features"):
        modalities_of("grcn", SideInformation(), ModalityOptions())


def test_modalities_that_differ_in_rows_or_hold_nothing() -> None:
    with pytest.raises(DataError, match="text 4, image 5"):
        modalities_of("grcn", SideInformation(item={"text": features(), "image": features(5)}), ModalityOptions())
    with pytest.raises(DataError, match="no item has a vector"):
        modalities_of("grcn", SideInformation(item={"text": features(2, (0, 1))}), ModalityOptions())
