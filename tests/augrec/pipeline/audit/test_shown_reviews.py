"""The audit finds a review of a held-out interaction in a prompt, whichever mistake let it in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from augment.catalog import Catalog
from augment.hashes import reviews_sha256
from augment.options import GenerationOptions
from augment.reviews import Reviews
from augment.runner import run_source
from augrec.artefacts.files import read_parquet, write_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.audit.checks import Check
from augrec.pipeline.audit.interactions import read_split
from augrec.pipeline.audit.text import audit_records
from tests.augrec.pipeline.audit.hand_made_run import TRAIN, write_run

SOURCE = "rule"
ITEMS, USERS = (f"{SOURCE} {task}: prompts show reviews of training interactions only"
                for task in ("item_profile", "user_profile"))  # fmt: skip
HISTORY = f"{SOURCE} user_profile: prompts show training history only"
Rows = list[dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Everybody reviewed everything they met; user 1 had nothing to say of item 7, which is in train."""
    run = RunFolder(write_run(tmp_path / "run"))
    rows = read_parquet(run.interactions)
    said = [
        None if (row["user"], row["item"]) == (1, 7) else f"{row['user']} on {row['item']}: {row['split']} dráma"
        for row in rows.to_pylist()
    ]
    write_parquet(run.interactions, rows.append_column("review", pa.array(said, pa.large_string())))
    return run


def answered(run: RunFolder, reviews: Reviews | None = None, items: int = 3) -> dict[str, Any]:
    """Asks for both profiles; returns the summary of the source."""
    catalog = Catalog.load(run.root / "dataset")
    catalog.reviews = reviews or catalog.reviews
    source = {"engine": {"kind": "heuristic"}, "tasks": ["item_profile", "user_profile"]}
    generation = GenerationOptions.model_validate(
        {"sources": {SOURCE: source}, "tasks": {"user_profile": {"style": "reasoned", "items": items}}}
    )
    return run_source(catalog, SOURCE, generation.sources[SOURCE], generation, folder=run.source(SOURCE).root, seed=1)


def checks(run: RunFolder, summary: dict[str, Any]) -> dict[str, Check]:
    found, _ = audit_records(run.root, SOURCE, summary, read_split(run.root / "dataset"))
    return {check.name: check for check in found}


def violations(run: RunFolder, summary: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: check.violations for name, check in checks(run, summary).items() if check.violations}


def edit(run: RunFolder, task: str, entity: int, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Changes one record; returns it as it was."""
    path = run.source(SOURCE).task(task).records
    table = read_parquet(path)
    rows: Rows = table.to_pylist()
    row = next(row for row in rows if row["entity"] == entity)
    before = dict(row)
    change(row)
    write_parquet(path, pa.Table.from_pylist(rows, schema=table.schema))
    return before


def test_a_sound_run_passes_and_says_how_many_prompts_it_looked_at(run: RunFolder) -> None:
    found = checks(run, answered(run))
    assert not any(check.violations for check in found.values())
    assert found[ITEMS].rows == len({item for _, item, _ in TRAIN} - {7}) + ((0, 7, 0) in TRAIN)
    assert found[USERS].rows == 4


class LeakyReviews(Reviews):
    """Reads the reviews of all splits, as one that forgot to leave some out."""

    def __init__(self, path: Path) -> None:
        table = pq.read_table(path).filter(pc.field("review").is_valid())
        pairs = zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True)
        self._all = dict(zip(pairs, table["review"].to_pylist(), strict=True))

    @property
    def exist(self) -> bool:
        return True

    def authors(self, item: int) -> list[int]:
        return sorted(user for user, about in self._all if about == item)

    def text(self, user: int, item: int) -> str | None:
        return self._all.get((user, item))


def test_a_reader_that_forgets_the_split_is_found(run: RunFolder) -> None:
    summary = answered(run, LeakyReviews(run.interactions))
    found = violations(run, summary)
    assert found.keys() == {ITEMS}, "a user's own are asked for by training items"
    assert "item 4: the review of user 0 about item 4 was shown, which is not in train" in found[ITEMS]
    assert "item 7: the review of user 2 about item 7 was shown, which is not in train" in found[ITEMS]


def test_a_held_out_review_planted_in_a_record_is_found(run: RunFolder) -> None:
    summary = answered(run)
    edit(run, "item_profile", 4, lambda row: row["shown_reviews"].append(0))  # user 0 met item 4 in test
    edit(run, "user_profile", 3, lambda row: row["shown_reviews"].append(0))
    found = violations(run, summary)
    assert found == {
        ITEMS: ("item 4: the review of user 0 about item 4 was shown, which is not in train",),
        USERS: ("user 3: the review of user 3 about item 0 was shown, which is not in train",),
    }


def test_a_held_out_text_under_a_training_name_is_found(run: RunFolder) -> None:
    summary = answered(run)
    planted = reviews_sha256(["0 on 4: test dráma"])
    before = edit(run, "item_profile", 6, lambda row: row.update(reviews_sha256=planted))
    assert before["shown_reviews"] == [0]
    assert before["reviews_sha256"] == reviews_sha256(["0 on 6: train dráma"])
    (problem,) = violations(run, summary)[ITEMS]
    assert problem.startswith("item 6: what was shown is not the text of these training reviews")


def test_a_hash_without_names_and_a_review_without_its_item_are_found(run: RunFolder) -> None:
    summary = answered(run)
    edit(run, "item_profile", 6, lambda row: row.update(shown_reviews=[]))
    shown = edit(
        run, "user_profile", 0, lambda row: row.update(shown_history=row["shown_history"][1:], dropped_history=1)
    )
    found = violations(run, summary)
    assert "is not the text" in found[ITEMS][0]
    assert found[USERS] == ("user 0: the review of an item was shown without the item",)
    assert len(shown["shown_reviews"]) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shown_history": [5, 1, 4]}, "user 0: item 4 is not in train"),
        ({"shown_history": [1, 5, 3]}, "user 0: not training items in order"),
        ({"shown_history": [5, 5, 3]}, "user 0: not training items in order"),
        ({"shown_history": [5, 3]}, "user 0: 2 items of the history were shown, not 3"),
        ({"shown_history": [5, 3], "dropped_history": 1}, None),
    ],
)
def test_a_sample_is_of_training_items_in_order(run: RunFolder, change: dict[str, Any], said: str | None) -> None:
    summary = answered(run)
    edit(run, "user_profile", 0, lambda row: row.update(change, shown_reviews=[], reviews_sha256=""))
    found = violations(run, summary)
    assert list(found) == ([HISTORY] if said else [])
    assert all(problem.startswith(said or "") for problem in found.get(HISTORY, ()))
