"""Published vectors brought into a run: aligned by source id, masked where there is none, never encoded again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json, sha256_file, write_json
from augrec.artefacts.matrices import read_field
from augrec.pipeline.audit import audit_run
from augrec.pipeline.config.run_config import Variant, read_config
from augrec.pipeline.exchange.import_llmrec import import_llmrec
from augrec.pipeline.side.side_information import side_information
from augrec.pipeline.stages.base import Run
from embed.records import texts_of_source
from recsys.data.dataset import Dataset
from tests.kit.toy_run import advance

GOLDEN = Path(__file__).parents[3] / "golden" / "llmrec" / "release"
FIELDS = ["country", "director", "language", "title", "user_profile", "year"]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden release, imported. Read only."""
    out = tmp_path_factory.mktemp("release") / "imported"
    import_llmrec(GOLDEN, out)
    return out


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """An import that a test may damage."""
    import_llmrec(GOLDEN, tmp_path / "imported")
    return tmp_path / "imported"


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))

    def make(imported: Path, dataset: Path | None = None, **engine: Any) -> Run:
        replay = {"kind": "replay", "records": str(imported), "vectors": True, **engine}
        config = {
            "name": "published",
            "dataset": {
                "name": "Golden",
                "source": {"format": "augrec", "path": str(dataset or imported / "dataset")},
                "split": {"kind": "given"},
            },
            "candidates": {"model": "popular", "size": 5},
            "generation": {"sources": {"gpt35": {"engine": replay}}, "shards": 1},
            "models": {"popular": {"family": "popularity"}},
            "variants": {"popular": {"model": "popular"}},
            "report": {"baseline": "popular"},
        }
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
        return Run(read_config(tmp_path / "run.yaml", [f"output={tmp_path / 'run'}"]))

    return make


def proceed(run: Run, *stages: str) -> str:
    return advance(run, *(stages or ("prepare", "candidates", "augment", "embed")))


