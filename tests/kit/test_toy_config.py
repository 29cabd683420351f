"""A toy config is changed key by key, and what it says is a config."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.pipeline.config.run_config import read_config
from tests.kit.toy_config import RULES, toy_config, write_config
from tests.kit.toy_run import built_once, finished_config


@pytest.mark.parametrize(
    "content", [toy_config("data"), finished_config("data"), toy_config("data", RULES, "embedding: {}")]
)
def test_toy_configs_are_configs(tmp_path: Path, content: dict[str, object]) -> None:
    config = read_config(write_config(tmp_path / "toy.yaml", content))
    assert config.report.baseline in config.variants


def test_a_patch_changes_adds_and_takes_away() -> None:
    """The examples of RFC 7386, section 1 and appendix A, in a config's place."""
    before = toy_config("data")
    after = toy_config("data", "dataset: {k_core: 5, domain: books}", {"seeds": [4], "evaluation": None})
    assert after == {
        **{key: value for key, value in before.items() if key != "evaluation"},
        "dataset": {**before["dataset"], "k_core": 5, "domain": "books"},
        "seeds": [4],
    }
    assert toy_config("data", "models: {popular: null, a: {family: ease, side: {x: null}}}")["models"] == {
        "a": {"family": "ease", "side": {}}
    }


def test_what_is_built_once_is_built_by_the_first_of_all_processes(tmp_path: Path) -> None:
    built: list[Path] = []
    bases = [tmp_path / "gw0", tmp_path / "gw1"]
    assert {built_once("toy", built.append, base, shared=True) for base in bases} == {tmp_path / "toy"}
    assert built == [tmp_path / "toy"]


def test_a_process_alone_builds_in_its_own_folder(tmp_path: Path) -> None:
    built: list[Path] = []
    assert [built_once("toy", built.append, tmp_path, shared=False) for _ in range(2)] == [tmp_path / "toy"] * 2
    assert built == [tmp_path / "toy"]


def test_what_broke_off_is_not_taken_for_built(tmp_path: Path) -> None:
    def breaks(folder: Path) -> None:
        (folder / "half").touch()
        raise ZeroDivisionError

    for expected in (ZeroDivisionError, FileExistsError):
        with pytest.raises(expected):
            built_once("broken", breaks, tmp_path, shared=False)
