"""embed: a local embedding model encodes the generated text and the items' own text; given vectors join them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError
from augrec.artefacts.files import digest, sha256_file, write_json
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.host.attempts import Attempts
from augrec.pipeline.stages.base import Piece, Resources, Run, Stage, Worker
from augrec.pipeline.stages.selection import ByGroup, CommandOption

if TYPE_CHECKING:
    from embed.matrices import Encoder
    from embed.options import EmbeddingOptions, FeatureFileOptions
    from embed.replayed import VectorSource


class Embed(Stage):
    """Writes `embed/data/*.npy` from the items' own text, `embed/<source>/*.npy` from each source's records (or from
    the vectors that came with them), and `embed/features/*.npy` from the files the config names."""

    name = "embed"
    help = "Encode the generated text and the items' own text."
    after = ("prepare", "augment")
    pieces_name = "groups of matrices"
    selection = ByGroup(
        CommandOption("--group", "NAME", "Only these matrices: a source, data, or features."), "group of matrices"
    )
    resources = Resources(array="embed-groups", merge=())

    def section(self, run: Run) -> dict[str, Any]:
        """See `Stage.section`; the embedding model, features and replayed vectors count by their files' hashes."""
        from augrec.pipeline.weights.resolve import resolve

        options = run.config.embedding
        features = {
            name: {**feature.model_dump(mode="json", exclude={"path", "ids"}), "files": _hashes(feature)}
            for name, feature in run.config.features.items()
        }
        vectors = {
            name: {key: sha256_file(path) for key, path in _vectors(run, name).files().items()}
            for name, source in (run.config.generation.asked if run.config.generation else {}).items()
            if source.brings_vectors
        }
        copied = {"vectors": vectors} if vectors else {}
        if options is None:
            return {"embedding": None, "features": features, **copied}
        return {
            **copied,
            "features": features,
            "embedding": options.model_dump(mode="json", exclude={"batch_size", "device", "model"}),
            "model": None if options.lexical else resolve(options.model).sha256,
            "sources": list(run.config.generation.asked) if run.config.generation else [],
        }

    def pieces(self, run: Run, *, known: bool = True) -> list[Piece]:
        """See `Stage.pieces`: the matrices of the items' own texts, the given ones, and those of each source."""
        fingerprint = digest(self.identity(run)) if known else None
        return [
            Piece(self.name, group, 0, group, Attempts(run.files.group_attempts(group), fingerprint))
            for group in embed_groups(run)
        ]

    @contextmanager
    def worker(self, run: Run, group: str) -> Iterator[Worker]:
        """See `Stage.worker`: the embedding model, loaded with the first text that has to be encoded."""
        yield _Encoding(self, run, encoder_of(run))

    def processes(self, run: Run, wanted: int | None) -> int:
        """See `Stage.processes`; none."""
        return 0  # several models would share one device

    def finish(self, run: Run) -> dict[str, Any]:
        """See `Stage.finish`: encodes each group whose texts or model have changed."""
        encoder = encoder_of(run)
        written = {group: self.write_group(run, group, encoder) for group in embed_groups(run)}
        write_json(run.files.embed_summary, {"groups": {group: list(fields) for group, fields in written.items()}})
        options = run.config.embedding
        return {"matrices": sum(map(len, written.values())), "model": options.model if options else None}

    def write_group(self, run: Run, group: str, encoder: Encoder | None) -> dict[str, Any]:
        """Writes the matrices of one folder, unless they are there; field -> content of its JSON file."""
        from augrec.pipeline.side.side_information import DATA_GROUP, FEATURES_GROUP
        from embed.given import place_features
        from embed.replayed import copy_vectors
        from embed.stage import embed_items, embed_source
        from recsys.data.dataset import Dataset

        dataset, out = Dataset.load(run.files.dataset, test=False), run.files.group(group)
        if group == FEATURES_GROUP:
            ids = [str(source_id) for source_id in dataset.items["source_id"].to_pylist()]
            return {
                name: place_features(name, feature, ids, out / name) for name, feature in run.config.features.items()
            }
        source = run.config.generation.sources.get(group) if run.config.generation else None
        if source is not None and source.brings_vectors:
            records = run.files.source(group).root
            return copy_vectors(_vectors(run, group), source.tasks, run.files.dataset, records, out)
        assert encoder is not None
        if group == DATA_GROUP:
            assert run.config.embedding is not None
            return embed_items(encoder, run.files.items, out, run.config.embedding.columns)
        assert source is not None
        records = run.files.source(group).root
        return embed_source(encoder, records, dataset.n_users, dataset.n_items, out, source.tasks)

    def parts(self, run: Run) -> list[Path]:
        """See `Stage.parts`: a folder for each group of matrices."""
        return [run.files.group(group) for group in embed_groups(run)]

    def outputs(self, run: Run) -> Iterable[Path]:
        """See `Stage.outputs`: every matrix, and the file beside it that describes it."""
        from augrec.artefacts.named import named_matrices

        matrices = named_matrices(run.folder)
        return sorted([*matrices, *(path.with_suffix(".json") for path in matrices)])

    def summary(self, details: dict[str, Any]) -> str:
        """See `Stage.summary`."""
        return counted(details["matrices"], "matrix", "matrices")


class _Encoding(Worker):
    """Writes one group of matrices after the other."""

    def __init__(self, stage: Embed, run: Run, encoder: Encoder | None) -> None:
        self._stage, self._run, self._encoder = stage, run, encoder

    def do(self, piece: Piece) -> int:
        return len(self._stage.write_group(self._run, piece.group, self._encoder))


def embed_groups(run: Run) -> list[str]:
    """The folders of matrices that this run writes."""
    from augrec.pipeline.side.side_information import DATA_GROUP, FEATURES_GROUP

    groups = [FEATURES_GROUP] if run.config.features else []
    sources = run.config.generation.asked if run.config.generation else {}
    if run.config.embedding is not None:
        return [*groups, DATA_GROUP, *sources]
    return groups + [name for name, source in sources.items() if source.brings_vectors]


def encoder_of(run: Run) -> Encoder | None:
    """The embedding model of a run; None where the config names none."""
    return None if run.config.embedding is None else encoder_for(run.config.embedding)


def encoder_for(options: EmbeddingOptions) -> Encoder:
    """The embedding model of some options, loaded when a text has to be encoded."""
    from augrec.pipeline.weights.resolve import resolve
    from augrec.pipeline.weights.staging import staged
    from embed.encoder import SentenceEncoder
    from embed.lexical import LexicalEncoder

    if options.lexical:
        return LexicalEncoder(options)
    model = resolve(options.model)
    return SentenceEncoder(options, staged(model.path, model.sha256), model.sha256)


def _vectors(run: Run, name: str) -> VectorSource:
    """Where a replayed source's vectors lie: beside its records."""
    from augment.options import SourceOptions
    from augment.replay.replay import records_folder
    from augment.replay.translation import dataset_folder
    from embed.replayed import VectorSource

    assert run.config.generation is not None
    source: SourceOptions = run.config.generation.sources[name]
    options: Any = source.engine
    records = records_folder(options.records)
    folder = RunFolder(records.resolve().parents[1]).group(records.resolve().name)
    return VectorSource(folder, dataset_folder(options, records) if options.match == "source_id" else None)


def _hashes(feature: FeatureFileOptions) -> list[str]:
    try:
        return [sha256_file(path) for path in (feature.path, feature.ids) if path is not None]
    except FileNotFoundError as error:
        where = Path(error.filename)
        raise DataError("the feature file does not exist", where=where, remedy="check features in the config") from None
