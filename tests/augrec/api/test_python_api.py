"""The names of `import augrec`: what they give is what the stages and pages of a run give, and examples run."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import augrec
from augrec.artefacts.errors import DataError, UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.run_folder import RunFolder
from recsys.models.registry import FAMILIES

EXAMPLES = Path(augrec.__file__).parents[1] / "examples"
DOCUMENT = EXAMPLES.parent / "docs" / "python.md"


def clicks() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = [
        (f"u{user}", f"i{item}", 5 - place) for user in range(20) for place, item in enumerate(rng.permutation(15)[:6])
    ]
    return pd.DataFrame(rows, columns=["who", "what", "stars"])


@pytest.fixture(scope="module")
def data() -> Any:
    return augrec.prepare(clicks(), user="who", item="what", rating="stars")


def test_pandas_and_arrow_give_the_same_split(data: Any) -> None:
    again = augrec.prepare(pa.Table.from_pandas(clicks()), user="who", item="what", rating="stars")
    for split in ("train", "valid", "test"):
        np.testing.assert_array_equal(data.pairs(split), again.pairs(split))
        assert data.ratings(split).tolist() == again.ratings(split).tolist()
    table = clicks().set_index(["who", "what"])["stars"]
    users, items = data.users["source_id"].to_pylist(), data.items["source_id"].to_pylist()
    assert [table[users[user], items[item]] for user, item in data.train] == data.ratings("train").tolist()


def test_a_data_set_may_be_kept(tmp_path: Path) -> None:
    kept = augrec.prepare(clicks(), user="who", item="what", folder=tmp_path / "data", k_core=2, seed=4)
    again = augrec.Dataset.load(tmp_path / "data")
    np.testing.assert_array_equal(kept.train, again.train)


def test_a_closed_form_is_computed_once_and_a_trained_model_for_every_seed(data: Any) -> None:
    assert augrec.train(data, "ease", seeds=4).seeds == (1,)
    graph = augrec.train(data, "lightgcn", dim=4, seeds=[3, 8], training={"epochs": 2, "device": "cpu"})
    assert graph.seeds == (3, 8)
    assert set(graph.results) == {3, 8}
    assert graph.results[3].test == {}, "nobody has looked at test"
    assert repr(graph) == "<lightgcn, trained on data with 2 seeds>"
    one, other = (graph.recommender(seed).state_dict()["user_embedding"] for seed in (3, 8))
    assert not np.array_equal(one, other)


def test_a_list_is_what_the_evaluation_judged(data: Any) -> None:
    model = augrec.train(data, "item_knn")
    found = augrec.evaluate(model, cutoffs=(5,)).by_seed[1].per_user["recall@5"]
    listed = augrec.recommend(model, k=5).to_pandas().groupby("user")["item"].apply(set)
    users, items = data.users["source_id"].to_pylist(), data.items["source_id"].to_pylist()
    for user, name in enumerate(users):
        truth = {items[item] for owner, item in data.test if owner == user}
        assert not truth or len(listed[name] & truth) / len(truth) == pytest.approx(found[user])


def test_newcomers_come_as_a_mapping(data: Any) -> None:
    model = augrec.train(data, "ease")
    source = data.users["source_id"][3].as_py()
    told = [data.items["source_id"][item].as_py() for user, item in data.train if user == 3]
    new = augrec.recommend(model, {"new": told}, k=4, exclude="train")
    old = augrec.recommend(model, [source], k=4, exclude="train")
    assert new["item"].to_pylist() == old["item"].to_pylist()
    assert set(new["user"].to_pylist()) == {"new"}
    with pytest.raises(UsageError, match="graph, of the family lightgcn, knows no new users"):
        augrec.recommend(
            augrec.train(data, "lightgcn", dim=4, seeds=1, training={"epochs": 1}, name="graph"), {"n": told}
        )


def test_verdicts_are_corrected_over_all_that_are_compared(data: Any) -> None:
    judged = [augrec.evaluate(augrec.train(data, name)) for name in ("popularity", "ease", "item_knn")]
    alone = augrec.compare(judged[0], judged[1], metric="recall@10")
    both = augrec.compare(*judged, metric="recall@10")
    assert [row.name for row in both] == ["ease", "item_knn"]
    assert {row.word for row in both} <= {"better", "worse", "equivalent", "identical", "undecided"}
    assert str(both[0]).startswith("ease against popularity, recall@10: ")
    assert repr(both[0]) == str(both[0]), "a notebook shows what is in a list by its repr"
    mean = judged[1].mean["recall@10"]
    assert repr(judged[1]).startswith("<ease on test, 1 seed: ")
    assert f"recall@10 {mean:.4f}" in repr(judged[1])
    assert both[0].comparison.p_users == alone[0].comparison.p_users
    assert both[0].comparison.p_users_holm >= alone[0].comparison.p_users_holm
    expected = judged[1].mean["recall@10"] - judged[0].mean["recall@10"]
    assert both[0].comparison.difference == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda data: augrec.train(data, "lightgnc"), "did you mean 'lightgcn'"),
        (lambda data: augrec.train(data, "ease", lambda_=3), "lambda_"),
        (lambda data: augrec.train(data, "ease", training={"epoch": 3}), "epochs"),
        (lambda data: augrec.train(data, "lightgcn", seeds=[]), "no seed"),
        (lambda data: augrec.recommend(augrec.train(data, "ease"), ["nobody"]), "know no user 'nobody'"),
        (lambda data: augrec.compare(augrec.evaluate(augrec.train(data, "ease"))), "a baseline and others"),
        (lambda data: augrec.prepare(clicks(), user="who", item="whet"), "what"),
        (lambda data: augrec.prepare(clicks(), user="who", item="what", split="rondom"), "split"),
        (lambda data: augrec.prepare("clicks.csv"), "interactions is of type str, expected a table"),
        (
            lambda data: augrec.prepare(clicks().assign(who=[1, "a"] * 60), user="who", item="what"),
            "every column one type",
        ),
        (
            lambda data: augrec.prepare(clicks().assign(stars="5 euro"), user="who", item="what", rating="stars"),
            "where:  interactions, data row 1",
        ),
        (
            lambda data: augrec.prepare(clicks(), user="who", item="what", items=pd.DataFrame({"id": ["i1"]})),
            "`items` and `users` have ids under the same names",
        ),
        (lambda data: augrec.recommend(augrec.train(data, "ease"), k=0), "k is 0"),
        (
            lambda data: augrec.evaluate(augrec.train(data, "ease"), cutoffs=(0,)),
            "cutoffs.0: input should be greater than 0",
        ),
        (lambda data: augrec.read_config("nowhere.yaml"), "the config file does not exist"),
        (lambda data: augrec.train(clicks(), "ease"), "dataset is of type DataFrame, expected Dataset"),
        (lambda data: augrec.evaluate(data), "model is of type Dataset, expected TrainedModel"),
        (lambda data: augrec.recommend(data), "model is of type Dataset, expected the result of train()"),
        (lambda data: augrec.compare(*[augrec.train(data, "ease")] * 2), "of type TrainedModel, expected Evaluated"),
        (lambda data: augrec.recommend(augrec.train(data, "ease"), "u1"), "users is of type str, expected ids"),
        (lambda data: augrec.recommend(augrec.train(data, "ease"), {"n": "i1"}), "users['n'] is of type str"),
        (
            lambda data: augrec.recommend(augrec.train(data, "ease"), {"n": ["i1"], "m": []}),
            "the history of 'm' is empty",
        ),
        (lambda data: augrec.embed("red shoes", "tfidf"), "texts is one text"),
        (lambda data: augrec.train(data, "text_cosine", item_features=np.ones((15, 2))), 'item_features={"text"'),
        (
            lambda data: augrec.train(data, "text_cosine", item_features={"text": np.ones((3, 2))}),
            "features of shape (3, 2), expected [15, d]\n  where:  item_features['text']",
        ),
        (
            lambda data: augrec.train(data, "text_cosine", item_features={"text": [["a"]] * 15}),
            "features are no numbers",
        ),
        (
            lambda data: augrec.train(data, "text_cosine", item_features={"text": np.full((15, 2), np.nan)}),
            "where:  item_features['text'], row 0",
        ),
    ],
)
def test_mistakes_are_named(call: Any, message: str, data: Any) -> None:
    with pytest.raises((UsageError, DataError)) as caught:
        call(data)
    assert message in str(caught.value)


@pytest.mark.parametrize("column", [list, np.array, pd.Series, pa.array, pa.chunked_array])
def test_users_come_as_any_column_of_ids(column: Any, data: Any) -> None:
    model = augrec.train(data, "ease")
    ids = ["u4", "u2"]
    asked = column([ids] if column is pa.chunked_array else ids)
    assert augrec.recommend(model, asked, k=2)["user"].to_pylist() == ["u4", "u4", "u2", "u2"]
    assert augrec.recommend(model, {"n": column([["i1"]] if column is pa.chunked_array else ["i1"])}, k=2).num_rows == 2


def test_ids_that_are_numbers_in_the_table_are_numbers_in_a_question() -> None:
    table = clicks().assign(who=lambda rows: rows["who"].str[1:].astype(int), what=lambda rows: rows["what"].str[1:])
    table["what"] = table["what"].astype("int32")
    data = augrec.prepare(table, user="who", item="what")
    model = augrec.train(data, "ease")
    for asked in ([4, 2], table["who"].unique()[[4, 2]]):
        assert augrec.recommend(model, asked, k=1)["user"].to_pylist() == ["4", "2"]
    told = table["what"][:2].to_numpy()
    lists = [augrec.recommend(model, {99: history}, k=3)["item"].to_pylist() for history in (told, told.astype(str))]
    assert lists[0] == lists[1]


def test_a_data_set_shows_its_sizes(data: Any) -> None:
    assert repr(data).startswith("<data: 20 users, 15 items, interactions: ")
    assert f"{len(data.test)} test>" in repr(data)
    assert "test" not in repr(data.sealed())


def test_items_that_the_data_do_not_know_are_said(data: Any) -> None:
    model = augrec.train(data, "ease")
    with pytest.warns(UserWarning, match="1 of 2 rows name items that the data do not know"):
        lists = augrec.recommend(model, {"new": ["i1", "i99"]}, k=2)
    assert lists["user"].to_pylist() == ["new", "new"]


def test_one_cutoff_and_tables_of_other_libraries(data: Any) -> None:
    assert set(augrec.evaluate(augrec.train(data, "popularity"), cutoffs=5).mean) >= {"recall@5", "ndcg@5"}
    reader = pa.Table.from_pandas(clicks()).to_reader()
    again = augrec.prepare(reader, user="who", item="what", rating="stars")
    np.testing.assert_array_equal(data.train, again.train)


def test_texts_become_rows_and_missing_ones_zeros() -> None:
    rows = augrec.embed(["red shoes", None, "blue shoes", "red shoes"], "tfidf", fewest_texts=1)
    assert rows.dtype == np.float32
    assert not rows[1].any()
    np.testing.assert_array_equal(rows[0], rows[3])
    assert not np.array_equal(rows[0], rows[2])


def test_all_families_are_listed() -> None:
    assert [family["family"] for family in augrec.recommenders()] == list(FAMILIES)


@pytest.mark.slow
def test_a_run_is_read_and_compared_as_its_page_does(finished_run: Path) -> None:
    run = augrec.load_run(finished_run)
    assert ("rule", "user_profile") in run.answers
    records = run.records("rule", "user_profile")
    assert isinstance(records, augrec.Records)
    assert len(records) == run.dataset.n_users
    row = next(one for one in read_json(RunFolder(finished_run).results)["summary"]
               if (one["variant"], one["metric"]) == ("popular", "recall@10"))  # fmt: skip
    (found,) = augrec.compare(run.evaluated("base"), run.evaluated("popular"), metric="recall@10")
    assert found.comparison.difference == pytest.approx(row["difference"])
    assert found.comparison.p_users == pytest.approx(row["p_users"])
    table = run.metrics().to_pandas()
    means = table[(table["variant"] == "popular") & (table["split"] == "test") & (table["metric"] == "recall@10")]
    assert means["value"].mean() == pytest.approx(row["mean"])
    listed = augrec.recommend(run, ["7"], variant="popular", k=3)
    assert listed["rank"].to_pylist() == [1, 2, 3]
    with pytest.raises(UsageError, match="did you mean 'rule/user_profile'"):
        run.records("rule", "user_profil")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_run(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(path), run_name="__main__")
    assert re.search(r"against \w+, \S+: (better|worse|equivalent|identical|undecided)", capsys.readouterr().out)


def test_the_document_runs_and_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile("\n".join(blocks), str(DOCUMENT), "exec"), {"__name__": "document"})
    missing = [name for name in augrec.__all__ if f"`{name}" not in text and name != "__version__"]
    assert missing == []
    assert capsys.readouterr().out
