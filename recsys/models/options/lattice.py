"""Options of LATTICE."""

from __future__ import annotations

from typing import Literal

from recsys.models.options.item_graph import ItemGraphOptions


class LatticeOptions(ItemGraphOptions):
    """LATTICE: latent item graphs from each modality, mixed into one that smooths item embeddings."""

    family: Literal["lattice"] = "lattice"
    normalise: Literal["each", "mixed"] = "each"
    """Learned graphs are normalised before they are mixed (the paper), or their mixture is (the published code)."""
