"""embed: a local embedding model encodes the generated text and the items' own text; given features join them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from artefacts.errors import DataError
from artefacts.files import sha256_file
from embed.options import FeatureFileOptions
from pipeline.side import DATA_GROUP, FEATURES_GROUP
from pipeline.stages.base import Run, Stage


class Embed(Stage):
    """Writes `embed/data/*.npy` from the items' own text, `embed/<source>/*.npy` from each source's records, and
    `embed/features/*.npy` from the files the config names."""

    name = "embed"
    after = ("prepare", "augment")
    code = ("embed",)

    def section(self, run: Run) -> dict[str, Any]:
        from pipeline.weights.resolve import resolve

        options = run.config.embedding
        features = {
            name: {**feature.model_dump(mode="json"), "files": _hashes(feature)}
            for name, feature in run.config.features.items()
        }
        if options is None:
            return {"embedding": None, "features": features}
        return {
            "features": features,
            "embedding": options.model_dump(mode="json", exclude={"batch_size", "device"}),
            "model": resolve(options.model).sha256,
            "sources": list(run.config.generation.sources) if run.config.generation else [],
        }

    def run(self, run: Run) -> dict[str, Any]:
        from embed.encoder import SentenceEncoder
        from embed.given import place_features
        from embed.stage import embed_items, embed_source
        from pipeline.weights.resolve import resolve
        from recsys.data.dataset import Dataset

        dataset = Dataset.load(run.folder / "dataset")
        written = {}
        if run.config.features:
            ids = [str(source_id) for source_id in dataset.items["source_id"].to_pylist()]
            written[FEATURES_GROUP] = {
                name: place_features(name, feature, ids, self.folder(run) / FEATURES_GROUP / name)
                for name, feature in run.config.features.items()
            }
        options = run.config.embedding
        if options is not None:
            model = resolve(options.model)
            encoder = SentenceEncoder(options, model.path, model.sha256)
            items = run.folder / "dataset" / "items.parquet"
            written[DATA_GROUP] = embed_items(encoder, items, self.folder(run) / DATA_GROUP)
            for source in run.config.generation.sources if run.config.generation else ():
                records, out = run.folder / "augment" / source, self.folder(run) / source
                written[source] = embed_source(encoder, records, dataset.n_users, dataset.n_items, out)
        _remove_strangers(self.folder(run), written)
        return {"matrices": sum(map(len, written.values())), "model": options.model if options else None}

    def outputs(self, run: Run) -> Iterable[Path]:
        return sorted(path for path in self.folder(run).glob("*/*") if path.suffix in (".npy", ".json"))

    def summary(self, details: dict[str, Any]) -> str:
        return f"{details['matrices']} matrices"


def _hashes(feature: FeatureFileOptions) -> list[str]:
    try:
        return [sha256_file(path) for path in (feature.path, feature.ids) if path is not None]
    except FileNotFoundError as error:
        where = Path(error.filename)
        raise DataError("the feature file does not exist", where=where, remedy="check features in the config") from None


def _remove_strangers(folder: Path, written: dict[str, dict[str, Any]]) -> None:
    """Removes matrices of sources and fields that this run no longer writes."""
    for path in folder.glob("*/*"):
        if path.stem not in written.get(path.parent.name, {}):
            path.unlink()
