"""Engines: can they be started here, do their models fit into the GPUs, and does a server answer?"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from augment.accounting.devices import devices_called
from augment.engines.memory import MemoryNeed, UnknownSize
from augment.engines.openai.http import key_in
from augment.engines.openai.options import OpenAIOptions
from augment.engines.registry import ENGINES
from augment.engines.vllm.extra import check_names
from augment.engines.vllm.lora import base_of
from augment.engines.vllm.number_format import built_for_cpu
from augment.engines.vllm.options import VllmOptions
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.gpus import query_gpus
from augrec.artefacts.memory import memory_limit, physical_memory, size_in_words
from augrec.artefacts.processor import CPUINFO
from augrec.artefacts.visible import one_line
from augrec.pipeline.doctor.checks import NVIDIA_SMI_SECONDS, gpu_rows, vllm_row
from augrec.pipeline.preflight.findings import Finding, Level, refusals
from augrec.pipeline.preflight.models import engine_key, sources_asked
from augrec.pipeline.stages import STAGES
from augrec.pipeline.stages.base import Run
from augrec.pipeline.tuning.served import applies_adapter
from augrec.pipeline.weights import find_folder
from augrec.pipeline.weights.adapter_base import is_local, other_base

VLLM = "vllm"
SECONDS_TO_ANSWER = 3.0
"""How long a server may take to say that it is there."""


@dataclass(frozen=True)
class Gpu:
    """A GPU that engines may run on: how it is called, and its bytes."""

    called: str
    memory: float


def gpus_here() -> list[Gpu]:
    """The GPUs of this machine that say how much memory they have."""
    try:
        listed = query_gpus(("name", "memory.total"), NVIDIA_SMI_SECONDS) or []
    except (subprocess.SubprocessError, OSError):
        return []
    return [Gpu(f"{name} ({int(mib) / 1024:.0f} GiB)", int(mib) * 2.0**20) for name, mib in listed if mib.isdigit()]


def gpus_called(name: str) -> list[Gpu]:
    """The kinds of GPU that a cluster's word for one may mean; the smallest memory first."""
    sizes = sorted({device.memory for device in devices_called(name)})
    return [Gpu(f"{size / 1e9:.0f} GB ({name})", size) for size in sizes]


def look_at_engines(run: Run, gpus: list[Gpu], *, here: bool) -> Iterator[Finding]:
    """What keeps the engines of a run from starting.

    Args:
        run: the run.
        gpus: what they would run on; empty where nobody knows.
        here: whether they run on this machine.
    """
    kinds: dict[str, str] = {}
    for name, source in sources_asked(run).items():
        engine: Any = source.engine
        kinds.setdefault(engine.kind, name)
        if engine.loads_weights:
            on_cpu = here and not gpus and built_for_cpu()
            yield from _look_at_memory(name, engine, gpus, on_cpu=on_cpu)
            if STAGES["augment"].marker(run) is None:
                yield from look_at_adapter(run, name) if on_cpu else ()
                yield from _look_at_base(name, engine)
        if isinstance(engine, OpenAIOptions):
            yield from _look_at_server(run, name, engine)
        if here and isinstance(engine, VllmOptions):
            try:
                check_names(engine.extra)
            except UsageError as unknown:
                yield Finding("problem", unknown.what, f"{engine_key(name)}.extra", unknown.remedy or "")
    if here and VLLM in kinds:
        row = vllm_row(gpu_rows(), CPUINFO)
        if row.state != "ok":
            yield Finding("problem", row.value, f"{engine_key(kinds[VLLM])}.kind", row.remedy)


def look_at_adapter(run: Run, name: str) -> Iterator[Finding]:
    """What a source's adapter costs where vLLM runs on a processor: it gathers the matrices anew for every token."""
    assert run.config.generation is not None
    engine: Any = run.config.generation.sources[name].engine
    if not applies_adapter(engine, run.config):
        return
    what = "vLLM on a CPU reads a prompt about ten times slower with an adapter than with merged weights"
    if engine.uses_tuned:
        yield Finding(
            "caution", what, f"{engine_key(name)}.tuned", "tune.merge: true adds it to the base model's weights"
        )
    else:
        remedy = "merge it into its model (peft: `merge_and_unload`) and name that folder as `model`"
        yield Finding("caution", what, f"{engine_key(name)}.lora", remedy)


def _look_at_base(name: str, engine: Any) -> Iterator[Finding]:
    """Whether an adapter that a config names was trained on the model that it is added to."""
    lora = getattr(engine, "lora", None)
    if lora is None:
        return
    try:
        base, folder = base_of(lora), find_folder(engine.model)
    except AugrecError:
        return  # said of the adapter, or of the model
    what = other_base(base, engine.model, folder, confirmed=engine.lora_base == base)
    if what:
        gone = is_local(base) and not Path(base).expanduser().exists()
        yield Finding(
            "fact" if gone else "caution",
            f"{what}: vLLM adds it to any model of its widths",
            f"{engine_key(name)}.lora",
            "name as `model` what it was trained on; if that is the same model under another name, say so: lora_base: "
            f"{json.dumps(one_line(base, 200), ensure_ascii=False)}",
        )


