"""Profiles: what is filled in, and what is refused with the nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest

from augrec.artefacts.errors import UsageError
from augrec.pipeline.executors.profile import read_profile


def profile(folder: Path, text: str) -> Path:
    path = folder / "cluster.toml"
    path.write_text(text)
    return path


def test_a_stage_takes_what_it_leaves_out_from_the_defaults(tmp_path: Path) -> None:
    text = """
    [defaults]
    partition = "cpu"
    memory = "4G"
    extra = ["--reservation=a"]
    [stages.train]
    partition = "gpu"
    gpus = 1
    extra = ["--exclusive"]
    """
    found = read_profile(profile(tmp_path, text))
    train = found.resources("train")
    assert (train.partition, train.gpus, train.memory, train.cpus) == ("gpu", 1, "4G", 2)
    assert train.extra == ("--reservation=a", "--exclusive")
    assert found.resources("report").partition == "cpu"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[stages.augmnet]\ngpus = 1", "stages.augmnet: unknown key; did you mean 'augment'?"),
        ("[stages.augment]\nshard_per_task = 2", "did you mean 'shards_per_task'?"),
        ("[defaults]\ntime = '90 minutes'", "defaults.time: write it as HH:MM:SS"),
        ("[stages.train]\ntime = '00:05:00'", "not longer than signal_before"),
        ("[defaults]\nmemory = '4 GB'", "defaults.memory"),
        ("[defaults]\npartition = 'a b'", "without spaces"),
        ("[defaults]\nextra = ['reservation']", "one option of sbatch"),
        ("venv = 'a'\ncontainer = {image = 'b.sif'}", "name one of them"),
        ("gpus =", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_profile(profile(tmp_path, text))
    assert message in str(caught.value)
    assert "key=value" not in str(caught.value)


def test_a_missing_profile(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_profile(tmp_path / "none.toml")


def test_every_shipped_profile_is_valid() -> None:
    shipped = sorted((Path(__file__).parents[4] / "slurm" / "profiles").glob("*.toml"))
    assert len(shipped) >= 3
    for path in shipped:
        read_profile(path)
