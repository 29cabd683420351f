"""What a LoRA adapter costs vLLM beside the same adapter added to the weights (`tune.merge`), in CPU seconds.

    python -m benchmarks.tuned_weights [--model FOLDER] [--prompts N] [--rounds R] [--json FILE]

The adapter is random, of rank 16 on all linear layers of the model: what is in it does not change what it costs. Each
engine answers the same prompts in a process of its own, in turns, on one thread.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from augment.engines.base import EngineInputs
from augment.engines.registry import build_engine
from augment.engines.vllm.options import VllmOptions
from augrec.artefacts.files import write_json
from augrec.pipeline.doctor.checks import SMALL_LLM
from augrec.pipeline.weights.resolve import resolve
from benchmarks.fresh import in_a_fresh_process
from benchmarks.result import Result, add_json_option, report, run

RANK, ALPHA = 16, 32
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PROMPT, WRITTEN = 500, 2
"""Tokens of a prompt, as those of the task `ranking` have, and of an answer."""


def write_both(model: Path, adapter: Path, merged: Path) -> None:
    """An adapter as peft saves it, and a copy of the model with W + (alpha / r) B A in its place."""
    draws = torch.Generator().manual_seed(7)
    shutil.copytree(model, merged)
    weights = {path: load_file(path) for path in sorted(merged.glob("*.safetensors"))}
    matrices: dict[str, torch.Tensor] = {}
    for path, tensors in weights.items():
        for name in sorted(tensors):
            module = name.removesuffix(".weight")
            if module.rpartition(".")[2] not in LINEAR:
                continue
            rows, columns = tensors[name].shape
            down, up = (0.02 * torch.randn(shape, generator=draws) for shape in ((RANK, columns), (rows, RANK)))
            matrices |= {
                f"base_model.model.{module}.lora_A.weight": down,
                f"base_model.model.{module}.lora_B.weight": up,
            }
            tensors[name] = (tensors[name].float() + ALPHA / RANK * up @ down).to(tensors[name].dtype)
        save_file(tensors, path, metadata={"format": "pt"})
    adapter.mkdir()
    save_file(matrices, adapter / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": list(LINEAR), "bias": "none"}
    write_json(adapter / "adapter_config.json", config)


def answer_seconds(model: str, adapter: str | None, prompts: int, log: str) -> tuple[float, list[list[int]]]:
    """CPU seconds of an engine for its answers, without its start, and the tokens of them."""
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest

    options = VllmOptions(
        model=model, lora=None if adapter is None else Path(adapter), max_model_len=1024, max_num_seqs=16, threads=1,
        kv_cache_gib=1.0, check_text=False,
    )  # fmt: skip
    found = resolve(model)
    with build_engine(options, EngineInputs(Path(log), model=found.path, model_sha256=found.sha256)) as engine:
        engine.start()
        llm = engine.llm  # type: ignore[attr-defined]
        ids = torch.randint(100, 40_000, (prompts + 1, PROMPT), generator=torch.Generator().manual_seed(0)).tolist()
        asked = [{"prompt_token_ids": prompt} for prompt in ids]
        lora = None if adapter is None else LoRARequest("adapter", 1, adapter)
        words = SamplingParams(temperature=0.0, max_tokens=WRITTEN, min_tokens=WRITTEN)
        llm.generate(asked[:1], words, use_tqdm=False, lora_request=lora)
        began = time.process_time()
        outputs = llm.generate(asked[1:], words, use_tqdm=False, lora_request=lora)
        return time.process_time() - began, [list(output.outputs[0].token_ids) for output in outputs]


def measured(model: Path, folder: Path, prompts: int, rounds: int) -> list[Result]:
    """The seconds of both, and their ratio."""
    adapter, merged = folder / "adapter", folder / "merged"
    write_both(model, adapter, merged)
    ways: dict[str, tuple[str, str | None]] = {
        "base model": (str(model), None),
        "adapter": (str(model), str(adapter)),
        "merged": (str(merged), None),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    answers: dict[str, list[list[int]]] = {}
    for _ in range(rounds):
        for way, (weights, lora) in ways.items():
            took, answers[way] = in_a_fresh_process(answer_seconds, weights, lora, prompts, str(folder / "vllm.log"))
            seconds[way].append(took)
    middle = {way: statistics.median(took) for way, took in seconds.items()}
    rate = {way: prompts * PROMPT / took for way, took in middle.items()}
    alike = sum(a == b for a, b in zip(answers["adapter"], answers["merged"], strict=True)) / prompts
    return [
        *(Result.unjudged(f"prompt tokens per CPU second, {way}", rate[way], "1/s", "measured") for way in ways),
        Result.at_least("adapter / merged", middle["adapter"] / middle["merged"], 1.0, "x"),
        Result.unjudged("answers alike, adapter and merged", alike, "share", "rounding differs in bfloat16"),
    ]


def main() -> int:
    """Reads the command line, measures, reports."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuned_weights", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=SMALL_LLM, help="a folder, or a name that the pipeline resolves to one")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1)
    add_json_option(parser)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measured(resolve(asked.model).path, Path(folder), asked.prompts, asked.rounds)
    return report("an adapter beside merged weights in vLLM on a CPU, one thread", results, asked.json)


if __name__ == "__main__":
    run(main)