def test_the_published_vectors_themselves_without_an_embedding_model(
    release: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run(release)
    assert run.config.embedding is None
    proceed(run)
    out = run.folder / "embed" / "gpt35"
    assert sorted(path.stem for path in out.glob("*.npy")) == FIELDS
    for field in FIELDS:
        theirs, _ = read_field(release / "embed" / "published" / field)
        ours, about = read_field(out / field)
        np.testing.assert_array_equal(ours, theirs)
        assert about["source_sha256"] == sha256_file(release / "embed" / "published" / f"{field}.npy")
        assert about["model"].startswith("text-embedding-ada-002")
        assert about["replayed"]["was"]["source"].startswith("augmented_")
        assert about["replayed"]["unused"] == 0
        told = texts_of_source(
            run.folder / "augment" / "gpt35", 200, 150, ("edges", "user_profile", "item_attributes")
        ).get(field)
        assert about["replayed"]["without_text"] == (None if told is None else told.texts.count(None))
    audit = audit_run(run.folder)
    assert audit.violations == 0, [check for check in audit.checks if check.violations]
    assert "embedding gpt35/director" in {check.name for check in audit.checks}
    variant = Variant(model="popular", source="gpt35")
    side = side_information(run.folder, variant, Dataset.load(run.folder / "dataset"), 0)
    assert sorted(side.attributes) == sorted(set(FIELDS) - {"user_profile"})
    np.testing.assert_array_equal(side.user["profile"].dense(), read_field(release / "embed/published/user_profile")[0])


def rearranged(imported: Path, out: Path) -> Path:
    """The same data set with items in the reverse order; the last item is unknown to the release."""
    (out / "dataset").mkdir(parents=True)
    folder = imported / "dataset"
    n = pq.read_metadata(folder / "items.parquet").num_rows
    items = pq.read_table(folder / "items.parquet").to_pylist()[::-1]
    for item, row in enumerate(items):
        row["item"] = item
    items[n - 1]["source_id"] = "new"
    schema = pq.read_schema(folder / "items.parquet")
    pq.write_table(pa.Table.from_pylist(items, schema=schema), out / "dataset" / "items.parquet")
    rows = pq.read_table(folder / "interactions.parquet").to_pylist()
    for row in rows:
        row["item"] = n - 1 - row["item"]
    rows.sort(key=lambda row: (row["user"], {"train": 0, "valid": 1, "test": 2}[row["split"]], row["item"]))
    schema = pq.read_schema(folder / "interactions.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), out / "dataset" / "interactions.parquet")
    (out / "dataset" / "users.parquet").write_bytes((folder / "users.parquet").read_bytes())
    write_json(out / "dataset" / "dataset.json", read_json(folder / "dataset.json"))
    return out / "dataset"


def test_other_ids_are_matched_by_source_id_and_strangers_masked(
    release: Path, make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run(release, rearranged(release, tmp_path / "other"))
    proceed(run)
    theirs, _ = read_field(release / "embed" / "published" / "director")
    ours, about = read_field(run.folder / "embed" / "gpt35" / "director")
    ids = [row["source_id"] for row in pq.read_table(run.folder / "dataset" / "items.parquet").to_pylist()]
    stranger = ids.index("new")
    assert about["missing"] == [stranger]
    assert not ours[stranger].any()
    assert about["replayed"]["unused"] == 1
    for row, source_id in enumerate(ids):
        if source_id != "new":
            np.testing.assert_array_equal(ours[row], theirs[int(source_id)])
    assert audit_run(run.folder).violations == 0


def test_missing_vectors_and_failed_records_are_masked(imported: Path, make_run: Callable[..., Run]) -> None:
    stem = imported / "embed" / "published" / "user_profile"
    values, about = read_field(stem)
    values = values.copy()
    values[3] = 0.0
    np.save(stem.with_suffix(".npy"), values)
    write_json(stem.with_suffix(".json"), about | {"missing": [3]})
    path = imported / "augment" / "published" / "user_profile" / "records.parquet"
    table = pq.read_table(path).to_pylist()
    table[5] |= {"status": "failed", "reason": "not_published", "fields": None, "fallback": "masked"}
    pq.write_table(pa.Table.from_pylist(table, schema=pq.read_schema(path)), path)
    run = make_run(imported)
    proceed(run)
    ours, told = read_field(run.folder / "embed" / "gpt35" / "user_profile")
    assert told["missing"] == [3, 5]
    assert not ours[[3, 5]].any()
    assert audit_run(run.folder).violations == 0


def derived(run: Run) -> list[str]:
    """The violations of all checks but that of hashes, which every change by hand breaks."""
    checks = [check for check in audit_run(run.folder).checks if check.name != "files are as their stages wrote them"]
    return [text for check in checks for text in check.violations]


def test_the_audit_finds_a_wrong_copy(release: Path, make_run: Callable[..., Run]) -> None:
    run = make_run(release)
    proceed(run)
    path = run.folder / "embed" / "gpt35" / "director.npy"
    values = np.load(path)
    values[[0, 1]] = values[[1, 0]] + 1
    np.save(path, values)
    assert [text.partition(" is not")[0] for text in derived(run)] == ["row 0", "row 1"]
    about = read_json(path.with_suffix(".json"))
    write_json(path.with_suffix(".json"), about | {"source": str(path.with_name("gone.npy"))})
    assert derived(run) == [], "what is gone cannot be compared"
    records = run.folder / "augment" / "gpt35" / "user_profile" / "records.parquet"
    rows = pq.read_table(records).to_pylist()
    rows[4] |= {"status": "failed", "reason": "held_out_history", "fallback": "masked"}
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(records)), records)
    profile = records.parents[3] / "embed" / "gpt35" / "user_profile.json"
    write_json(profile, read_json(profile) | {"records_sha256": sha256_file(records)})
    found = derived(run)
    assert "row 4 has a vector, and no record that takes part" in found
    table = pq.read_table(records)
    pq.write_table(table.slice(1), records)
    found = derived(run)
    assert "was copied for another version of augment/gpt35/user_profile/records.parquet" in found


def test_the_stage_follows_the_content_of_the_vectors(imported: Path, make_run: Callable[..., Run]) -> None:
    run = make_run(imported)
    proceed(run)
    assert "skipped, unchanged" in proceed(run, "embed")
    path = imported / "embed" / "published" / "director.npy"
    values = np.load(path)
    values[0, 0] += 1
    np.save(path, values)
    assert any("copied from another version" in text for c in audit_run(run.folder).checks for text in c.violations)
    assert "skipped, unchanged" in proceed(run, "augment"), "the text is the same"
    assert "vectors.gpt35.published/director.npy" in proceed(run, "embed")
    np.testing.assert_array_equal(np.load(run.folder / "embed" / "gpt35" / "director.npy"), values)


@pytest.mark.parametrize("match", ["source_id", "position"])
def test_faults_name_the_file(imported: Path, make_run: Callable[..., Run], match: str) -> None:
    run = make_run(imported, match=match)
    proceed(run, "prepare", "candidates", "augment")
    stem = imported / "embed" / "published" / "director"
    values, about = read_field(stem)
    values = values.copy()
    np.save(stem.with_suffix(".npy"), values[:, :3])
    with pytest.raises(DataError, match="its JSON says"):
        proceed(run, "embed")
    np.save(stem.with_suffix(".npy"), values[:7])
    write_json(stem.with_suffix(".json"), about | {"rows": 7})
    with pytest.raises(DataError, match="7 rows do not reach row 149"):
        proceed(run, "embed")
    values[2, 2] = np.nan
    np.save(stem.with_suffix(".npy"), values)
    write_json(stem.with_suffix(".json"), about)
    with pytest.raises(DataError, match=r"row 2 .* holds NaN"):
        proceed(run, "embed")
    (imported / "embed" / "published" / "user_profile.npy").unlink()
    with pytest.raises(UsageError, match="without vectors for user_profile"):
        proceed(run, "embed")


def test_a_variant_trains_on_them(release: Path, make_run: Callable[..., Run], tmp_path: Path) -> None:
    make_run(release)
    config = yaml.safe_load((tmp_path / "run.yaml").read_text())
    image = {"path": str(release / "embed/features/image.npy"), "ids": str(release / "item_ids.txt")}
    config |= {
        "features": {"image": image},
        "models": {**config["models"], "llmrec": {"family": "llmrec", "dim": 8}},
        "training": {"epochs": 1, "batch_size": 256, "device": "cpu", "threads": 1},
        "seeds": [1],
        "workers": 1,
    }
    config["variants"]["llmrec"] = {"model": "llmrec", "source": "gpt35"}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    run = Run(read_config(tmp_path / "run.yaml", [f"output={tmp_path / 'run'}"]))
    proceed(run, "prepare", "candidates", "augment", "embed", "train")
    assert (run.folder / "train" / "llmrec" / "seed-1" / "metrics.json").exists()


def test_only_the_tasks_asked_for(release: Path, make_run: Callable[..., Run], tmp_path: Path) -> None:
    make_run(release)
    overrides = [f"output={tmp_path / 'run'}", "generation.sources.gpt35.tasks=[user_profile]"]
    run = Run(read_config(tmp_path / "run.yaml", overrides))
    proceed(run)
    assert [path.stem for path in (run.folder / "embed" / "gpt35").glob("*.npy")] == ["user_profile"]


def test_text_without_vectors_still_needs_a_model(release: Path, make_run: Callable[..., Run]) -> None:
    with pytest.raises(UsageError, match="embedding: missing"):
        make_run(release, vectors=False)
