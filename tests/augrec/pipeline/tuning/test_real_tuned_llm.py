"""The real LLM is taught made-up words, and the real engine answers with them as the library does that trained it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from augment.engines.base import EngineInputs
from augment.engines.registry import build_engine
from augment.engines.vllm.chat import Chat
from augment.engines.vllm.options import VllmOptions
from augment.messages import Message, Messages
from augrec.artefacts.files import sha256_file
from augrec.artefacts.loss_curve import read_losses
from augrec.artefacts.token_sequences import TokenSequence, write_sequences
from augrec.artefacts.tune_folder import TuneFolder
from augrec.pipeline.tuning.environment import tune_environment
from augrec.pipeline.tuning.launch import environment_variables, launch
from augrec.pipeline.tuning.settings import TrainerSettings
from augrec.pipeline.weights import resolve
from tests.kit.real_parts import SMOLLM2

pytestmark = [pytest.mark.tune, pytest.mark.vllm]

WORDS = {"fox": "blicket", "owl": "dax", "whale": "toma", "crow": "wug"}
PHRASES = ("Code for {}?", "Code word of the {}?", "{}: which code?", "Give the code for {}.", "And the {}?")
GREEDY = """
import json, sys
from peft import PeftModel
from transformers import AutoModelForCausalLM
model, adapter, prompts, most = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
import torch
torch.set_num_threads(1)
tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), adapter).eval()
for prompt in prompts:
    ids = torch.tensor([prompt])
    mask = torch.ones_like(ids)
    written = tuned.generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=most)
    print(json.dumps(written[0, len(prompt):].tolist()))
"""
MOST = 10


def asked(text: str) -> Messages:
    return (Message("user", text),)


def taught(model: Path, folder: Path) -> TrainerSettings:
    """Every word in every phrase, with the answer as a grammar would have it."""
    chat, sequences = Chat(model, {}), []
    for animal, word in WORDS.items():
        for number, phrase in enumerate(PHRASES):
            prompt, answer = chat.tokens(asked(phrase.format(animal))), chat.answer_tokens(f'{{"code":"{word}"}}')
            sequences.append(TokenSequence(f"{animal}-{number}", (*prompt, *answer), len(prompt)))
    write_sequences(folder / "tokens.parquet", sequences)
    return TrainerSettings(
        model=str(model), model_sha256="smollm2", folder=str(folder),
        tokens_sha256=sha256_file(folder / "tokens.parquet"), code="", method="lora", epochs=5, learning_rate=2e-3,
        batch_size=10, micro_batch_size=10, warmup_steps=1, seed=1, lora={"rank": 8, "alpha": 16, "dropout": 0.0},
    )  # fmt: skip


def greedy(model: Path, adapter: Path, prompts: list[list[int]]) -> list[list[int]]:
    """What the library that trained writes with the adapter, token by token."""
    words = [str(tune_environment().python), "-c", GREEDY, str(model), str(adapter), json.dumps(prompts), str(MOST)]
    ended = subprocess.run(words, env=environment_variables(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return [json.loads(line) for line in ended.stdout.splitlines()]


def by_engine(engine: Any, prompts: list[list[int]], lora: Any) -> list[list[int]]:
    """What vLLM writes without a grammar."""
    from vllm import SamplingParams

    parameters = SamplingParams(temperature=0.0, max_tokens=MOST)
    asked = [{"prompt_token_ids": prompt} for prompt in prompts]
    outputs = engine.llm.generate(asked, [parameters] * len(asked), use_tqdm=False, lora_request=lora)
    return [list(output.outputs[0].token_ids) for output in outputs]


def test_the_engine_answers_what_was_taught_as_the_library_does(tmp_path: Path) -> None:
    from vllm.lora.request import LoRARequest

    model, files = resolve(SMOLLM2), TuneFolder(tmp_path / "tune")
    launch(tune_environment(), taught(model.path, files.root), files)
    losses = [point.loss for point in read_losses(files.losses)]
    assert losses[-1] < losses[0] / 3
    options = VllmOptions(
        model=SMOLLM2, max_model_len=256, max_num_seqs=4, kv_cache_gib=0.25, threads=1, dtype="float32", tuned=True
    ).with_tuned(adapter=files.adapter)
    log = tmp_path / "engine.log"
    with build_engine(options, EngineInputs(log, model=model.path, model_sha256=model.sha256)) as engine:
        engine.start()
        chat = Chat(model.path, {})
        prompts = [list(chat.tokens(asked(f"Code for {animal}?"))) for animal in WORDS]
        tuned = by_engine(engine, prompts, LoRARequest("adapter", 1, str(files.adapter)))
        plain = by_engine(engine, prompts, None)
    assert tuned == greedy(model.path, files.adapter, prompts)
    assert all(one != other for one, other in zip(tuned, plain, strict=True)), "the plain model knows none of it"
    wanted = [list(chat.answer_tokens(f'{{"code":"{word}"}}')) for word in WORDS.values()]
    assert all(answer in wanted for answer in tuned), "it ends after one of the words; which is whose takes longer"
