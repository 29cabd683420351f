"""What can be configured about vLLM. Importable without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from augment.engines.options import EngineOptions
from augment.engines.vllm.extra import refuse_own
from augrec.artefacts.options import Options


class RooflineOptions(Options):
    """What one device can do at most."""

    flops: float = Field(gt=0.0)
    """FLOP/s of dense matrices in the format that is computed in, e.g. 989e12."""
    bytes_per_second: float = Field(gt=0.0)
    """Bytes/s between the device's memory and its cores, e.g. 4.8e12."""


class SpeculativeOptions(Options):
    """Drafts of the next tokens that the model accepts or not, several in one step, without a second model."""

    method: Literal["ngram", "suffix"]
    """ngram: what followed the last tokens where they stand earlier in the prompt or the answer. suffix: the same by
    suffix trees, of earlier answers too; needs the package arctic-inference."""
    num_speculative_tokens: int = Field(default=4, ge=1, le=64)
    """Most tokens of a draft."""
    prompt_lookup_max: int = Field(default=4, ge=1)
    """Most tokens that are looked for. Of ngram alone."""
    prompt_lookup_min: int = Field(default=2, ge=1)
    """Fewest tokens that are looked for. Of ngram alone."""
    suffix_decoding_max_cached_requests: int = Field(default=0, ge=0)
    """How many earlier answers drafts are taken from; 0 for none but the request's own text. Of suffix alone."""

    @model_validator(mode="after")
    def _of_its_method(self) -> SpeculativeOptions:
        other = "suffix_" if self.method == "ngram" else "prompt_lookup_"
        wrong = sorted(name for name in self.model_fields_set if name.startswith(other))
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: not of the method {self.method}")
        if self.prompt_lookup_min > self.prompt_lookup_max:
            raise ValueError("prompt_lookup_min must not be more than prompt_lookup_max")
        return self

    def settings(self) -> dict[str, Any]:
        """In vLLM's words."""
        other = "suffix_" if self.method == "ngram" else "prompt_lookup_"
        return {name: value for name, value in self.model_dump().items() if not name.startswith(other)}