def _look_at_memory(name: str, engine: Any, gpus: list[Gpu], *, on_cpu: bool) -> Iterator[Finding]:
    try:
        folder = find_folder(engine.model)
    except AugrecError:
        return  # said of the model
    key = engine_key(name)
    if folder is None:
        yield Finding("fact", "its size is known when the GGUF file has been converted", f"{key}.model")
        return
    try:
        need = ENGINES.find(engine.kind).memory_need(engine, folder)
    except UnknownSize as unknown:
        yield Finding("fact", f"whether it fits into a GPU is not known: {unknown}", f"{key}.model")
        return
    if need is None:
        return
    if need.most_tokens is not None and need.longest > need.most_tokens:
        what = f"{need.longest:,} tokens, and the model takes {need.most_tokens:,}"
        yield Finding("problem", what, f"{key}.max_model_len", f"set it to {need.most_tokens} or less")
    yield _on_cpu(need, key) if on_cpu else _on_gpus(need, key, gpus)


def _on_cpu(need: MemoryNeed, key: str) -> Finding:
    """Weights that are no smaller than in two bytes a number, against the memory of this machine."""
    there = min(filter(None, (memory_limit(), physical_memory())), default=None)
    size = f"its weights take {size_in_words(need.weights)} or more"
    if there is None or need.weights < there:
        has = "" if there is None else f", and this machine has {size_in_words(there)} of memory"
        return Finding("fact", f"{size}{has}", f"{key}.model")
    what = f"{size}, and this machine, whose processor would run it, has {size_in_words(there)} of memory"
    return Finding("problem", what, f"{key}.model", "take a smaller model, or a machine with a GPU")


def _on_gpus(need: MemoryNeed, key: str, gpus: list[Gpu]) -> Finding:
    """Against the smallest of the GPUs; where none is known, what would be large enough."""
    if not gpus:
        smallest = need.smallest_gpu()
        fits = f"needs GPUs of {smallest} GB or more" if smallest else "fits into no GPU that is known here"
        return Finding("fact", f"{fits}: {need.parts()}", f"{key}.model")
    gpu = min(gpus, key=lambda gpu: gpu.memory)
    if need.full_requests(gpu.memory):
        return Finding("fact", need.on(gpu.memory, gpu.called), f"{key}.model")
    remedy = "raise tensor_parallel, lower max_model_len or max_num_seqs, or take a smaller or quantised model"
    level: Level = "problem" if need.cannot_start(gpu.memory) else "caution"  # an estimate stops nobody
    return Finding(level, need.on(gpu.memory, gpu.called), f"{key}.model", remedy)


def _look_at_server(run: Run, name: str, engine: OpenAIOptions) -> Iterator[Finding]:
    """Whether the keys of servers are there, and, as long as they have something to answer, the servers themselves."""
    key, waited = engine_key(name), STAGES["augment"].marker(run) is None
    for number, server in enumerate(engine.each):
        place = f"{key}.endpoints.{number}" if engine.endpoints else key
        variable = server.api_key_env
        lacking = refusals(f"{place}.api_key_env", partial(key_in, variable))
        yield from lacking
        if waited and not lacking:
            yield from _ask_server(server, place)


def _ask_server(server: OpenAIOptions, place: str) -> Iterator[Finding]:
    """Whether a server says that it is there."""
    import httpx

    variable = server.api_key_env
    headers = {"Authorization": f"Bearer {key_in(variable)}"} if variable else {}
    address = f"{str(server.base_url).rstrip('/')}/models"
    remedy = "start it before the stage augment, or correct the address"
    try:
        with httpx.stream("GET", address, headers=headers, timeout=SECONDS_TO_ANSWER, trust_env=False) as answer:
            status = answer.status_code  # whatever else it sends is not read
            kind = one_line(answer.headers.get("Content-Type", ""), 60)
    except httpx.HTTPError as error:
        what = f"nothing answers at {address} ({type(error).__name__})"
        yield Finding("caution", what, f"{place}.base_url", remedy)
        return
    if status in (401, 403):
        what = f"the server refuses the key ({status})"
        yield Finding("caution", what, f"{place}.api_key_env", "check it")
    elif status >= 500:
        yield Finding("caution", f"{address} answers with status {status}", f"{place}.base_url", remedy)
    elif kind.casefold().startswith("text/html"):
        what = f"a page for browsers answers at {address} (status {status}, {kind})"
        yield Finding("caution", what, f"{place}.base_url", "correct the address: it ends in /v1, and may lack a port")
