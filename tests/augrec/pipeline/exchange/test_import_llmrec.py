"""LLMRec's layout becomes artefacts; every fault planted in the golden release is found, and nothing else is."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from augment.catalog import Catalog
from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.matrices import read_field
from augrec.pipeline.audit.interactions import audit_candidates, audit_dataset, read_split
from augrec.pipeline.exchange.import_llmrec import import_llmrec
from embed.records import texts_of_source
from recsys.data.dataset import Dataset

GOLDEN = Path(__file__).parents[3] / "golden" / "llmrec" / "release"
ATTRIBUTES = ("year", "title", "director", "country", "language")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("imported") / "out"
    import_llmrec(GOLDEN, out)
    return out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The golden release, to be changed."""
    return shutil.copytree(GOLDEN, tmp_path / "release")


def unpickled(name: str, folder: Path = GOLDEN) -> Any:
    return pickle.loads((folder / name).read_bytes())


def put(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_bytes(pickle.dumps(value))


def records(out: Path, task: str) -> list[dict[str, Any]]:
    return pq.read_table(out / "augment" / "published" / task / "records.parquet").to_pylist()


def said(out: Path, kind: str = "faults") -> dict[tuple[str, str], int]:
    return {
        (entry["file"], entry["what"].partition(";")[0]): entry["count"]
        for entry in read_json(out / "import.json")[kind]
    }


def test_exactly_the_planted_faults_are_reported(imported: Path) -> None:
    assert said(imported) == {
        ("augmented_sample_dict", "triplets out of range"): 1,
        ("item_attribute_filter.csv", "items have no year"): 3,
        ("augmented_user_profiling_dict", "user keys are quoted text"): 5,
        ("augmented_attribute_dict", "rows hold the words director, country, language in place of values"): 3,
        ("augmented_attribute_dict", "rows echo the title as director"): 1,
        ("augmented_attribute_dict", "rows are shifted by one column"): 1,
    }


def test_the_data_set_is_whole(imported: Path) -> None:
    dataset = Dataset.load(imported / "dataset")
    given = {int(user): sorted(items) for user, items in json.loads((GOLDEN / "train.json").read_text()).items()}
    found: dict[int, list[int]] = {user: [] for user in given}
    for user, item in dataset.train.tolist():
        found[user].append(item)
    assert found == given
    assert dataset.items["original_id"].to_pylist()[:2] == ["36", "119"]
    assert dataset.items["title"].to_pylist()[0] == "Fjord Summer"
    assert dataset.items["year"].null_count == 3
    split = read_split(imported / "dataset")
    checks = [
        *audit_dataset(imported / "dataset", split),
        *audit_candidates(imported / "candidates" / "candidates.parquet", split),
    ]
    assert [check for check in checks if check.violations] == []


def test_candidates_keep_their_order(imported: Path) -> None:
    catalog = Catalog.load(imported / "dataset", imported / "candidates" / "candidates.parquet")
    shown = unpickled("candidate_indices").numpy()
    known = set(map(tuple, Dataset.load(imported / "dataset").train.tolist()))
    for user in range(200):
        expected = [item for item in shown[user].tolist() if (user, item) not in known]
        assert [item.item for item in catalog.user(user).candidates] == expected


def test_edges(imported: Path) -> None:
    given = unpickled("augmented_sample_dict")
    found = records(imported, "edges")
    assert [row["entity"] for row in found] == list(range(200))
    failed = [row for row in found if row["status"] == "failed"]
    assert [(row["entity"], row["reason"], row["fallback"], row["text"]) for row in failed] == [
        (3, "out_of_range: item 155 of 150", "masked", "155::0")
    ]
    pairs = {row["entity"]: json.loads(row["fields"]) for row in found if row["status"] == "ok"}
    assert pairs == {user: {"positive": p[0], "negative": p[1]} for user, p in given.items() if user != 3}
    assert {row["finish_reason"] for row in found} == {"published"}
    assert found[7]["shown_candidates"] == unpickled("candidate_indices")[7].tolist()


def test_profiles_are_embedded_as_they_were_written(imported: Path) -> None:
    given = {int(str(user).strip("'")): text for user, text in unpickled("augmented_user_profiling_dict").items()}
    found = {row["entity"]: row["text"] for row in records(imported, "user_profile")}
    assert found == given
    texts = texts_of_source(imported / "augment" / "published", 200, 150, ["user_profile"])
    assert [text.removesuffix(".") for text in texts["user_profile"].texts if text] == [given[u] for u in range(200)]


def test_attributes_are_mended_and_kept_raw(imported: Path) -> None:
    given = unpickled("augmented_attribute_dict")
    for row in records(imported, "item_attributes"):
        raw = given[row["entity"]]
        assert row["text"] == "::".join(raw[place] for place in range(3))
        fields = json.loads(row["fields"])
        expected, repaired = dict(zip(("director", "country", "language"), raw.values(), strict=True)), 0
        if raw[0] == "director":
            expected, repaired = dict.fromkeys(expected, "unknown"), 3
        elif row["entity"] == 12:  # "Dover Signal", directed by Dover Signal
            expected, repaired = expected | {"director": "unknown"}, 1
        elif row["entity"] == 13:  # "[13] Amber Signal", "Bo Lindqvist", "France"
            expected, repaired = {"director": "Bo Lindqvist", "country": "France", "language": "unknown"}, 1
        assert (fields, len(row["repairs"])) == (expected, repaired)


def test_matrices_are_the_published_ones(imported: Path) -> None:
    given = unpickled("augmented_atttribute_embedding_dict")
    for name in ATTRIBUTES:
        values, about = read_field(imported / "embed" / "published" / name)
        np.testing.assert_array_equal(values, np.array([given[name][i] for i in range(150)], dtype=np.float32))
        assert about["missing"] == []
    profiles, _ = read_field(imported / "embed" / "published" / "user_profile")
    stacked = np.stack([unpickled("augmented_user_init_embedding")[u] for u in range(200)])
    np.testing.assert_array_equal(profiles, stacked.astype(np.float32))
    for name in ("text", "image"):
        values, _ = read_field(imported / "embed" / "features" / name)
        np.testing.assert_array_equal(values, np.load(GOLDEN / f"{name}_feat.npy"))


def test_other_faults_are_found(folder: Path, tmp_path: Path) -> None:
    (folder / "val.json").write_text((folder / "test.json").read_text())
    matrix = sp.lil_matrix(unpickled("train_mat"))
    user, item = np.argwhere(matrix.toarray() == 0)[0]
    matrix[user, item] = 1
    put(folder, "train_mat", sp.csr_matrix(matrix))
    profiles = unpickled("augmented_user_profiling_dict")
    del profiles[143]
    put(folder, "augmented_user_profiling_dict", profiles | {999: "nobody", "'5'": "again"})
    attributes = unpickled("augmented_attribute_dict")
    del attributes[2]
    attributes[5] = {0: "Unknown", 1: "USA", 2: "English"}
    put(folder, "augmented_attribute_dict", attributes)
    vectors = unpickled("augmented_user_init_embedding")
    vectors[8] = np.zeros(48)
    del vectors[9]
    put(folder, "augmented_user_init_embedding", vectors)
    out = tmp_path / "out"
    import_llmrec(folder, out)
    expected = {
        ("val.json", "interactions, the same as in test.json: what is selected on it has seen test"): 336,
        ("train_mat", "interactions that train.json does not have"): 1,
        ("augmented_user_profiling_dict", "users outside 0..199"): 1,
        ("augmented_user_profiling_dict", "users named again"): 1,
        ("augmented_user_profiling_dict", "users have no profile"): 1,
        ("augmented_attribute_dict", "items have no attributes"): 1,
        ("augmented_attribute_dict", "rows hold a placeholder such as 'unknown'"): 1,
        ("augmented_item_attribute_agg.csv", "rows say something else than augmented_attribute_dict, which is read"): 1,
        ("augmented_user_init_embedding", "ids have no vector"): 1,
    }
    assert expected.items() <= said(out).items()
    assert [row["entity"] for row in records(out, "user_profile") if row["reason"] == "not_published"] == [143]
    assert [row["entity"] for row in records(out, "item_attributes") if row["reason"] == "not_published"] == [2]
    assert read_field(out / "embed" / "published" / "user_profile")[1]["missing"] == [8, 9]


def test_a_row_that_slipped_without_an_id_is_found_by_its_values(folder: Path, tmp_path: Path) -> None:
    attributes = unpickled("augmented_attribute_dict")
    attributes[0] = {0: "Fjord Summer", 1: "Ada Kern", 2: "USA"}
    put(folder, "augmented_attribute_dict", attributes)
    (folder / "augmented_item_attribute_agg.csv").unlink()
    import_llmrec(folder, tmp_path / "out")
    fields = json.loads(records(tmp_path / "out", "item_attributes")[0]["fields"])
    assert fields == {"director": "Ada Kern", "country": "USA", "language": "unknown"}


@pytest.mark.parametrize("absent", ["augmented_*", "item_*", "candidate_indices", "image_feat.npy", "train_mat"])
def test_most_files_may_be_absent(folder: Path, tmp_path: Path, absent: str) -> None:
    for path in folder.glob(absent):
        path.unlink()
    import_llmrec(folder, tmp_path / "out")
    dataset = Dataset.load(tmp_path / "out" / "dataset")
    assert (dataset.n_users, dataset.n_items) == (200, 150)
    assert len(dataset.train) > 0


def test_movielens_tables_have_genres(folder: Path, tmp_path: Path) -> None:
    rows = [f"{n},Film {n},Drama|War" for n in range(150)]
    for path in folder.glob("*.csv"):
        path.unlink()
    (folder / "item_attribute.csv").write_text("\n".join(rows) + "\n")
    import_llmrec(folder, tmp_path / "out")
    dataset = Dataset.load(tmp_path / "out" / "dataset")
    assert dataset.items["genres"].to_pylist()[3] == ["Drama", "War"]
    assert "year" not in dataset.items.column_names
    assert dataset.meta["genres"] == ["Drama", "War"]


@pytest.mark.parametrize("row", ["{n},{year},Film {n}", "{n},Film {n},{year}"])
def test_a_year_is_one_on_either_side_of_the_title(folder: Path, tmp_path: Path, row: str) -> None:
    for path in folder.glob("*.csv"):
        path.unlink()
    rows = [row.format(n=n, year=1900 + n if n % 2 else "") for n in range(150)]
    (folder / "item_attribute.csv").write_text("\n".join(rows) + "\n")
    import_llmrec(folder, tmp_path / "out")
    items = Dataset.load(tmp_path / "out" / "dataset").items
    assert (items["title"][3].as_py(), items["year"][3].as_py(), items["year"][4].as_py()) == ("Film 3", 1903, None)
    assert "genres" not in items.column_names


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda f: put(f, "augmented_user_profiling_dict", {0: 5}), "user 0"),
        (lambda f: put(f, "augmented_user_profiling_dict", ["x"]), "augmented_user_profiling_dict"),
        (lambda f: put(f, "augmented_user_profiling_dict", {"x": "y"}), "key 'x'"),
        (lambda f: put(f, "augmented_attribute_dict", {0: {0: "a"}}), "item 0"),
        (lambda f: (f / "item_attribute_filter.csv").write_text("1,2000\n"), "line 1"),
        (lambda f: (f / "item_attribute_filter.csv").write_text("1,2000,x\n"), "item_attribute_filter.csv"),
        (lambda f: (f / "augmented_user_profiling_dict").write_bytes(b"cos\nsystem\n(S'true'\ntR."), "posix.system"),
    ],
)  # fmt: skip
def test_broken_files_are_named(folder: Path, tmp_path: Path, change: Any, where: str) -> None:
    change(folder)
    with pytest.raises(DataError) as error:
        import_llmrec(folder, tmp_path / "out")
    assert where.replace("posix.", "") in str(error.value)
    assert not (tmp_path / "out" / "import.json").exists()


