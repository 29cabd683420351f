"""The audit of what trainings started from: what is held out here and was trained on there is named by source ids."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from augrec.artefacts.files import write_parquet
from augrec.artefacts.run_folder import DatasetFolder, RunFolder
from augrec.pipeline.audit import audit_run
from augrec.pipeline.audit.checks import Check
from augrec.pipeline.audit.interactions import read_split
from augrec.pipeline.audit.starts import audit_starts
from augrec.pipeline.config.run_config import COUNT_FROM
from tests.augrec.pipeline.audit.hand_made_run import N_ITEMS, N_USERS, TEST, TRAIN, VALID, write_dataset

CHECK = "what trainings start from saw nothing that is held out here"
SAME = [(user, item) for user, item, _ in TRAIN]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return write_dataset(tmp_path / "run")


def earlier(folder: Path, train: Iterable[tuple[int, int]], held_out: Iterable[tuple[int, int]] = ()) -> Path:
    """A run of the same users and items, which stand there in the opposite order, in files that are not in order."""
    files = DatasetFolder(RunFolder(folder).dataset)
    for path, about, size in ((files.users, "user", N_USERS), (files.items, "item", N_ITEMS)):
        names = [f"{about[0]}{number}" for number in range(size)]
        write_parquet(path, pa.table({about: pa.array(range(size - 1, -1, -1), pa.int32()), "source_id": names}))
    rows = [
        {"user": N_USERS - 1 - user, "item": N_ITEMS - 1 - item, "split": split}
        for split, pairs in (("train", train), ("valid", held_out), ("test", held_out))
        for user, item in pairs
    ]
    write_parquet(files.interactions, pa.Table.from_pylist(rows))
    return folder


def said(run: RunFolder, *starts: object, head: str = "") -> list[Check]:
    """What is said where one variant starts from nothing and the others from these runs."""
    variants: dict[str, Any] = {f"v{n}": {"start_from": {"run": str(start)}} for n, start in enumerate(starts)}
    run.config.write_text(head + yaml.safe_dump({"variants": {"plain": {"start_from": None}, **variants}}))
    return audit_starts(run.root, read_split(run.dataset))


def test_training_there_on_what_is_trained_on_here_is_sound(run: RunFolder, tmp_path: Path) -> None:
    before = earlier(tmp_path / "before", SAME, [(user, item) for user, item, _ in VALID])
    assert said(run, before) == [Check(CHECK, len(TRAIN))]
    (check,) = (check for check in audit_run(run.root).checks if check.name == CHECK)
    assert check.violations == ()


@pytest.mark.parametrize(
    ("pair", "held_out"), [((0, 2), True), ((3, 0), True), ((0, 0), False), ((4, 2), False)]
)  # of valid, of test, and of nothing
def test_what_is_held_out_here_and_trained_on_there_is_named(
    run: RunFolder, tmp_path: Path, pair: tuple[int, int], held_out: bool
) -> None:
    before = earlier(tmp_path / "before", [*SAME, pair])
    (check,) = said(run, before)
    named = f"{before}: user 'u{pair[0]}', item 'i{pair[1]}' is in train there and held out here"
    assert check == Check(CHECK, len(TRAIN) + 1, (named,) if held_out else ())


def test_every_run_that_a_variant_starts_from_is_looked_at_once(run: RunFolder, tmp_path: Path) -> None:
    held_out = sorted((user, item) for user, item, _ in VALID + TEST)
    one, other = earlier(tmp_path / "one", held_out[::-1]), earlier(tmp_path / "other", [(2, 7)])
    (check,) = said(run, one, other, one)
    assert check.rows == len(held_out) + 1
    assert [text.partition(" is in")[0] for text in check.violations] == [
        *(f"{one}: user 'u{user}', item 'i{item}'" for user, item in held_out),
        f"{other}: user 'u2', item 'i7'",
    ]


def test_relative_names_count_from_where_the_config_says(run: RunFolder, tmp_path: Path) -> None:
    earlier(tmp_path / "runs" / "before", SAME)
    (check,) = said(run, "before", head=f"{COUNT_FROM}{json.dumps(str(tmp_path / 'runs'))}\n")
    assert check.rows == len(TRAIN)


@pytest.mark.parametrize("content", [None, "", "[1]", "{variants: null}", "{variants: {plain: {}}}"])
def test_nothing_is_said_where_nothing_starts_from_a_run(run: RunFolder, content: str | None) -> None:
    if content is not None:
        run.config.write_text(content)
    assert audit_starts(run.root, read_split(run.dataset)) == []


def test_a_run_that_is_gone_is_passed_over(run: RunFolder, tmp_path: Path) -> None:
    assert said(run, tmp_path / "gone") == []
    (check,) = said(run, tmp_path / "gone", earlier(tmp_path / "before", SAME))
    assert check.rows == len(TRAIN)
