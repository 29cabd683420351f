"""Whether a model is what it claims to be: whole, changed by its adapter, and no source of noise.

vLLM leaves what a checkpoint lacks uninitialised where others fill the rest of a fused matrix, and applies of an
adapter only the modules whose names it knows. Neither says anything, and a random model answers within its grammar
like any other. So files are compared with the model before it is loaded, and a well-known sentence is scored after.

The bound on that sentence is half of chance: half of ln(vocabulary) nats per token. Measured with SmolLM2-135M (49,152
tokens, ln = 10.8): the model as it is 1.3 to 1.7; one of its 30 layers random 1.5 to 3.7, the first one 9 to 14; 5
layers 6 to 10; 15 or more 12 to 30; the vocabulary permuted, as with another model's tokenizer, 11 to 14; zeros or all
random 10.8. What lies under the bound is found by comparing files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from augment.engines.vllm.chat import Chat
from augment.engines.vllm.lora import CONFIG, WEIGHTS, read_adapter
from augment.engines.vllm.options import VllmOptions
from augment.engines.vllm.process_environment import output_to
from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.parameters import Parameters, read_parameters

SENTENCE = "One, two, three, four, five, six, seven, eight, nine, ten. Monday, Tuesday, Wednesday, Thursday, Friday."
NOISE = 0.5
"""Share of ln(vocabulary) that the mean negative log-probability of `SENTENCE` may reach."""
SAME = 1e-6
"""Log-probabilities nearer than this are the same."""
MATRIX = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(\.[^.]+)?\.weight")
PREFIX = "base_model.model."
ADAPTER_REMEDY = "name the adapter that was trained on this model, as peft saves it"


def check_files(options: VllmOptions, model: Path, log: Path) -> bool:
    """Compares the files of model and adapter with the model's architecture, before any weight is read.

    Returns:
        Whether they could be compared; see `read_parameters`.

    Raises:
        DataError: the model's files lack parameters, or hold some of another shape.
        UsageError: the adapter is for another model, or its matrices have other ranks than its configuration says.
    """
    if options.lora is not None:
        check_ranks(options.lora)
    with output_to(log):
        parameters = read_parameters(model)
    if parameters is None:
        return False
    if parameters.fault:
        raise DataError(
            f"the folder is not the whole model its config.json describes: {parameters.fault}",
            where=model,
            remedy="copy or download the model again",
        )
    if options.lora is not None:
        check_adapter(options.lora, parameters)
    return True


def check_ranks(folder: Path) -> None:
    """Raises UsageError where an adapter's matrices have a rank that its configuration does not name: what is added to
    the model is scaled by alpha / rank."""
    named = set(read_adapter(folder).ranks)
    for name, shape in _adapter_shapes(folder).items():
        matrix = MATRIX.fullmatch(name)
        if matrix and len(shape) == 2 and (rank := shape[0 if matrix["side"] == "A" else 1]) not in named:
            raise UsageError(
                f"the adapter's {matrix['module'].removeprefix(PREFIX)} has rank {rank}, and {CONFIG} says "
                f"{', '.join(map(str, sorted(named)))}: it would be added with another weight",
                where=folder / WEIGHTS,
                remedy="name the adapter as peft saved it: weights and configuration belong together",
            )


def check_adapter(folder: Path, parameters: Parameters) -> None:
    """Raises UsageError when an adapter has modules that the model has not, or of another width."""
    if any("vision" in name or "language_model" in name for name in parameters.shapes):
        return  # such models go by several names, which vLLM translates
    shapes = _adapter_shapes(folder)
    modules: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        matrix = MATRIX.fullmatch(name)
        if matrix:
            modules.setdefault(matrix["module"].removeprefix(PREFIX), {})[matrix["side"]] = shape
    unknown = sorted(module for module in modules if not _is_known(module, parameters.shapes))
    if unknown or not modules:
        named = f"{len(unknown)} of its {len(modules)} modules are not in the model ({unknown[0]})" if unknown else ""
        raise UsageError(
            f"the adapter is for another model: {named or 'it has no matrices of LoRA'}; the model has modules such as "
            f"{_example(parameters.shapes, unknown)}, and vLLM would leave out the others without a word",
            where=folder / WEIGHTS,
            remedy=ADAPTER_REMEDY,
        )
    for module, sides in sorted(modules.items()):
        weight = parameters.shapes.get(f"{module}.weight", ())
        width = (sides["B"][0], sides["A"][-1]) if sides.keys() == {"A", "B"} else None
        if width is None or (len(weight) == 2 and sorted(width) != sorted(weight)):
            made = "without one of its two matrices" if width is None else f"{width[0]} x {width[1]}"
            raise UsageError(
                f"the adapter is for another model: its {module} is {made}, and the model's "
                f"{' x '.join(map(str, weight))}",
                where=folder / WEIGHTS,
                remedy=ADAPTER_REMEDY,
            )


def check_answers(llm: Any, chat: Chat, lora: Any, options: VllmOptions, log: Path) -> None:
    """Scores a sentence: the model must know it better than chance, and an adapter must change what it thinks of it.

    Raises:
        AugrecError: it does not, or vLLM fails at this first request.
    """
    if not options.check_text and lora is None:
        return
    plain = _scores(llm, chat, None, log)
    if not plain:
        return
    mean = -sum(plain) / len(plain)
    vocabulary = llm.llm_engine.vllm_config.model_config.get_vocab_size()
    with log.open("a", encoding="utf-8") as lines:
        lines.write(
            f"a sentence of {len(plain)} tokens: {mean:.3f} nats per token, chance is {math.log(vocabulary):.3f}\n"
        )
    if options.check_text and not mean <= NOISE * math.log(vocabulary):
        raise AugrecError(
            f"the model writes noise: plain English surprises it by {mean:.1f} nats per token, where chance is "
            f"{math.log(vocabulary):.1f} and a language model at most {NOISE * math.log(vocabulary):.1f}",
            where=options.model,
            remedy="weights are missing or damaged, or the tokenizer is another model's: get them again; a model that "
            "is random on purpose needs check_text: false",
        )
    if lora is not None:
        adapted = _scores(llm, chat, lora, log)
        if not all(map(math.isfinite, adapted)):
            raise AugrecError(
                "the adapter makes numbers that are none: with it the sentence has no probability",
                where=options.lora,
                remedy=f"its weights are damaged, or its training diverged; {ADAPTER_REMEDY}",
            )
        if all(abs(before - after) <= SAME for before, after in zip(plain, adapted, strict=True)):
            raise AugrecError(
                "the adapter changes nothing: with it and without it a sentence has the same probability",
                where=options.lora,
                remedy="its matrices are zero (an adapter that was never trained?), or its modules' names are not the "
                f"model's; {ADAPTER_REMEDY}",
            )


def _scores(llm: Any, chat: Chat, lora: Any, log: Path) -> list[float]:
    """Log-probabilities of the sentence's tokens after the first; [] where this vLLM gives none."""
    from vllm import SamplingParams

    ids = list(chat.plain_tokens(SENTENCE))
    parameters = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0)
    output = ask(llm, [{"prompt_token_ids": ids}], [parameters], lora, log)[0]
    logprobs = output.prompt_logprobs
    return [float(entry[token].logprob) for token, entry in zip(ids[1:], logprobs[1:], strict=True)] if logprobs else []


