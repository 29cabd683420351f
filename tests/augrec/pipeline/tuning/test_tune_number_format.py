"""The number format of a training: settled once for a run, part of its identity, and never that of another machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.processor import FastestFormat, format_by_flags, processor_flags
from augrec.artefacts.tune_folder import TuneFolder
from augrec.pipeline.tuning.number_format import begun_in, settle
from augrec.pipeline.tuning.settings import TrainerSettings

AUTO = TrainerSettings(
    model="base", model_sha256="a", folder="tune", tokens_sha256="b", code="c", method="lora", epochs=1,
    learning_rate=1e-4, batch_size=8, micro_batch_size=2, warmup_steps=0, seed=1,
)  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> TuneFolder:
    return TuneFolder(tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_the_configuration_says_is_kept_and_leaves_no_file(files: TuneFolder, dtype: str) -> None:
    said = replace(AUTO, dtype=dtype)
    assert settle(said, files, gpu=None).settings == begun_in(said, files) == said
    assert not files.number_format.exists()


@pytest.mark.parametrize(("gpu", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_decides_by_what_it_has(files: TuneFolder, gpu: bool, dtype: str) -> None:
    assert settle(AUTO, files, gpu=gpu).settings == replace(AUTO, dtype=dtype)


def test_a_processor_decides_by_its_flags(files: TuneFolder) -> None:
    known = format_by_flags(processor_flags()) or FastestFormat("float32", "")
    settled = settle(AUTO, files, gpu=None)
    assert settled.settings.dtype == known.dtype
    assert known.why in settled.why


def test_a_run_keeps_to_its_first_choice_and_its_identity_follows(files: TuneFolder) -> None:
    assert begun_in(AUTO, files) == AUTO, "nothing is settled"
    low = settle(AUTO, files, gpu=True).settings
    elsewhere = settle(AUTO, files, gpu=False)
    assert elsewhere.settings == begun_in(AUTO, files) == low
    assert "begun in it" in elsewhere.why
    prints = {each.fingerprint for each in (AUTO, low, replace(AUTO, dtype="float32"))}
    assert len(prints) == 3
    assert begun_in(AUTO, files).fingerprint == replace(AUTO, dtype="bfloat16").fingerprint


@pytest.mark.parametrize("kept", [{"dtype": "float8", "why": "", "processor": ""}, {"dtype": "float32"}, [1]])
def test_a_file_that_says_no_format_is_an_error_with_a_remedy(files: TuneFolder, kept: object) -> None:
    write_json(files.number_format, kept)
    for read in (lambda: begun_in(AUTO, files), lambda: settle(AUTO, files, gpu=True)):
        with pytest.raises(DataError, match=r"number_format.json(.|\n)*delete it"):
            read()
    assert read_json(files.number_format) == kept, "it is left to be looked at"