NAMES = [
    "../../../escaped",
    "/tmp/escaped",
    "a/b",
    "",
    ".hidden",
    "user_profile",
    "User_Profile",
    "nul",
    "x.json",
    "x" * 300,
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_an_attribute_that_is_a_path_is_refused_and_nothing_is_written(folder: Path, tmp_path: Path, name: str) -> None:
    mine = tmp_path / "escaped.json"
    mine.write_text("mine")
    vectors = unpickled("augmented_atttribute_embedding_dict")
    put(folder, "augmented_atttribute_embedding_dict", {**vectors, name: vectors["director"]})
    with pytest.raises(DataError, match="augmented_atttribute_embedding_dict") as error:
        import_llmrec(folder, tmp_path / "a" / "b" / "out")
    assert "name" in str(error.value)
    assert mine.read_text() == "mine"
    assert not (tmp_path / "a").exists()


def test_the_writer_refuses_a_name_that_nobody_checked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.data.released.features.check_fields", lambda *names, **where: None)
    vectors = unpickled("augmented_atttribute_embedding_dict")
    put(folder, "augmented_atttribute_embedding_dict", {"../../../escaped": vectors["director"]})
    with pytest.raises(AugrecError, match="refused to write outside"):
        import_llmrec(folder, tmp_path / "out")
    assert not list(tmp_path.glob("escaped*"))


def test_a_link_inside_the_target_is_not_followed(folder: Path, tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine"
    mine.mkdir()
    for name in ("items.parquet", "dataset.json"):
        (mine / name).write_text("mine")
    import_llmrec(folder, out)
    shutil.rmtree(out / "dataset")
    (out / "dataset").symlink_to(mine)
    with pytest.raises(AugrecError, match="refused to write outside"):
        import_llmrec(folder, out)
    assert {path.name: path.read_text() for path in mine.iterdir()} == {"items.parquet": "mine", "dataset.json": "mine"}


def test_an_import_that_broke_off_is_made_again_where_it_was(folder: Path, tmp_path: Path, imported: Path) -> None:
    name, out = "augmented_user_profiling_dict", tmp_path / "out"
    put(folder, name, unpickled(name) | {0: None})
    with pytest.raises(DataError, match="expected a text"):
        import_llmrec(folder, out)
    assert out.exists()
    assert not (out / "import.json").exists()
    shutil.copyfile(GOLDEN / name, folder / name)
    assert import_llmrec(folder, out)["counts"] == read_json(imported / "import.json")["counts"]


def test_without_validation_nothing_is_judged_by_it(folder: Path, tmp_path: Path) -> None:
    (folder / "val.json").unlink()
    assert import_llmrec(folder, tmp_path / "out")["edge_worth"] == []


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, imported: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="something else"):
        import_llmrec(GOLDEN, tmp_path)
    before = read_json(imported / "import.json")
    assert import_llmrec(GOLDEN, imported) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("augmented_sample_dict", {1.5: {0: 1, 1: 2}}),
        ("augmented_sample_dict", {1: {0: 1.5, 1: 2}}),
        ("augmented_user_init_embedding", {1.5: [1.0, 2.0]}),
    ],
)
def test_half_an_id_is_none(folder: Path, tmp_path: Path, name: str, value: Any) -> None:
    """It was cut to the id below, and that user got the edge or the vector."""
    put(folder, name, value)
    with pytest.raises(DataError, match=rf"not an id(.|\n)*{name}, key 1.5"):
        import_llmrec(folder, tmp_path / "out")
