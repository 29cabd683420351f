"""What can be configured about generation. Importable without vLLM and torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, create_model, field_validator, model_validator

from augment.prompts.presentation import ItemTextOptions, Titles
from augment.tasks import TASKS
from augment.tasks.base import TaskOptions
from augrec.artefacts.names import Named
from augrec.artefacts.options import Options


class RooflineOptions(Options):
    """What one device can do at most."""

    flops: float = Field(gt=0.0)
    """FLOP/s of dense matrices in the format that is computed in, e.g. 989e12."""
    bytes_per_second: float = Field(gt=0.0)
    """Bytes/s between the device's memory and its cores, e.g. 4.8e12."""


class VllmOptions(Options):
    """An open-weight model run by vLLM in this process, on its GPUs or on the CPU."""

    kind: Literal["vllm"] = "vllm"
    """Which engine."""
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
    quantization: str | None = None
    """vLLM's name of a quantization method, e.g. "fp8"; None: what the weights say."""
    lora: Path | None = None
    """Folder of a LoRA adapter to apply."""
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
    block: int = Field(default=4, ge=1, le=64)
    """Size of a fixed block, in multiples of max_num_seqs. Smaller loses less work when killed and runs slower."""
    batch_invariant: bool = False
    """vLLM's batch-invariant kernels (NVIDIA, compute capability 8 and above): exact without fixed blocks."""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Passed to the chat template, e.g. {"enable_thinking": false} for Qwen3."""
    check_text: bool = True
    """Refuse a model to which plain English is a surprise when it starts: weights are missing, or the tokenizer is
    another model's. Off: for models that are random on purpose."""
    roofline: RooflineOptions | None = None
    """Peaks of the device for the floor in summary.json. null: those known of it, if it is a known one."""

    @model_validator(mode="after")
    def _fits(self) -> VllmOptions:
        if self.max_num_batched_tokens is not None and self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError("max_num_batched_tokens must be at least max_num_seqs")
        if self.block_size is not None and self.block_size % 16:
            raise ValueError("block_size must be a multiple of 16")
        return self


class HeuristicOptions(Options):
    """The control: each task's rule, no language model."""

    kind: Literal["heuristic"] = "heuristic"
    """Which engine."""
    rule: Literal["task", "tfidf"] = "task"
    """task: each task's own. tfidf: a user's profile is their history's terms by TF-IDF, in whatever style others
    write it; other tasks keep their own. In prose both are the same."""
    terms: int = Field(default=20, ge=1, le=200)
    """Most terms of a profile by TF-IDF."""


class ReplayOptions(Options):
    """Records that exist already, published ones or an earlier run's; nothing is generated."""

    kind: Literal["replay"] = "replay"
    """Which engine."""
    records: Path
    """Folder with <task>/records.parquet: a run's augment/<source>, or what `augrec import` wrote."""
    dataset: Path | None = None
    """Folder of the data set the records were written for. null: the one of the run or import they lie in."""
    match: Literal["source_id", "position"] = "source_id"
    """How users and items of the two data sets are matched: by the ids their source gave them, or by their position
    (right only where both have the same users and items in the same order)."""
    vectors: bool = False
    """Copy the vectors that came with the records (embed/<source> beside their augment/<source>) instead of embedding
    their text."""


