"""A release whose texts belong to its ids is told from one whose texts are shuffled, by its training interactions."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from rich.console import Console

from augrec.artefacts.files import read_parquet, write_json, write_parquet
from augrec.artefacts.run_folder import RunFolder
from augrec.pipeline.exchange.findings import render
from augrec.pipeline.exchange.import_rlmrec import import_rlmrec
from augrec.pipeline.probes import text_alignment as module
from augrec.pipeline.probes.text_alignment import OWN, alignment_lines, probe_texts
from augrec.report.measures.alignment import Alignment, Verdict, alignment
from augrec.report.measures.meetings import Meetings
from augrec.report.pages.alignment import read_alignments
from tests.kit.prepared_data import N_ITEMS, N_USERS, write_prepared

USERS, ITEMS, TOPICS = 260, 620, 20


def write_release(folder: Path, *, shuffled: bool, test_seed: int = 1) -> Path:
    """Users like two topics; an item's text names words of its own topic, or of another item's where it is shuffled."""
    rng = np.random.default_rng(0)
    topics, tastes = rng.integers(0, TOPICS, ITEMS), rng.integers(0, TOPICS, (USERS, 2))
    liked = (topics == tastes[:, :1]) | (topics == tastes[:, 1:])
    chance = rng.permutation(np.geomspace(0.01, 0.2, ITEMS)) * (1 + 5 * liked)
    train = rng.random((USERS, ITEMS)) < chance
    held_out = ~train & (np.random.default_rng(test_seed).random((2, USERS, ITEMS)) < 0.02)
    held_out[1] &= ~held_out[0]
    folder.mkdir()
    for name, part in (("trn", train), ("val", held_out[0]), ("tst", held_out[1])):
        (folder / f"{name}_mat.pkl").write_bytes(pickle.dumps(sp.coo_matrix(part.astype(np.float64))))
    words = [f"topic{topic}word{word}" for topic in range(TOPICS) for word in range(9)]
    texts = [" ".join(words[9 * topic + word] for word in rng.integers(0, 9, 6)) for topic in topics.tolist()]
    rows = rng.permutation(ITEMS) if shuffled else np.arange(ITEMS)
    (folder / "itm_prf.pkl").write_bytes(
        pickle.dumps({item: {"profile": texts[row]} for item, row in enumerate(rows.tolist())})
    )
    return folder


@pytest.mark.parametrize(("shuffled", "verdict"), [(False, "aligned"), (True, "apart")])
def test_an_import_says_whether_the_texts_belong_to_its_ids(tmp_path: Path, shuffled: bool, verdict: Verdict) -> None:
    folder = write_release(tmp_path / "release", shuffled=shuffled)
    written = import_rlmrec(folder, tmp_path / "out")
    (found,) = read_alignments(written)
    assert (found.of, found.about, found.verdict) == ("published item_profile", "item", verdict)
    assert found.histories.found
    assert not found.shuffled.found
    console = Console(record=True, width=300)
    render(written, tmp_path / "out", console)
    assert f"published item_profile ({found.entities:,} items by tf-idf): {verdict}: " in console.export_text()


@pytest.mark.parametrize(("engine", "verdict"), [("vllm", "unrelated"), ("replay of vllm", "apart"), (None, "apart")])
def test_texts_that_the_run_asked_for_itself_are_never_at_foreign_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str | None, verdict: Verdict
) -> None:
    write_prepared(tmp_path)
    run, train = RunFolder(tmp_path), np.argwhere(np.eye(N_USERS, N_ITEMS) > 0)
    nothing = Meetings(9000, 100, 100.0, 0.98, 0.01, 0.9)
    probed = Alignment("x", "item", "tf-idf", 9, nothing, nothing, nothing, nothing, "apart", "meet .98 times: foreign")
    monkeypatch.setattr(module, "alignment", lambda *_: probed)
    monkeypatch.setattr(module, "code_identity", lambda _: "same")
    monkeypatch.setattr(module, "_texts", lambda *_: [("a item_profile", "item", ["text"]), (OWN, "item", ["own"])])
    if engine is not None:
        write_json(run.summary, {"sources": {"a": {"engine": {"engine": engine}}}})
    source, own = probe_texts(run, {"a": ["item_profile"]}, train, n_users=N_USERS, n_items=N_ITEMS)
    assert (source.verdict, own.verdict) == (verdict, "apart")
    assert ("foreign" in source.why) == (verdict == "apart")
    assert source.why.startswith("meet .98 times: ")


def test_held_out_interactions_change_nothing(tmp_path: Path) -> None:
    one, other = (
        import_rlmrec(
            write_release(tmp_path / f"release{seed}", shuffled=False, test_seed=seed), tmp_path / f"out{seed}"
        )
        for seed in (1, 2)
    )
    assert one["counts"]["test"] != other["counts"]["test"]
    assert read_alignments(one) == read_alignments(other)


def test_the_text_of_the_data_is_probed_and_sources_without_texts_are_passed_over(tmp_path: Path) -> None:
    write_prepared(tmp_path)
    train = np.array([(user, (user + place) % N_ITEMS) for user in range(N_USERS) for place in range(5)])
    (found,) = probe_texts(RunFolder(tmp_path), {"nobody": ["edges"]}, train, n_users=N_USERS, n_items=N_ITEMS)
    assert (found.of, found.about, found.verdict) == (OWN, "item", "undecided")
    assert alignment_lines([found]) == [f"{OWN} ({found.entities} items by tf-idf): undecided: {found.why}"]


def test_a_probe_is_kept_by_content_and_made_again_where_text_or_interactions_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prepared(tmp_path)
    run, made = RunFolder(tmp_path), []

    def watched(*args: Any, **options: Any) -> Alignment:
        made.append(args[0])
        return alignment(*args, **options)

    monkeypatch.setattr(module, "alignment", watched)
    train = np.array([(user, item) for user in range(N_USERS) for item in range(user % 3, N_ITEMS, 3)])
    sizes = {"n_users": N_USERS, "n_items": N_ITEMS}
    first = probe_texts(run, {}, train, **sizes)  # type: ignore[arg-type]
    assert probe_texts(run, {}, train, **sizes) == first  # type: ignore[arg-type]
    assert made == [OWN]
    probe_texts(run, {}, train[1:], **sizes)  # type: ignore[arg-type]
    table = read_parquet(run.items)
    titles = table["title"].to_pylist()
    write_parquet(run.items, table.set_column(table.column_names.index("title"), "title", [["other", *titles[1:]]]))
    probe_texts(run, {}, train[1:], **sizes)  # type: ignore[arg-type]
    assert len(made) == 3
    run.alignment.write_text("{}x")
    assert probe_texts(run, {}, train[1:], **sizes)[0].of == OWN  # type: ignore[arg-type]
    assert len(made) == 4, "a damaged file is no error, and nothing of it is believed"
