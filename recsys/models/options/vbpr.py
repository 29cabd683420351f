"""Options of VBPR."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveInt

from recsys.models.options.base import EdgeAugmentation, FamilyOptions, ModalityOptions, SideAugmentation


class VbprOptions(FamilyOptions, ModalityOptions, EdgeAugmentation, SideAugmentation):
    """VBPR: matrix factorisation with a second set of factors that come from item features."""

    family: Literal["vbpr"] = "vbpr"
    dim: PositiveInt = 64
    """Length of the factors of IDs (K)."""
    feature_dim: PositiveInt = 64
    """Length of the factors of features (K')."""
    item_bias: bool = True
    """A bias per item (beta_i)."""
    feature_bias: bool = True
    """A bias that is linear in an item's features (beta' f_i), so that items without interactions have one too."""
    l2: NonNegativeFloat = 1e-4
    """Weight of the penalty on the batch's factors and item biases."""
    feature_l2: NonNegativeFloat = 0.0
    """Weight of the penalty on the projection and the feature bias, half the sum of their squares. None, as these few
    parameters usually go without; with few interactions and long vectors a little (1e-3) avoids overfitting."""
    preprocess: Literal["none", "centre"] = "none"
    """`centre` subtracts each feature's mean over the items that have one. Where all have one, no ranking changes; else
    items without vectors stand at the mean instead of apart."""