def ask(llm: Any, prompts: list[Any], parameters: list[Any], lora: Any, log: Path) -> list[Any]:
    """vLLM's outputs of its first requests, by which it shows whether model, adapter and tokenizer fit together.

    Raises:
        AugrecError: it fails.
    """
    try:
        with output_to(log):
            return llm.generate(prompts, parameters, use_tqdm=False, lora_request=lora)
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise AugrecError(
            f"vLLM fails at its first request{' with the adapter' if lora is not None else ''}: {message[:300]}",
            where=log,
            remedy="the log has the details; "
            + (ADAPTER_REMEDY if lora is not None else "the tokenizer may be another model's, or the weights damaged"),
        ) from error


def _adapter_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    path = read_adapter(folder).folder / WEIGHTS
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UsageError(
            f"the adapter's weights cannot be read ({error})", where=path, remedy=ADAPTER_REMEDY
        ) from error


def _is_known(module: str, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Experts of a mixture lie in one tensor in transformers and apart in adapters."""
    experts = module.partition(".experts.")[0] + ".experts."
    return f"{module}.weight" in shapes or (".experts." in module and any(name.startswith(experts) for name in shapes))


def _example(shapes: Iterable[str], unknown: list[str]) -> str:
    """A module of the model, of the unknown one's kind where there is such."""
    names = [name.removesuffix(".weight") for name in shapes if name.endswith(".weight")]
    last = unknown[0].rpartition(".")[2] if unknown else "q_proj"
    return next((name for name in names if name.endswith(f".{last}")), names[0] if names else "none")
