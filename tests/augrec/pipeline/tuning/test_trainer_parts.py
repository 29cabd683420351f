"""What the trainer decides without a model: labels, batches, checkpoints, and what an adapter's configuration says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import write_json
from augrec.artefacts.token_sequences import TokenSequence
from augrec.pipeline.tuning import start
from augrec.pipeline.tuning.answer_loss import IGNORED
from augrec.pipeline.tuning.settings import TrainerSettings
from augrec.pipeline.tuning.trainer import MADE_OF, accumulation, labels, last_checkpoint, portable

SETTINGS = TrainerSettings(
    model="base", model_sha256="a", folder="tune", tokens_sha256="b", code="c", method="lora", epochs=1,
    learning_rate=1e-4, batch_size=8, micro_batch_size=2, warmup_steps=0, seed=1,
)  # fmt: skip


def test_only_the_answer_has_a_loss() -> None:
    assert labels(TokenSequence("a", (7, 8, 9, 10), 2)) == [IGNORED, IGNORED, 9, 10]


def test_a_batch_is_dealt_out_evenly_or_not_at_all() -> None:
    assert accumulation(SETTINGS, 1) == 4
    assert accumulation(SETTINGS, 4) == 1
    with pytest.raises(AugrecError, match=r"3 processes with 2 at once(.|\n)*multiple of 6"):
        accumulation(SETTINGS, 3)


def test_settings_come_back_and_places_are_no_part_of_their_identity(tmp_path: Path) -> None:
    SETTINGS.write(tmp_path / "settings.json")
    assert TrainerSettings.read(tmp_path / "settings.json") == SETTINGS
    elsewhere = replace(SETTINGS, model="copy", folder="other", checkpoint_steps=7, log_steps=3)
    assert elsewhere.fingerprint == SETTINGS.fingerprint
    others = [
        replace(SETTINGS, model_sha256="c"),
        replace(SETTINGS, tokens_sha256="c"),
        replace(SETTINGS, code="d"),
        replace(SETTINGS, method="full"),
        replace(SETTINGS, lora={"rank": 8}),
        replace(SETTINGS, epochs=2),
        replace(SETTINGS, seed=2),
    ]
    assert len({each.fingerprint for each in (SETTINGS, *others)}) == 8


def test_a_deepspeed_config_counts_by_its_content(tmp_path: Path) -> None:
    prints = set()
    for name, content in (("one", "{}"), ("two", "{}"), ("three", '{"zero": 3}')):
        (tmp_path / name).write_text(content)
        prints.add(replace(SETTINGS, deepspeed=str(tmp_path / name)).fingerprint)
    assert len(prints) == 2


def test_the_last_whole_checkpoint_of_the_same_training_counts(tmp_path: Path) -> None:
    for step, mark in ((2, "mine"), (10, "mine"), (12, "another"), (14, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if mark is not None:
            write_json(folder / MADE_OF, {"fingerprint": mark})
    assert last_checkpoint(tmp_path, "mine") == tmp_path / "checkpoint-10"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-2"], "others are removed"
    assert last_checkpoint(tmp_path, "new") is None
    assert last_checkpoint(tmp_path / "nothing", "mine") is None


def test_an_adapters_configuration_says_nothing_of_places_and_orders() -> None:
    one = {"base_model_name_or_path": "here", "target_modules": ["v", "k"], "r": 8}
    two = {"r": 8, "base_model_name_or_path": "there", "target_modules": ["k", "v"]}
    assert portable(one, "ab") == portable(two, "ab") == {
        "base_model_name_or_path": "sha256:ab", "target_modules": ["k", "v"], "r": 8,
    }  # fmt: skip


def test_the_package_is_lent_without_what_lies_beside_it(tmp_path: Path) -> None:
    """As in the other environment: neither augrec nor what is installed with it can be found before."""
    code = (
        "import importlib.util, runpy, sys\n"
        "from pathlib import Path\n"
        f"start = runpy.run_path({start.__file__!r}, run_name='started')\n"
        "assert importlib.util.find_spec('augrec') is None\n"
        f"start['lend'](Path({start.__file__!r}).parents[2])\n"
        "import augrec.pipeline.tuning.trainer\n"
        "assert importlib.util.find_spec('recsys') is None\n"
        "print('pydantic' in sys.modules, 'torch' in sys.modules)\n"
    )
    # -I and -S: no site-packages; pyarrow, which the other environment has, is stood in for.
    (tmp_path / "pyarrow.py").write_text("schema = list_ = string = int32 = lambda *_: None\nTable = None\n")
    code = f"import sys; sys.path.append({str(tmp_path)!r})\n{code}"
    ended = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["False", "False"], ended.stderr


def test_a_setting_that_is_unknown_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"model": "base", "speed": 3}))
    with pytest.raises(TypeError, match="speed"):
        TrainerSettings.read(tmp_path / "settings.json")
