"""What can be configured about a server that speaks OpenAI's API."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from augment.engines.options import EngineOptions
from augrec.artefacts.options import Options

MOST_ENDPOINTS = 64
SENT_HERE = {
    "model": "say `model` beside `extra_body`",
    "messages": "they are the prompt",
    **dict.fromkeys(("temperature", "top_p", "top_k", "repetition_penalty"), "say it in the task's `sampling`"),
    "seed": "every request has a seed of its own, from the run's",
    **dict.fromkeys(("max_tokens", "max_completion_tokens"), "it follows from the answer's schema and `slack`"),
    **dict.fromkeys(("response_format", "structured_outputs"), "it is the answer's schema"),
    **dict.fromkeys(("logprobs", "top_logprobs"), "they are asked for where answers are scored"),
    **dict.fromkeys(("stream", "stream_options"), "answers are read whole"),
    "n": "one answer is read",
}
"""Parameters with the way to say them, or why there is none."""
CHANGES_NOTHING = frozenset(
    {"user", "metadata", "store", "service_tier", "priority", "request_id", "prompt_cache_key", "safety_identifier"}
)
"""Parameters that say who asks, what is kept of it and how soon it is answered."""


def _address(address: str) -> str:
    parts = urlsplit(address)
    if not address.isprintable() or " " in address:
        raise ValueError("holds a blank, a line break or a letter that cannot be seen")
    port = parts.port  # a ValueError says what is wrong with it
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.fragment:
        raise ValueError("not an address such as http://gpu7:8000/v1")
    if parts.username or parts.password or parts.query:
        raise ValueError("holds a name, a password or a query; name the key's variable in api_key_env instead")
    return address


Address = Annotated[str, AfterValidator(_address)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class EndpointOptions(Options):
    """One of several servers of the same model."""

    base_url: Address
    """Address up to the version, e.g. http://gpu7:8000/v1."""
    api_key_env: Variable | None = None
    """Name of the environment variable that holds its key. None: that of the engine."""
    concurrency: int | None = Field(default=None, ge=1, le=4096)
    """Requests under way at once there. None: as many as the engine says."""


class OpenAIOptions(EngineOptions):
    """Servers that speak OpenAI's chat completions, e.g. `vllm serve`. The only engine that opens a socket."""

    kind: Literal["openai"] = "openai"
    """Which engine."""
    changes_no_answer: ClassVar[frozenset[str]] = frozenset(
        {
            *("base_url", "endpoints", "api_key_env", "concurrency"),  # which of the servers of one model
            *("timeout", "retries", "backoff", "longest_wait", "give_up"),
            "record_unanswered",  # whether to go on without some answers
        }
    )
    base_url: Address | None = None
    """Address up to the version, e.g. http://gpu7:8000/v1."""
    endpoints: tuple[EndpointOptions, ...] = Field(default=(), max_length=MOST_ENDPOINTS)
    """Instead of base_url: several servers of the same model, which share the requests by how fast they answer. What
    one leaves unanswered is asked at the others. Which of them answered is no part of a record's identity."""
    model: str
    """The name the server gives the model."""
    revision: str | None = None
    """What is known of the weights behind that name; part of every request's key, so change it when they change."""
    api_key_env: Variable | None = None
    """Name of the environment variable that holds the key. The key itself is never written anywhere."""
    dialect: Literal["vllm", "openai"] = "vllm"
    """vllm: top_k and repetition_penalty are sent too. openai: OpenAI's own parameters only, and the answer's schema
    inside an object, because OpenAI takes no choice at the top."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """More parameters for every request, e.g. {"chat_template_kwargs": {"enable_thinking": false}}. All of them are
    part of every request's key but those that are known to change no answer; what Augrec sends itself is refused."""
    concurrency: int = Field(default=64, ge=1, le=4096)
    """Requests under way at once, at each endpoint."""
    timeout: float = Field(default=300.0, gt=0.0)
    """Seconds to wait for an answer."""
    retries: int = Field(default=6, ge=0, le=50)
    """How often a request is sent again, to each endpoint, after 429, 5xx, a timeout or a lost connection."""
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

    @model_validator(mode="after")
    def _somewhere(self) -> OpenAIOptions:
        if (self.base_url is None) == (not self.endpoints):
            raise ValueError("say either base_url, or endpoints for several servers of the same model")
        addresses = [endpoint.base_url.rstrip("/") for endpoint in self.endpoints]
        twice = sorted({address for address in addresses if addresses.count(address) > 1})
        if twice:
            raise ValueError(f"endpoints names {', '.join(twice)} more than once; raise its concurrency instead")
        return self

    @field_validator("extra_body")
    @classmethod
    def _not_ours(cls, extra: dict[str, Any]) -> dict[str, Any]:
        for name in extra:
            if name in SENT_HERE:
                raise ValueError(f"{name} is sent by Augrec itself: {SENT_HERE[name]}")
        return extra

    @property
    def deciding(self) -> dict[str, Any]:
        """Those of `extra_body` that may decide an answer."""
        return {name: value for name, value in self.extra_body.items() if name not in CHANGES_NOTHING}

    @property
    def each(self) -> tuple[OpenAIOptions, ...]:
        """One for every server, with its own `base_url`, key and concurrency."""
        return tuple(
            self.model_copy(
                update={
                    "base_url": endpoint.base_url,
                    "endpoints": (),
                    "api_key_env": endpoint.api_key_env or self.api_key_env,
                    "concurrency": endpoint.concurrency or self.concurrency,
                }
            )
            for endpoint in self.endpoints
        ) or (self,)

    @property
    def address(self) -> str:
        """Where the servers are, for messages."""
        return self.base_url or ", ".join(endpoint.base_url for endpoint in self.endpoints)
