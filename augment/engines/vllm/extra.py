"""vLLM's own options that are handed through: which may be, and which of them decide an answer.

Whatever is not known to change nothing is part of every record's identity. `CHANGES_NOTHING` holds what only says
where something lies, what is logged, how weights are read, how much memory is taken or how requests are put into steps:
from these the last bits of a result may follow, as from `max_num_seqs`, and never its distribution. What Augrec sets
has a key of its own or no choice; what names code is refused, because a config of somebody else runs none.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import UsageError
from augrec.artefacts.names import suggestion

ALWAYS = "it is always {}"
SET_HERE: Mapping[str, str] = {
    **{
        name: f"say `{name}` beside `extra`"
        for name in (
            *("model", "revision", "tokenizer", "dtype", "max_model_len", "max_num_seqs", "max_num_batched_tokens"),
            *("block_size", "quantization", "enforce_eager", "kv_cache_dtype", "max_lora_rank", "speculative_config"),
        )
    },
    "tensor_parallel_size": "say `tensor_parallel` beside `extra`",
    "pipeline_parallel_size": "say `pipeline_parallel` beside `extra`",
    "gpu_memory_utilization": "say `gpu_memory_fraction` beside `extra`",
    "kv_cache_memory_bytes": "say `kv_cache_gib` beside `extra`",
    "structured_outputs_config": "say `grammar_backend` beside `extra`",
    "enable_lora": "say `lora` beside `extra`",
    "max_loras": "one adapter is applied, `lora` beside `extra`",
    "enable_prefix_caching": ALWAYS.format("on; exact blocks begin with an empty cache"),
    "disable_log_stats": ALWAYS.format("off, because counts of tokens come from it"),
    "enable_chunked_prefill": ALWAYS.format("off on a CPU, and vLLM's choice on a GPU"),
    "distributed_executor_backend": "it follows from the number of GPUs",
    "seed": "every request has a seed of its own, from the run's",
    "runner": ALWAYS.format("generate"),
    "convert": ALWAYS.format("none"),
    "skip_tokenizer_init": ALWAYS.format("off"),
    "served_model_name": "nobody asks by a name here",
    "spec_method": "say `speculative_config` beside `extra`",
    "spec_model": "say `speculative_config` beside `extra`",
    "spec_tokens": "say `speculative_config` beside `extra`",
    "data_parallel_size": "one process answers on its own GPUs; `augrec run --workers` starts several",
    "tokenizer_revision": "`tokenizer` names a folder",
    "hf_token": "nothing is fetched while a model runs, and a config holds no key",
    "logprobs_mode": "scores are read as vLLM gives them by default",
    "max_logprobs": "scores ask for their labels alone",
}
"""Names with the way to say it, or why there is none."""
NAMES_CODE = frozenset(
    {
        *("trust_remote_code", "logits_processors", "worker_cls", "worker_extension_cls", "scheduler_cls"),
        *("reasoning_parser_plugin", "io_processor_plugin", "compilation_config", "kv_transfer_config"),
        *("ec_transfer_config", "model_class_overrides", "additional_config", "weight_transfer_config"),
    }
)
"""Options by which vLLM imports what they name, or runs code of the model's folder."""
CHANGES_NOTHING = frozenset(
    {
        # where something lies, and how weights come to be read
        *("download_dir", "safetensors_load_strategy", "safetensors_prefetch_num_threads", "use_tqdm_on_load"),
        *("safetensors_prefetch_block_size", "max_parallel_loading_workers", "pt_load_map_location"),
        # what is logged and measured
        *("aggregate_engine_logging", "show_hidden_metrics_for_version", "otlp_traces_endpoint", "log_level"),
        *("collect_detailed_traces", "kv_cache_metrics", "kv_cache_metrics_sample", "cudagraph_metrics"),
        *("enable_layerwise_nvtx_tracing", "enable_mfu_metrics", "enable_logging_iteration_details"),
        *("per_request_spec_decode_metrics", "custom_histogram_buckets", "ray_workers_use_nsight", "stream_interval"),
        # how much memory is taken, and where
        *("cpu_offload_gb", "offload_group_size", "offload_num_in_group", "offload_prefetch_step"),
        *("num_gpu_blocks_override", "kv_offloading_size", "watermark", "enable_sleep_mode", "max_cpu_loras"),
        # how requests are put into steps, and how long anything is waited for
        *("max_num_scheduled_tokens", "max_num_active_seqs", "long_prefill_token_threshold", "async_scheduling"),
        *("prefill_schedule_interval", "distributed_timeout_seconds", "shutdown_timeout", "numa_bind"),
        *("numa_bind_nodes", "numa_bind_cpus"),
    }
)


def refuse_own(names: Collection[str]) -> None:
    """Raises ValueError for options that Augrec sets itself, and for such that name code."""
    for name in names:
        if name in SET_HERE:
            raise ValueError(f"{name} is set by Augrec itself: {SET_HERE[name]}")
        if name in NAMES_CODE:
            raise ValueError(f"{name} has vLLM run code that it names, and a config runs none")


def check_names(names: Collection[str], known: Collection[str] | None = None) -> None:
    """Raises UsageError for what is no option of the installed vLLM, with the nearest that is one.

    Args:
        names: of the options.
        known: what vLLM takes; None reads it. Where it cannot be read, vLLM itself will refuse.
    """
    known = argument_names() if known is None else known
    for name in names:
        if known and name not in known:
            near = suggestion(name, known)
            raise UsageError(
                f"vLLM has no option '{name}'",
                where="extra, in the engine's section",
                remedy=f"{near}names are those of vLLM's EngineArgs",
            )


@cache
def argument_names() -> frozenset[str]:
    """The names of EngineArgs of the installed vLLM, read from its source; empty where that has another shape.

    Importing vLLM would take seconds, and before its environment is set up.
    """
    found = importlib.util.find_spec("vllm")
    file = Path(found.origin).parent / "engine" / "arg_utils.py" if found and found.origin else None
    try:
        tree = ast.parse(file.read_text(encoding="utf-8")) if file else ast.Module([], [])
    except (OSError, ValueError, SyntaxError):
        return frozenset()
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "EngineArgs")
    return frozenset(
        field.target.id
        for node in classes
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id[0] != "_"
    )


def deciding(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that may decide an answer: all that are not known to change nothing."""
    return {name: value for name, value in extra.items() if name not in CHANGES_NOTHING}