class OpenAIOptions(Options):
    """A server that speaks OpenAI's chat completions, e.g. `vllm serve`. The only engine that opens a socket."""

    kind: Literal["openai"] = "openai"
    """Which engine."""
    base_url: str
    """Address up to the version, e.g. http://gpu7:8000/v1."""
    model: str
    """The name the server gives the model."""
    revision: str | None = None
    """What is known of the weights behind that name; part of every request's key, so change it when they change."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable that holds the key. The key itself is never written anywhere."""
    dialect: Literal["vllm", "openai"] = "vllm"
    """vllm: top_k and repetition_penalty are sent too. openai: OpenAI's own parameters only, and the answer's schema
    inside an object, because OpenAI takes no choice at the top."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """More parameters for every request, e.g. {"chat_template_kwargs": {"enable_thinking": false}}."""
    concurrency: int = Field(default=64, ge=1, le=4096)
    """Requests under way at once."""
    timeout: float = Field(default=300.0, gt=0.0)
    """Seconds to wait for an answer."""
    retries: int = Field(default=6, ge=0, le=50)
    """How often a request is sent again after 429, 5xx, a timeout or a lost connection."""
    backoff: float = Field(default=1.0, gt=0.0)
    """Seconds before the first repetition; doubled each time. `Retry-After` can only make it longer."""
    longest_wait: float = Field(default=120.0, gt=0.0)
    """Most seconds before any repetition."""
    give_up: int = Field(default=20, ge=1)
    """Requests in a row that stay unanswered after all repetitions before the run ends."""
    record_unanswered: bool = False
    """Record as failed, for good, what stays unanswered or is refused: the way out where some questions always break
    the server. Otherwise the next run asks them again, and the stage is not finished before."""
    slack: float = Field(default=2.0, ge=1.0)
    """Room for an answer, in multiples of the longest compact text its schema allows: servers may write white space."""

    @field_validator("base_url")
    @classmethod
    def _address(cls, address: str) -> str:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an address such as http://gpu7:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("holds a name, a password or a query; name the key's variable in api_key_env instead")
        return address


EngineOptions = Annotated[VllmOptions | OpenAIOptions | HeuristicOptions | ReplayOptions, Field(discriminator="kind")]


class SourceOptions(Options):
    """One source of augmentation: an engine and what it is asked."""

    engine: EngineOptions
    """What answers."""
    tasks: tuple[str, ...] = tuple(TASKS)
    """Which of edges, user_profile, item_attributes."""
    users: int | None = Field(default=None, ge=1)
    """Asked about so many users only, drawn with the run's seed among those with a history; the others have no record.
    The same users for every source with this number, and some of those with a larger one. null: all users."""
    titles: Titles = "as-is"
    """anonymous: prompts show "movie 483920" for a title, an arbitrary number per item, and inside the item's own
    text too; genres and years stay. What a model knows of the items by heart is then of no use to it."""

    @property
    def brings_vectors(self) -> bool:
        """Whether its vectors are copied with its records, so that nothing of it is embedded."""
        return isinstance(self.engine, ReplayOptions) and self.engine.vectors

    @field_validator("tasks")
    @classmethod
    def _known(cls, tasks: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [task for task in tasks if task not in TASKS]
        if unknown:
            raise ValueError(f"unknown task {unknown[0]!r}; known are {', '.join(TASKS)}")
        if not tasks or len(set(tasks)) < len(tasks):
            raise ValueError("name at least one task, and none twice")
        return tuple(task for task in TASKS if task in tasks)


class _TasksBase(Options):
    """Settings of each task."""

    def of(self, task: str) -> TaskOptions:
        """One task's settings."""
        return getattr(self, task)


TasksOptions: type[_TasksBase] = create_model(
    "TasksOptions",
    __base__=_TasksBase,
    __doc__="Settings of each task: sampling, and bounds on its answer.",
    **{
        name: (task.Options, Field(default=task.Options(), description=task.Options.__doc__))
        for name, task in TASKS.items()
    },  # type: ignore[call-overload]
)


class GenerationOptions(Options):
    """The augmentation stage."""

    sources: Named[SourceOptions]
    """Sources by a name of your own; each gets a folder of that name."""
    tasks: TasksOptions = TasksOptions()  # type: ignore[valid-type]
    """Settings of each task, the same for all sources so that sources can be compared."""
    max_history: int = Field(default=15, ge=1)
    """How many of a user's latest training items a prompt shows."""
    item_text: ItemTextOptions | None = None
    """Which text tells what an item is: shown where an item has no title, and beside the title where profiles in prose
    are asked for. null: no text."""
    attempts: int = Field(default=3, ge=1, le=20)
    """How often a request is asked before it is recorded as failed; each attempt draws with a seed of its own."""
    shards: int = Field(default=4, ge=1, le=99_999)
    """Files per task. Fixed when a source is first run; also the most array tasks that can share the work."""
    templates: Path | None = None
    """A folder of templates that replace the built-in ones of the same names."""

    def task_options(self, task: str, source: SourceOptions) -> TaskOptions:
        """What a source is told of a task: the same for all, but terms are prose."""
        options = self.tasks.of(task)  # type: ignore[attr-defined]
        by_terms = isinstance(source.engine, HeuristicOptions) and source.engine.rule == "tfidf"
        return options.model_copy(update={"style": "prose"}) if by_terms and task == "user_profile" else options

    @field_validator("sources")
    @classmethod
    def _nameable(cls, sources: dict[str, SourceOptions]) -> dict[str, SourceOptions]:
        if not sources:
            raise ValueError("name at least one source")
        for name in sources:
            if name.casefold() in ("data", "features"):
                raise ValueError(f'the source name "{name}" is taken by what the data set brings itself')
        return sources
