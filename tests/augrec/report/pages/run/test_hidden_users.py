"""With `hide_users` no page holds a source's id of a user, a history, or what the data say of a user."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from augrec.artefacts.files import read_json, read_parquet, write_json, write_parquet
from augrec.artefacts.interactions import UserItems, read_interactions
from augrec.artefacts.run_folder import RunFolder
from augrec.report.measures.examples import examples_of
from augrec.report.pages.run.page import write_report
from augrec.report.user_names import UserNames, without_examples

JOB = "keeper of a lighthouse"


def named(run: Path) -> list[str]:
    """Gives the users of a run ids that stand for nothing else, a job, and a note and failures that name them."""
    files = RunFolder(run)
    users = read_parquet(files.users)
    ids = [f"<person-{number:03d}>" for number in range(users.num_rows)]
    users = users.set_column(users.column_names.index("source_id"), "source_id", pa.array(ids))
    write_parquet(files.users, users.append_column("job", pa.array([JOB] * len(ids))))
    about = read_json(files.dataset_json)
    about["notes"] += [f"2 of 60 users have no row in films.user, e.g. '{ids[3]}', '{ids[4]}'"]
    write_json(files.dataset_json, about)
    for task in files.source("llm").tasks():
        if task.name == "item_attributes":
            continue
        table = read_parquet(task.records)
        told = [
            reason and f"unknown_to_source: its data set has no user {ids[entity]!r}"
            for reason, entity in zip(table["reason"].to_pylist(), table["entity"].to_pylist(), strict=True)
        ]
        write_parquet(task.records, table.set_column(table.column_names.index("reason"), "reason", pa.array(told)))
    return ids


@pytest.mark.parametrize("hide", [False, True])
def test_no_page_tells_who_they_are(make_run, options, config, variants, hide: bool) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    ids = named(run)
    shown = options.model_copy(update={"hide_users": hide, "examples": 12})
    write_report(RunFolder(run), shown, config, variants=variants)
    pages = [path for path in (run / "report").rglob("*") if path.is_file()]
    text = html.unescape("\n".join(path.read_text(encoding="utf-8") for path in pages))
    told = {name for name in ids if name in text or name.strip("<>") in text}
    histories = re.findall(r'<ol class="history">(.*?)</ol>', text, re.DOTALL)
    assert len(histories) > 12
    if not hide:
        assert len(told) > 12
        assert JOB in text
        assert any(histories)
        return
    assert told == set()
    assert JOB not in text
    assert not any(histories)
    assert "not shown: 9 items" in text
    assert "2 of 60 users have no row in films.user" in text
    assert "unknown_to_source" in text
    assert len(set(re.findall(r"User ([0-9a-f]{8})\b", text))) >= 12


def test_examples_of_a_comparison_are_hidden_too(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    ids = named(run)
    files = RunFolder(run)
    histories = read_interactions(files.interactions, 60, 40, splits=("train",)).histories("train", 60)
    open_, hidden = (
        examples_of(files, 4, {}, np.arange(60), histories, lambda fields: None, hide) for hide in (False, True)
    )
    assert {one.user for one in open_} <= set(ids)
    assert all(one.history for one in open_)
    assert not {one.user for one in hidden} & set(ids)
    assert not any(one.history for one in hidden)


def test_pseudonyms_are_stable_and_follow_from_the_data_alone() -> None:
    users = pa.table({"source_id": [str(number) for number in range(50)]})
    history = UserItems.build(np.arange(50), np.arange(50), 50)
    other = UserItems.build(np.arange(50), np.arange(50)[::-1].copy(), 50)
    names, again, elsewhere = (UserNames(users, items, True) for items in (history, history, other))
    assert [names.of(user) for user in range(50)] == [again.of(user) for user in range(50)]
    assert len({names.of(user) for user in range(50)}) == 50
    assert not {names.of(user) for user in range(50)} & {elsewhere.of(user) for user in range(50)}
    assert UserNames(users, history, False).of(7) == "7"


def test_only_examples_of_users_are_cut_from_notes() -> None:
    notes = ["1 of 9 items have no row, e.g. 'x'", "1 of 9 users have no row, e.g. 'u1', 'u2'"]
    assert without_examples(notes) == [notes[0], "1 of 9 users have no row"]
