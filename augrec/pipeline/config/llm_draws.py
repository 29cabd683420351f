"""`generation.sources.NAME.draws`: a language model is asked several times, and what it wrote each time is trained on.

An answer is one draw of many that the model might have given, and a comparison that rests on one says nothing of the
others. So a source with `draws: 3` becomes three sources that are asked the same prompts with other seeds, `NAME`,
`NAME+draw-2` and `NAME+draw-3`, each with its folder of records, its vectors and its audit; and a variant of it three
variants, each trained with every seed. Stages, executors and clusters know nothing of that. Pages put the variants
together again: a variant's figures are means over draws and seeds, and its intervals and tests are over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augment.options import MOST_DRAWS


def draw_name(name: str, draw: int) -> str:
    """What the source or the variant of a draw is called; the first one keeps its name."""
    return name if draw == 1 else f"{name}+draw-{draw}"


def with_draws(raw: Any) -> Any:
    """A run's sections with a source and variants for every draw; a config that has them already stays as it is.

    Sections that are not as they should be are left to those that check them.

    Args:
        raw: as it was read.
    """
    generation, variants = (raw.get(key) if isinstance(raw, Mapping) else None for key in ("generation", "variants"))
    if not isinstance(generation, Mapping) or not isinstance(variants, Mapping):
        return raw
    sources = generation.get("sources")
    if not isinstance(sources, Mapping):
        return raw
    counts = {name: draws for name, source in sources.items() if (draws := _draws(source)) > 1}
    if not counts:
        return raw
    all_sources, all_variants = dict(sources), dict(variants)
    for name, draws in counts.items():
        for draw in range(2, draws + 1):
            all_sources.setdefault(draw_name(name, draw), {**sources[name], "draws": 1, "draw": draw})
    for name, variant in variants.items():
        if not isinstance(variant, Mapping):
            continue
        source = str(variant.get("source"))
        for draw in range(2, counts.get(source, 1) + 1):
            all_variants.setdefault(draw_name(name, draw), {**variant, "source": draw_name(source, draw)})
    return {**raw, "generation": {**generation, "sources": all_sources}, "variants": all_variants}


def _draws(source: Any) -> int:
    draws = source.get("draws") if isinstance(source, Mapping) else None
    return draws if isinstance(draws, int) and not isinstance(draws, bool) and draws <= MOST_DRAWS else 1
