"""embed: a local embedding model encodes the generated text and the items' own text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.side import DATA_GROUP
from pipeline.stages.base import Run, Stage


class Embed(Stage):
    """Writes `embed/data/*.npy` from the items' own text and `embed/<source>/*.npy` from each source's records."""

    name = "embed"
    after = ("prepare", "augment")
    code = ("embed",)

    def section(self, run: Run) -> dict[str, Any]:
        from pipeline.weights.resolve import resolve

        options = run.config.embedding
        if options is None:
            return {"embedding": None}
        return {
            "embedding": options.model_dump(mode="json", exclude={"batch_size", "device"}),
            "model": resolve(options.model).sha256,
            "sources": list(run.config.generation.sources) if run.config.generation else [],
        }

    def run(self, run: Run) -> dict[str, Any]:
        from embed.encoder import SentenceEncoder
        from embed.stage import embed_items, embed_source
        from pipeline.weights.resolve import resolve
        from recsys.data.dataset import Dataset

        options = run.config.embedding
        if options is None:
            return {"matrices": 0, "rows": 0}
        model = resolve(options.model)
        dataset = Dataset.load(run.folder / "dataset")
        encoder = SentenceEncoder(options, model.path, model.sha256)
        items = run.folder / "dataset" / "items.parquet"
        written = {DATA_GROUP: embed_items(encoder, items, self.folder(run) / DATA_GROUP)}
        for source in run.config.generation.sources if run.config.generation else ():
            records = run.folder / "augment" / source
            written[source] = embed_source(
                encoder, records, dataset.n_users, dataset.n_items, self.folder(run) / source
            )
        _remove_strangers(self.folder(run), written)
        return {"matrices": len(list(self.folder(run).glob("*/*.npy"))), "model": options.model}

    def outputs(self, run: Run) -> Iterable[Path]:
        return sorted(path for path in self.folder(run).glob("*/*") if path.suffix in (".npy", ".json"))

    def summary(self, details: dict[str, Any]) -> str:
        return f"{details['matrices']} matrices"


def _remove_strangers(folder: Path, written: dict[str, dict[str, Any]]) -> None:
    """Removes matrices of sources and fields that this run no longer writes."""
    for path in folder.glob("*/*"):
        if path.stem not in written.get(path.parent.name, {}):
            path.unlink()
