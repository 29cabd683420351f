"""The real trainer in its own environment: it learns, goes on where it was killed, and leaves what vLLM can apply."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from augment.engines.vllm.chat import Chat
from augment.engines.vllm.lora import read_adapter
from augment.messages import Message
from augrec.artefacts.errors import AugrecError
from augrec.artefacts.files import read_json, sha256_file
from augrec.artefacts.loss_curve import read_losses
from augrec.artefacts.token_sequences import TokenSequence, read_sequences, write_sequences
from augrec.artefacts.tune_folder import TuneFolder
from augrec.pipeline.host.stopping import Stopped, Stopper
from augrec.pipeline.tuning.environment import tune_environment
from augrec.pipeline.tuning.launch import finished_training, launch
from augrec.pipeline.tuning.settings import TrainerSettings
from augrec.pipeline.weights.resolve import resolve
from tests.kit.tiny_llama import tensors, write_llama, write_weights
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.tune

EMBEDDING = "model.embed_tokens.weight"
EPOCHS, STEPS = 6, 24
ANSWERS = {"sun": "day", "moon": "night", "star": "night"}


@pytest.fixture
def settings(tmp_path: Path) -> TrainerSettings:
    """A tiny Llama with random weights, and questions with one-word answers."""
    llama, folder = write_llama(tmp_path / "llama"), tmp_path / "tune"
    numbers = {name: np.ones_like(each) if "norm" in name else each for name, each in tensors().items()}
    write_weights(llama, numbers | {EMBEDDING: 10 * numbers[EMBEDDING]})  # logits that an adapter can move
    chat, sequences = Chat(llama, {}), []
    for number in range(32):
        word = list(ANSWERS)[number % 3]
        prompt = chat.tokens((Message("user", f"{word}{'?' * (number % 5)}"),))
        sequences.append(TokenSequence(str(number), (*prompt, *chat.answer_tokens(ANSWERS[word])), len(prompt)))
    write_sequences(folder / "tokens.parquet", sequences)
    return TrainerSettings(
        model=str(llama), model_sha256="base", folder=str(folder),
        tokens_sha256=sha256_file(folder / "tokens.parquet"), code="", method="lora", epochs=EPOCHS, learning_rate=0.05,
        batch_size=8, micro_batch_size=4, warmup_steps=1, seed=3, dtype="float32", checkpoint_steps=2,
        lora={"rank": 4, "alpha": 8, "dropout": 0.0},
    )  # fmt: skip


def trained(settings: TrainerSettings) -> dict[str, np.ndarray]:
    """Trains; the adapter's numbers."""
    files = TuneFolder(Path(settings.folder))
    launch(tune_environment(), settings, files)
    return load_file(files.adapter / "adapter_model.safetensors")


def test_it_learns_and_leaves_an_adapter_that_vllm_can_apply(settings: TrainerSettings) -> None:
    files = TuneFolder(Path(settings.folder))
    numbers = trained(settings)
    outcome = finished_training(files, settings)
    assert outcome is not None
    losses = read_losses(files.losses)
    assert [point.step for point in losses] == list(range(1, STEPS + 1))
    assert losses[-1].loss < losses[0].loss - 1.0
    assert losses[-1].tokens == EPOCHS * outcome["tokens"]
    assert outcome["answer_tokens"] < outcome["tokens"] / 2
    assert 0 < outcome["trained_parameters"] < outcome["parameters"]
    adapter = read_adapter(files.adapter)
    assert adapter.max_rank == 8
    assert sorted(path.name for path in files.adapter.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    targets = {name.split(".")[-3] for name in numbers}
    assert targets == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert all(np.abs(values).max() > 0 for name, values in numbers.items() if "lora_B" in name), "all were trained"
    assert not files.checkpoints.exists()


def test_one_that_was_stopped_goes_on_and_ends_with_the_same_weights(settings: TrainerSettings, tmp_path: Path) -> None:
    whole = trained(settings)
    files = TuneFolder(tmp_path / "again")
    write_sequences(files.tokens, read_sequences(TuneFolder(Path(settings.folder)).tokens))
    again = replace(settings, folder=str(files.root))

    def interrupt() -> None:
        wait_until(lambda: len(read_losses(files.losses)) > 2, "the third step")
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Stopped), Stopper().listening():
        launch(tune_environment(), again, files)
    thread.join()
    reached = len(read_losses(files.losses))
    assert 2 < reached < STEPS
    assert list(files.checkpoints.glob("checkpoint-*")), "it left what to go on from"
    numbers = trained(again)
    assert [point.step for point in read_losses(files.losses)] == list(range(1, STEPS + 1))
    assert numbers.keys() == whole.keys()
    for name in whole:
        np.testing.assert_allclose(numbers[name], whole[name], rtol=1e-4, atol=1e-6)


def test_all_weights_become_a_model_folder(settings: TrainerSettings, tmp_path: Path) -> None:
    full = replace(settings, method="full", lora=None, epochs=1, learning_rate=0.01, dtype="auto")
    files = TuneFolder(Path(settings.folder))
    outcome = launch(tune_environment(), full, files)
    assert outcome["dtype"] == read_json(files.number_format)["dtype"]
    assert outcome["fingerprint"] == replace(full, dtype=outcome["dtype"]).fingerprint
    model = resolve(str(files.model), cache=tmp_path / "cache")
    assert model.sha256 != resolve(settings.model, cache=tmp_path / "cache").sha256
    assert Chat(model.path, {}).tokens((Message("user", "sun"),)) == Chat(settings.model, {}).tokens(
        (Message("user", "sun"),)
    )
    assert not list(files.model.glob("*.bin")), "no pickle is left"
    assert read_json(files.model / "config.json")["model_type"] == "llama"


def test_a_merged_adapter_is_the_model_with_the_adapter_in_its_weights(
    settings: TrainerSettings, tmp_path: Path
) -> None:
    files = TuneFolder(Path(settings.folder))
    launch(tune_environment(), replace(settings, merge=True, epochs=1), files)
    base, merged = (load_file(Path(folder) / "model.safetensors") for folder in (settings.model, files.model))
    adapter = load_file(files.adapter / "adapter_model.safetensors")
    changed = set()
    for name, weight in merged.items():
        pair = [adapter.get(f"base_model.model.{name.removesuffix('.weight')}.lora_{side}.weight") for side in "AB"]
        if pair[0] is None or pair[1] is None:
            np.testing.assert_array_equal(weight, base[name])
        else:
            changed.add(name)
            np.testing.assert_allclose(weight, base[name] + 8 / 4 * pair[1] @ pair[0], rtol=1e-5, atol=1e-6)
    assert len(changed) == len(adapter) / 2 > 0
    prompt = (Message("user", "sun"),)
    assert Chat(resolve(str(files.model), cache=tmp_path).path, {}).tokens(prompt) == Chat(settings.model, {}).tokens(
        prompt
    )


def test_what_the_trainer_refuses_is_told_by_the_run(settings: TrainerSettings) -> None:
    uneven = replace(settings, batch_size=6)
    with pytest.raises(AugrecError, match=r"batch of 6(.|\n)*multiple of 4"):
        launch(tune_environment(), uneven, TuneFolder(Path(settings.folder)))
