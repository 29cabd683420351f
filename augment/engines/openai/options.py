"""What can be configured about a server that speaks OpenAI's API."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from augment.engines.options import EngineOptions


class OpenAIOptions(EngineOptions):
    """A server that speaks OpenAI's chat completions, e.g. `vllm serve`. The only engine that opens a socket."""

    kind: Literal["openai"] = "openai"
    """Which engine."""
    changes_no_answer: ClassVar[frozenset[str]] = frozenset(
        {
            *("base_url", "api_key_env", "concurrency", "timeout", "retries", "backoff", "longest_wait", "give_up"),
            "record_unanswered",  # whether to go on without some answers
        }
    )
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
