"""What a run gives to RecBole and to a hub: the same interactions, rows and parameters, read by other code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file

from augrec.artefacts.errors import UsageError
from augrec.artefacts.interactions import SPLITS
from augrec.artefacts.matrices import read_field
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.exchange.export_dataset import export_dataset
from augrec.pipeline.exchange.export_model import export_model
from augrec.pipeline.exchange.export_recbole import export_recbole
from recsys.data.dataset import Dataset
from recsys.data.options import SourceOptions
from recsys.data.readers.recbole import read as read_recbole
from tests.kit.prepared_data import N_ITEMS, write_prepared
from tests.kit.toy_config import toy_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run


def atomic(path: Path) -> pd.DataFrame:
    """An atomic file by its names without types."""
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    return table.rename(columns=lambda name: name.partition(":")[0])


def test_recbole_gets_the_split_and_one_line_a_row(tmp_path: Path) -> None:
    write_prepared(tmp_path / "run", titles={3: 'A\ttitle\nof "two" lines'})
    written = export_recbole(tmp_path / "run", tmp_path / "mine")
    settings = yaml.safe_load((tmp_path / "mine" / "recbole.yaml").read_text())
    dataset = Dataset.load(RunFolder(tmp_path / "run").dataset)
    for split in settings["benchmark_filename"]:
        table = atomic(tmp_path / "mine" / f"mine.{split}.inter")
        assert list(table.columns) == settings["load_col"]["inter"]
        order = dataset.by_time(split)
        expected = [[f"u{user}", f"s{item}"] for user, item in dataset.pairs(split)[order]]
        assert table[[settings["USER_ID_FIELD"], settings["ITEM_ID_FIELD"]]].to_numpy().tolist() == expected
        assert table["timestamp"].astype(float).tolist() == dataset.timestamps(split)[order].tolist()  # type: ignore[index]
        assert written["counts"][split] == len(table)
    back = read_recbole(SourceOptions(format="recbole", path="mine"), tmp_path / "mine").interactions["split"]
    assert back.value_counts().to_dict() == {place: written["counts"][split] for place, split in enumerate(SPLITS)}
    items = atomic(tmp_path / "mine" / "mine.item")
    assert len(items) == N_ITEMS
    assert items["title"][3] == 'A title of "two" lines'
    assert items["year"][7] == ""
    assert "additional_feat_suffix" in settings
    with pytest.raises(UsageError, match="no matrix 'data/txt'"):
        export_recbole(tmp_path / "run", tmp_path / "other", vectors=["data/txt"])


@pytest.mark.parametrize("kind", ["leave_last_out", "temporal"])
def test_the_order_of_equal_times_survives_recbole_and_another_run(tmp_path: Path, kind: str) -> None:
    data = write_toy_data(tmp_path / "data")
    head, *lines = (data / "toy.inter").read_text().splitlines()
    column = [name.partition(":")[0] for name in head.split("\t")].index("timestamp")
    rows = [line.split("\t") for line in np.random.default_rng(5).permutation(lines).tolist()]
    same = ["\t".join("7" if place == column else cell for place, cell in enumerate(row)) for row in rows]
    (data / "toy.inter").write_text("\n".join([head, *same]) + "\n")
    by_file = {"dataset": {"split": {"kind": kind, "ties": "file"}, "k_core": 0}}

    def prepared(name: str, source: dict[str, str]) -> pd.DataFrame:
        (tmp_path / name).mkdir()
        run = open_run(tmp_path / name, toy_config(data, by_file, {"dataset": {"source": source}}))
        advance(run, "prepare")
        return pd.read_parquet(run.files.dataset / "interactions.parquet").drop(columns="rating")

    first = prepared("first", {})
    assert first["place"].max() > 2
    export_recbole(tmp_path / "first" / "run", tmp_path / "mine")
    parts = [(tmp_path / "mine" / f"mine.{split}.inter").read_text().splitlines() for split in SPLITS]
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "mine.inter").write_text(
        "\n".join([parts[0][0], *(line for part in parts for line in part[1:])])
    )
    for about in ("item", "user"):
        (tmp_path / "mine" / f"mine.{about}").rename(tmp_path / "whole" / f"mine.{about}")
    pd.testing.assert_frame_equal(prepared("again", {"path": str(tmp_path / "whole")}), first)
    there = {"format": "augrec", "path": str(tmp_path / "first" / "run" / "dataset")}
    pd.testing.assert_frame_equal(prepared("other", there), first)


@pytest.mark.slow
def test_recbole_gets_the_vectors_of_those_that_have_one(finished_run: Path, tmp_path: Path) -> None:
    written = export_recbole(finished_run, tmp_path / "toy", vectors=["data/text", "rule/user_profile"])
    settings = yaml.safe_load((tmp_path / "toy" / "recbole.yaml").read_text())
    assert settings["alias_of_item_id"] == ["data_text_id"]
    assert settings["alias_of_user_id"] == ["rule_user_profile_id"]
    dataset = Dataset.load(RunFolder(finished_run).dataset)
    for one, table in zip(written["matrices"], (dataset.items, dataset.users), strict=True):
        key, values = next(pair for pair in settings["preload_weight"].items() if pair[1] == one["suffix"])
        assert settings["load_col"][one["suffix"]] == [key, values]
        read = atomic(tmp_path / "toy" / f"toy.{one['suffix']}").set_index(key)[values]
        matrix, about = read_field(RunFolder(finished_run).embed / one["matrix"])
        ids = table["source_id"].to_pylist()
        assert read.index.tolist() == [name for row, name in enumerate(ids) if row not in set(about["missing"])]
        found = np.array([[float(number) for number in text.split()] for text in read], dtype=np.float32)
        np.testing.assert_array_equal(found, np.delete(matrix, about["missing"], axis=0))


@pytest.mark.slow
def test_answers_come_with_their_prompts_and_a_card_that_datasets_reads(finished_run: Path, tmp_path: Path) -> None:
    written = export_dataset(finished_run, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert {one["data_files"] for one in front["configs"]} == {one["file"] for one in written["tables"]}
    for one in front["configs"]:
        source, task = one["config_name"].split("-", 1)
        rows = pd.read_parquet(tmp_path / "out" / one["data_files"])
        records = pd.read_parquet(RunFolder(finished_run).source(source).task(task).records)
        assert rows["key"].tolist() == records["key"].tolist()
        assert "user_source_id" not in rows
    assert {path.name for path in (tmp_path / "out" / "prompts").iterdir()} >= {"edges.j2", "system.j2"}
    assert '"engine": "heuristic"' in card
    export_dataset(finished_run, tmp_path / "out", tasks=["user_profile"], user_ids=True)
    profiles = pd.read_parquet(tmp_path / "out" / "rule" / "user_profile.parquet")
    assert profiles["user_source_id"].tolist() == pd.read_parquet(RunFolder(finished_run).users)["source_id"].tolist()


@pytest.mark.slow
def test_a_model_comes_with_its_rows_its_options_and_a_card(finished_run: Path, tmp_path: Path) -> None:
    written = export_model(finished_run, tmp_path / "out", variant="llmrec", seed=2)
    source = RunFolder(finished_run).training("llmrec", 2)
    mine, theirs = load_file(tmp_path / "out" / "model.safetensors"), load_file(source.model)
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    assert (written["variant"], written["seed"], written["user_ids"]) == ("llmrec", 2, False)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["family"] == "llmrec"
    assert config["options"]["dim"] == 8
    assert config["test"] == json.loads(source.metrics.read_text())["test"]
    assert config["augmentation"] == {"source": "rule", "engine": "heuristic", "model": None}
    items = pd.read_parquet(tmp_path / "out" / "items.parquet")
    assert items["source_id"].tolist() == pd.read_parquet(RunFolder(finished_run).items)["source_id"].tolist()
    card = (tmp_path / "out" / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["library_name"] == "augrec"
    assert f"| recall@10 | {config['valid']['recall@10']:.4f} | {config['test']['recall@10']:.4f} |" in card
    assert not (tmp_path / "out" / "users.parquet").exists()
    export_model(finished_run, tmp_path / "out", variant="llmrec", user_ids=True)
    users = pd.read_parquet(tmp_path / "out" / "users.parquet")
    assert users["source_id"].tolist() == pd.read_parquet(RunFolder(finished_run).users)["source_id"].tolist()
    export_model(finished_run, tmp_path / "out", variant="llmrec")
    assert not (tmp_path / "out" / "users.parquet").exists(), "an earlier export's ids do not stay"
