"""The page of a synthetic run, read as text: whole, escaped, the same every time, and calm when parts are missing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, read_parquet, write_json, write_parquet
from augrec.artefacts.interactions import read_interactions
from augrec.artefacts.records import StoredRecord
from augrec.artefacts.run_folder import RunFolder
from augrec.report.numbers.results import summarise
from augrec.report.numbers.variants import read_trained
from augrec.report.pages.run.generated import OUTSIDE, count_values, genre_shares
from augrec.report.pages.run.page import write_report
from augrec.report.pages.run.plots import curve_figures, primary_figure, training_curves
from tests.kit.html_pages import PageReader


@pytest.fixture(scope="module")
def page(reported: Path) -> str:
    return (reported / "report" / "index.html").read_text(encoding="utf-8")


def test_the_page_is_one_well_formed_file_without_outside_parts(page: str) -> None:
    reader = PageReader(page)
    assert len(set(reader.ids)) == len(reader.ids)
    assert reader.tags.count("script") == 1
    assert not {"img", "link", "iframe", "object"} & set(reader.tags)
    outside = [v for n, v in reader.attributes if n in ("src", "href", "xlink:href") and not (v or "").startswith("#")]
    assert all(re.fullmatch(r"(\.\./)?[a-z0-9_./-]+", link or "") for link in outside), "files of this very run"
    assert {"checklist.md", "tables/main-table.csv"} <= set(outside)
    assert "@import" not in page
    assert "metadata" not in page
    sections = ["results", "run", "training", "written", "examples", "requests", "provenance", "glossary"]
    assert [name for name in reader.ids if name in sections] == sections


def test_every_table_lies_beside_the_page_in_three_notations(reported: Path, page: str, variants: list[str]) -> None:
    report = reported / "report"
    links = set(re.findall(r'href="(tables/[^"]+)"', page))
    assert {f"tables/{path.name}" for path in (report / "tables").iterdir()} == links
    assert {"tables/main-table.csv", "tables/tests-table.tex", "tables/controls-table.md"} <= links
    header, *rows = (report / "tables" / "main-table.csv").read_text(encoding="utf-8").splitlines()
    assert header.startswith("variant,verdict,recall@20,difference,")
    assert [row.split(",")[0] for row in rows] == variants
    summary = read_json(report / "results.json")["summary"]
    means = {one["variant"]: one["mean"] for one in summary if one["metric"] == "recall@20"}
    assert {row.split(",")[0]: float(row.split(",")[2]) for row in rows} == means


def test_every_reference_inside_the_figures_is_defined(page: str) -> None:
    ids = set(PageReader(page).ids)
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', page))
    assert used
    assert used <= ids


def test_text_of_the_llm_and_the_config_is_escaped(page: str) -> None:
    assert "document.title='owned'" not in page
    assert "&lt;script&gt;document.title=&#39;owned&#39;" in page
    assert "Crème &amp; &lt;Brûlée&gt;" in page
    assert "<bdi>فيلم عن الحب والحرب</bdi>" in page


def test_what_prepare_noted_is_shown(page: str) -> None:
    assert "2 of 60 items have no row in films.item, e.g. &#39;&lt;i&gt;7&lt;/i&gt;&#39;" in page


def test_letters_that_act_unseen_are_shown(make_run, options, config, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    hidden = options.model_copy(update={"title": "a\u202eb\u200bc\x1b[2J\ud83d"})
    write_report(RunFolder(run), hidden, config, variants=variants)
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "a⟨U+202E⟩b⟨U+200B⟩c⟨U+001B⟩[2J⟨U+D83D⟩" in page
    assert not re.search("[\u202a-\u202e\u200b\x1b]", page)


def test_the_same_run_gives_the_same_bytes(reported, options, config, variants) -> None:  # type: ignore[no-untyped-def]
    files = [reported / "report" / name for name in ("index.html", "results.json")]
    before = [path.read_bytes() for path in files]
    write_report(RunFolder(reported), options, config, variants=variants)
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize("gone", ["augment", "embed", "dataset/stage.json", "augment/summary.json", "candidates"])
def test_missing_optional_parts_leave_a_page(make_run, options, config, variants, gone: str) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    path = run / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_report(RunFolder(run), options, config, variants=variants)
    text = (run / "report" / "index.html").read_text(encoding="utf-8")
    PageReader(text)
    assert ("No augmentation was generated" in text) == (gone == "augment")


def test_one_seed_and_no_llm_still_reads_well(make_run, options, config, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run(seeds=1, sources=("heuristic",))
    write_report(RunFolder(run), options, config | {"seeds": [0]}, variants=variants)
    text = (run / "report" / "index.html").read_text(encoding="utf-8")
    PageReader(text)
    assert "fewer than two seeds in common" in text
    assert "nan" not in re.sub(r"<(style|script|svg).*?</\1>", "", text, flags=re.DOTALL).lower().split()


def test_only_the_baseline_still_reads_well(make_run, options, config) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    write_report(RunFolder(run), options, config, variants=["lightgcn-without"])
    assert "there is nothing to compare" in (run / "report" / "index.html").read_text(encoding="utf-8")


def test_audit_is_shown(make_run, options, config, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    write_json(
        run / "audit.json", {"violations": 0, "checks": [{}, {}], "augmented_pairs": {"llm": {"positives_in_test": 17}}}
    )
    write_report(RunFolder(run), options, config, variants=variants)
    text = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "2 checks, ✓ all passed" in text
    assert re.search(r"llm: positives in test</bdi></dt><dd><bdi>17<", text)


def test_broken_fields_are_named_by_row(make_run, options, config, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    path = run / "augment" / "llm" / "edges" / "records.parquet"
    table = read_parquet(path)
    fields = table["fields"].to_pylist()
    fields[5] = "{broken"
    write_parquet(path, table.set_column(table.column_names.index("fields"), "fields", [fields]))
    with pytest.raises(DataError, match=r"edges/records.parquet, row 5"):
        write_report(RunFolder(run), options, config, variants=variants)


def test_examples_follow_the_seed_and_not_the_values(make_run, page, options, config, variants) -> None:  # type: ignore[no-untyped-def]
    run, texts = make_run(variants=variants[2:], seeds=1), [page]
    for seed in (options.seed, options.seed + 1):
        chosen = options.model_copy(update={"seed": seed})
        write_report(RunFolder(run), chosen, config, variants=variants[2:])
        texts.append((run / "report" / "index.html").read_text(encoding="utf-8"))
    whole, other_values, other_seed = (re.findall(r'<h3 dir="auto">(User \d+)</h3>', text) for text in texts)
    assert whole == other_values != other_seed
    assert len(whole) == options.examples


def test_genre_shares_by_a_naive_count(make_run) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    interactions, items = (read_parquet(run / "dataset" / f"{n}.parquet") for n in ("interactions", "items"))
    vocabulary = read_json(run / "dataset" / "dataset.json")["genres"]
    n_users = max(interactions["user"].to_pylist()) + 1
    histories = read_interactions(RunFolder(run).interactions, n_users, items.num_rows).histories("train", n_users)
    records = {
        ("llm", "user_profile"): {
            0: StoredRecord(0, 0, "ok", {"liked_genres": ["Drama", "Western"]}, reason=None),
            1: StoredRecord(1, 1, "ok", {"liked_genres": ["Drama", "Comedy"]}, reason=None),
            2: StoredRecord(2, 2, "failed", None, reason="length"),
        }
    }
    genres, shares = genre_shares(records, histories, items, vocabulary)
    seen = [
        genre
        for row in interactions.to_pylist()
        if row["split"] == "train" and row["user"] in (0, 1)
        for genre in items["genres"][row["item"]].as_py()
    ]
    for genre, share in zip(genres, shares["histories"], strict=True):
        assert share == pytest.approx(seen.count(genre) / len(seen))
    assert dict(zip(genres, shares["llm"], strict=True))["Drama"] == 0.5
    assert dict(zip(genres, shares["llm"], strict=True))[OUTSIDE] == 0.25


def test_values_are_counted_once_per_answer() -> None:
    answers = [{"liked": ["a", "a", "b"], "positive": 3}, {"liked": ["a"], "positive": 4}, None]
    records = {("llm", "t"): {n: StoredRecord(n, n, "ok", fields, reason=None) for n, fields in enumerate(answers)}}
    (field,) = count_values(records)
    assert field.sources["llm"] == (2, 2, [("a", 1.0), ("b", 0.5)])


def test_curves_average_the_epochs_that_all_seeds_reached(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    path = run / "train" / "lightgcn-llm" / "seed-1" / "metrics.json"
    metrics = read_json(path)
    metrics["history"] = metrics["history"][:5]
    write_json(path, metrics)
    trained = read_trained(RunFolder(run), options, dict.fromkeys(variants))
    curves = {curve.name: curve for curve in training_curves(trained, "recall@20")}
    assert set(curves) == {"lightgcn-without", "lightgcn-llm", "lightgcn-shuffled"}
    assert curves["lightgcn-llm"].epochs.tolist() == list(range(5))
    runs = trained["lightgcn-llm"].metrics.values()
    expected = np.mean([[entry["valid"]["recall@20"] for entry in r["history"][:5]] for r in runs], axis=0)
    assert curves["lightgcn-llm"].mean == pytest.approx(expected)
    assert len(curve_figures(list(curves.values()), "recall@20")) == 3


def test_names_with_dollars_and_angles_are_text_in_figures(make_run, options, variants) -> None:  # type: ignore[no-untyped-def]
    run = make_run()
    odd = "x$_{<b>}$"
    (run / "train" / "ease").rename(run / "train" / odd)
    trained = read_trained(RunFolder(run), options, dict.fromkeys([odd, "lightgcn-without"]))
    svg = str(primary_figure(trained, summarise(trained, options), options))
    assert svg.count("x$_{&lt;b&gt;}$</text>") == 2
    assert "<b>" not in svg


def test_options_come_without_heavy_imports() -> None:
    heavy = {"torch", "matplotlib", "scipy", "pandas"}
    code = f"import sys, augrec.report.options; print({heavy} & set(sys.modules))"
    root = Path(__file__).parents[5]
    shown = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_a_label_that_names_the_font_eats_no_markup() -> None:
    from matplotlib.figure import Figure

    from augrec.report.render.svg import inline_svg, page_style

    with page_style():
        figure = Figure(figsize=(3, 2))
        figure.add_subplot().set_title("it says 'DejaVu Sans', and goes on")
        drawn = str(inline_svg(figure, "x", "a figure"))
    ElementTree.fromstring(drawn)  # still well-formed
    assert "it says 'DejaVu Sans', and goes on" in drawn
    assert "font-family: var(--sans);" in drawn