class VllmOptions(EngineOptions):
    """An open-weight model run by vLLM in this process, on its GPUs or on the CPU."""

    kind: Literal["vllm"] = "vllm"
    """Which engine."""
    needs_gpu: ClassVar[bool] = True
    loads_weights: ClassVar[bool] = True
    changes_no_answer: ClassVar[frozenset[str]] = frozenset(
        {
            *("kv_cache_gib", "gpu_memory_fraction"),  # memory
            "roofline",  # what the time is compared with
            *("lora", "tokenizer"),  # paths, whose files are identified by their content
            "lora_base",  # what is known of the adapter
            "check_text",  # refuses or not
            "record_unanswered",  # whether to go on without some answers
        }
    )
    model: str
    """A local folder, or a name that the pipeline resolves to one."""
    revision: str | None = None
    """Revision of a named model; recorded, and used when weights are fetched."""
    tokenizer: str | None = None
    """Folder of another tokenizer than the model's own; known by its content, so it may be moved."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights and of the key-value cache. auto: on a CPU what its instructions are fastest in
    (bfloat16 with avx512_bf16 or amx_bf16, else float32), kept for the whole run; on a GPU, and for quantised weights,
    vLLM's choice."""
    max_model_len: int = Field(default=2048, ge=128)
    """Longest prompt and answer together, in tokens. Longer histories are shortened, oldest first, and recorded."""
    max_num_seqs: int = Field(default=64, ge=1)
    """Requests computed at once."""
    max_num_batched_tokens: int | None = Field(default=None, ge=128)
    """Tokens computed in one step. None: vLLM's default on a GPU; twice max_model_len, at least 4096, on the CPU."""
    block_size: int | None = Field(default=None, ge=16)
    """Tokens per block of the prefix cache. None: vLLM's default on a GPU; 32 on the CPU, where the default of 128
    forgets most of a short shared beginning."""
    kv_cache_gib: float | None = Field(default=None, gt=0.0)
    """GiB of memory for the key-value cache on the CPU. None: 2, and 4 in float32, where a token takes twice as much.
    Ignored on a GPU."""
    threads: int | None = Field(default=None, ge=1)
    """Threads on the CPU. None: as many as cores are free, looked at again every few seconds, at most OMP_NUM_THREADS
    where that is set. On busy cores one thread is faster than many, because every operation waits for the slowest."""
    gpu_memory_fraction: float = Field(default=0.9, gt=0.0, le=1.0)
    """Share of GPU memory for weights and cache. Ignored on the CPU."""
    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs that share each layer."""
    pipeline_parallel: int = Field(default=1, ge=1)
    """Groups of GPUs that hold consecutive layers."""
    kv_cache_dtype: Literal["auto", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2"] = "auto"
    """Number format of the key-value cache. auto: that of `dtype`, or what the weights ask for. fp8 holds twice as many
    tokens in the same memory, and changes answers."""
    quantization: str | None = None
    """vLLM's name of a quantization method, e.g. "fp8"; None: what the weights say."""
    lora: Path | None = None
    """Folder of a LoRA adapter to apply."""
    lora_base: str | None = None
    """What the adapter calls the model that it was trained on, once you have seen that this is `model` under another
    name: nothing is cautioned of then. An adapter that names another base is refused."""
    max_lora_rank: Literal[8, 16, 32, 64, 128, 256, 320, 512] | None = None
    """Room for an adapter's rank. None: the least that holds it."""
    tuned: bool = False
    """Answer with what the run's section `tune` made of `model`: its adapter, or its weights."""
    enforce_eager: bool | None = None
    """Skip compilation and graph capture: starts faster, runs slower on a GPU. None: only on the CPU."""
    grammar_backend: Literal["xgrammar", "guidance"] = "xgrammar"
    """What holds answers to their grammar. Never chosen per request, so behaviour cannot change with the schema."""
    window: int = Field(default=2, ge=1, le=16)
    """Requests handed to the engine ahead of time, in multiples of max_num_seqs."""
    exact: bool = True
    """Same text however often the run is interrupted. Requests are admitted in fixed blocks that are computed whole and
    from an empty prefix cache, because the other requests in a batch change the last bits of a result. Off: a sliding
    window, faster; an interrupted run then gives other answers than an uninterrupted one to some requests."""
    block: int = Field(default=16, ge=1, le=64)
    """Size of a fixed block, in multiples of max_num_seqs. Smaller loses less work when killed and runs slower: at the
    end of each block the batch empties before the next one begins."""
    batch_invariant: bool = False
    """vLLM's batch-invariant kernels (NVIDIA, compute capability 8 and above): exact without fixed blocks."""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Passed to the chat template, e.g. {"enable_thinking": false} for Qwen3."""
    speculative_config: SpeculativeOptions | None = None
    """Draft several tokens and have the model check them in one step. Answers are drawn from the same distribution, but
    are others; measure whether it pays. Not for tasks that are scored."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """More options of vLLM by the names of its EngineArgs, e.g. {"attention_backend": "FLASHINFER"}. All of them are
    part of every request's key but those that are known to change no answer; what has a key here is refused."""
    check_text: bool = True
    """Refuse a model to which plain English is a surprise when it starts: weights are missing, or the tokenizer is
    another model's. Off: for models that are random on purpose."""
    record_unanswered: bool = False
    """Record as failed, for good, a request that ends the engine again and again: the way out where a run never comes
    past it. After an end without a word, what was under way is then asked one by one; a request that ends the engine
    twice alone is the one."""
    roofline: RooflineOptions | None = None
    """Peaks of the device for the floor in summary.json. null: those known of it, if it is a known one."""

    @model_validator(mode="after")
    def _fits(self) -> VllmOptions:
        if self.max_num_batched_tokens is not None and self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError("max_num_batched_tokens must be at least max_num_seqs")
        if self.block_size is not None and self.block_size % 16:
            raise ValueError("block_size must be a multiple of 16")
        refuse_own(self.extra)
        drafted = self.speculative_config
        if self.exact and drafted is not None and drafted.suffix_decoding_max_cached_requests:
            raise ValueError(
                "suffix_decoding_max_cached_requests: drafts from earlier answers make a block depend on those before "
                "it; set it to 0, or exact: false"
            )
        if self.tuned and self.lora is not None:
            raise ValueError("lora and tuned: name one of them; an engine applies one adapter")
        if self.lora_base is not None and self.lora is None:
            raise ValueError("lora_base: it says what the adapter `lora` was trained on, and none is named")
        return self

    @property
    def gpus(self) -> int:
        """See EngineOptions."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def peaks(self) -> tuple[float, float] | None:
        """See EngineOptions."""
        return (self.roofline.flops, self.roofline.bytes_per_second) if self.roofline else None

    @property
    def records_fatal(self) -> bool:
        """See EngineOptions."""
        return self.record_unanswered

    @property
    def uses_tuned(self) -> bool:
        """See EngineOptions."""
        return self.tuned

    def with_tuned(self, *, adapter: Path | None = None, model: Path | None = None) -> Self:
        """See EngineOptions."""
        filled = {"lora": adapter} if model is None else {"model": str(model)}
        return self.model_copy(update={"tuned": False, **filled})

    def file_hashes(self) -> dict[str, str]:
        """See EngineOptions: those of the adapter, whose base is compared, and of a tokenizer of its own."""
        from augment.engines.vllm.chat import tokenizer_sha256
        from augment.engines.vllm.lora import read_adapter, require_base

        hashes = {"adapter": read_adapter(self.lora).sha256} if self.lora else {}
        if self.lora is not None and self.lora_base is not None:
            require_base(self.lora, self.lora_base)
        return hashes | ({"tokenizer": tokenizer_sha256(self.tokenizer)} if self.tokenizer else {})
