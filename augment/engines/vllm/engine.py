"""Open-weight models by vLLM, inside this process (0.32 and 0.33).

The engine is stepped by hand: requests go in ahead of the batch and every result is handed on as soon as it is
finished, without ports, servers or a call that returns only when all is done.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

from augment.accounting.model_figures import model_figures
from augment.engines.base import BROKEN_OFF, Engine, EngineFailed, EngineInputs
from augment.engines.vllm.chat import Chat
from augment.engines.vllm.extra import check_names
from augment.engines.vllm.number_format import settled_format
from augment.engines.vllm.options import VllmOptions
from augment.engines.vllm.start import Started, check_installed, identity, offline_environment, start
from augment.messages import Completion, FinishReason, Messages, Request
from augrec.artefacts.errors import AugrecError, UsageError
from augrec.artefacts.progress import say
from augrec.artefacts.threads import threads_in_words

BLOCKS_WHEN_NOT_EXACT = 64
"""Multiples of max_num_seqs handed over at once when blocks need not be whole; large, so that draining is rare."""
MOST_LABELS = 128
"""vLLM 0.32 reports no more chosen tokens per request."""


class TokenCount:
    """Tokens read and written so far, by vLLM's outputs, each of which holds all that was written for its request.

    Attributes:
        read: prompt tokens of the requests that have begun to be answered.
        written: tokens of answers.
        seconds: what it took to compute them.
    """

    def __init__(self) -> None:
        self.read = self.written = 0
        self.seconds = 0.0
        self._flying: dict[str, int] = {}

    def count(self, output: Any) -> None:
        """Adds what is new in one output of a step."""
        name = output.request_id
        if name not in self._flying:
            self.read += len(output.prompt_token_ids or ())
        written = len(output.outputs[0].token_ids)
        self.written += written - self._flying.get(name, 0)
        if output.finished:
            self._flying.pop(name, None)
        else:
            self._flying[name] = written

    def in_words(self) -> str:
        """ "read 5,120 tokens (412/s), wrote 812 (65/s)"; no rates before anything took time."""
        read, wrote = f"read {self.read:,} tokens", f"wrote {self.written:,}"
        if not self.seconds:
            return f"{read}, {wrote}"
        return f"{read} ({self.read / self.seconds:,.0f}/s), {wrote} ({self.written / self.seconds:,.0f}/s)"


class VllmEngine(Engine):
    """See Engine.

    Args:
        options: the engine's settings.
        model: local folder of the weights.
        model_sha256: hash of that folder, part of every request's key.
        log: file that takes everything vLLM says.
        pin: file that keeps the number format a run was begun in, for `dtype: auto`; see `number_format`.

    Attributes:
        tokens: the token ids of a prompt's messages; kept for the next thousands of calls.
    """

    def __init__(
        self, options: VllmOptions, model: Path, model_sha256: str, log: Path, pin: Path | None = None
    ) -> None:
        check_installed()
        check_names(options.extra)
        self._format = settled_format(options, model, pin)
        options = options.model_copy(update={"dtype": self._format.dtype})
        self._options, self._model, self._log = options, model, log
        self.identity = identity(options, model_sha256, model)
        self.context: int | None = options.max_model_len
        self.exact = options.exact and not options.batch_invariant
        self.block = options.max_num_seqs * (options.block if self.exact else BLOCKS_WHEN_NOT_EXACT)
        self._window = options.max_num_seqs * options.window
        self._started: Started | None = None
        self._tokens = TokenCount()
        self._cleanup = ExitStack()
        self.tokens = lru_cache(maxsize=8192)(self._render)
        self._label_ids = lru_cache(maxsize=64)(self._labels)

    def __enter__(self) -> VllmEngine:
        self._cleanup.enter_context(offline_environment(self._options))
        gc.collect()  # while libraries' objects are not there to be looked through; see `present_objects_kept`
        try:
            self._chat = Chat(self._options.tokenizer or self._model, self._options.chat_template_kwargs)
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self._started = None
        self._cleanup.close()

    def start(self) -> None:
        """See Engine. Takes seconds to minutes."""
        if self._started is None:
            self._started = self._cleanup.enter_context(start(self._options, self._model, self._log, self._chat))
            threads = self._started.threads
            cores = f"; {threads_in_words(threads.number)}, {threads.because}" if threads else ""
            dtype = self._started.description["dtype"]
            say(f"vllm  {self._model.name} in {dtype}: {self._format.why}{cores}")

    def count_tokens(self, messages: Messages) -> int:
        """See Engine."""
        return len(self.tokens(messages))

    def check_labels(self, labels: Sequence[str]) -> None:
        """See Engine. Each must be one token where the model's answer begins."""
        if self._options.speculative_config is not None:
            raise UsageError(
                "answers are to be scored, and with speculative_config vLLM gives no log-probabilities of labels",
                where="speculative_config, in the engine's section",
                remedy="leave it out of this source, or ask for answers as text (`mode: choose` of edges)",
            )
        if len(labels) > MOST_LABELS:
            most = f"vLLM gives the log-probabilities of {MOST_LABELS} tokens"
            raise UsageError(f"{most}, and {len(labels)} are asked for")
        self._label_ids(tuple(labels))

    def clear_cache(self) -> None:
        """See Engine."""
        if self._started is not None:
            try:
                self._started.llm.reset_prefix_cache()
            except Exception as error:
                raise self._stopped(error) from error

    @property
    def llm(self) -> Any:
        """vLLM's own object, started."""
        self.start()
        assert self._started is not None
        return self._started.llm

    def parameters(self, request: Request) -> Any:
        """The request's sampling and grammar, or its labels to score, in vLLM's terms."""
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        drawn, answer = request.sampling, request.draft.answer
        if request.draft.labels:
            ids = self._label_ids(request.draft.labels)  # the token itself is not used, so none is drawn
            return SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=list(ids))
        return SamplingParams(
            temperature=drawn.temperature,
            top_p=drawn.top_p,
            top_k=drawn.top_k,
            repetition_penalty=drawn.repetition_penalty,
            seed=request.seed,
            max_tokens=answer.max_tokens,
            structured_outputs=(
                StructuredOutputsParams(grammar=answer.ebnf)
                if answer.ebnf and not request.grammar
                else StructuredOutputsParams(json=request.grammar or answer.grammar)
            ),
        )

    def run(self, requests: Sequence[Request]) -> Iterator[Completion]:
        """See Engine. A failure of the engine itself is an AugrecError; what was yielded before it stays valid."""
        engine = self.llm.llm_engine
        check_drafts(self._options, requests, on_cpu=self._started is not None and self._started.threads is not None)
        waiting, flying = deque(requests), dict[str, Request]()
        try:
            while waiting or flying:
                while waiting and len(flying) < self._window:
                    request = waiting.popleft()
                    refusal = self._admit(engine, request)
                    if refusal is None:
                        flying[request.name] = request
                    else:
                        yield Completion(request, "", "error", request.draft.answer, error=refusal)
                if flying:
                    yield from self._step(engine, flying)
        finally:
            if flying and not isinstance(sys.exc_info()[1], AugrecError):
                engine.abort_request(list(flying))

    def pulse(self) -> str:
        """What was computed since the engine started, in words; a life sign while no request is finished yet."""
        threads = self._started.threads if self._started else None
        tokens = self._tokens.in_words()
        return tokens if threads is None else f"{tokens}, {threads_in_words(threads.number)}"

    def describe(self) -> dict[str, Any]:
        """See Engine. Device and versions are known once the engine was started."""
        described = {
            "engine": "vllm",
            "llm": True,
            "model": self._options.model,
            "revision": self._options.revision,
            **{name: value for name, value in self.identity.items() if name != "engine"},
            **({"extra": self._options.extra} if self._options.extra else {}),
            "dtype_because": self._format.why,
            "max_num_seqs": self._options.max_num_seqs,
            "max_model_len": self._options.max_model_len,
            "exact": self._options.exact,
            "batch_invariant": self._options.batch_invariant,
            "requests_per_block": self.block,
            "figures": model_figures(self._model),
            **self._chat.fingerprints,
        }
        if self._started is None:
            return described
        described |= self._started.description | {"grammar_seconds": self._started.grammars.seconds()}
        threads = self._started.threads
        if threads is not None:
            described |= {"device": f"CPU, {threads_in_words(*threads.used)}", "threads": threads.used}
        return described

    def _render(self, messages: Messages) -> tuple[int, ...]:
        return self._chat.tokens(messages)

    def _labels(self, labels: tuple[str, ...]) -> tuple[int, ...]:
        return self._chat.label_ids(labels)

    def _admit(self, engine: Any, request: Request) -> str | None:
        """Hands one request to vLLM; the reason as text when it cannot be taken."""
        prompt, answer = self.tokens(request.draft.messages), request.draft.answer
        if len(prompt) + answer.max_tokens > self._options.max_model_len:
            return f"prompt_too_long: {len(prompt)} tokens and {answer.max_tokens} for the answer"
        try:
            engine.add_request(
                request.name,
                {"prompt_token_ids": list(prompt)},
                self.parameters(request),
                lora_request=self._started.lora if self._started else None,
            )
        except refusals() as error:
            engine.abort_request([request.name])
            return f"refused_by_engine: {(str(error).splitlines() or [type(error).__name__])[0][:200]}"
        except Exception as error:
            raise self._stopped(error) from error
        return None

    def _stopped(self, error: Exception) -> EngineFailed:
        return EngineFailed(
            f"vLLM stopped while generating ({type(error).__name__}: {str(error)[:200]})",
            where=self._log,
            remedy="finished records are kept: run the same command again; out of memory: lower max_num_seqs; where "
            "one request ends it each time: record_unanswered: true in the engine's section",
        )

    def _step(self, engine: Any, flying: dict[str, Request]) -> Iterator[Completion]:
        if not engine.has_unfinished_requests():
            raise EngineFailed(
                "vLLM lost requests it had accepted", where=self._log, remedy="run the same command again"
            )
        threads = self._started.threads if self._started else None
        if threads is not None:
            threads.look()
        began = time.monotonic()
        try:
            outputs = engine.step()
        except Exception as error:
            raise self._stopped(error) from error
        self._tokens.seconds += time.monotonic() - began
        for output in outputs:
            request = flying.get(output.request_id)
            if request is None:
                continue
            self._tokens.count(output)
            if not output.finished:
                continue
            del flying[output.request_id]
            written = output.outputs[0]
            reason: FinishReason = written.finish_reason if written.finish_reason in ("stop", "length") else "error"
            scores: tuple[float, ...] = ()
            if request.draft.labels and reason != "error":
                reason, scores = "stop", label_logprobs(written, self._label_ids(request.draft.labels))
            yield Completion(
                request,
                written.text,
                reason,
                request.draft.answer,
                prompt_tokens=len(output.prompt_token_ids),
                completion_tokens=len(written.token_ids),
                cached_tokens=output.num_cached_tokens or 0,
                busy=_busy(output.metrics),
                error=None if reason != "error" else f"engine_error: finished with {written.finish_reason}",
                label_logprobs=scores,
                unanswered=written.finish_reason in BROKEN_OFF,
            )


def check_drafts(options: VllmOptions, requests: Sequence[Request], *, on_cpu: bool) -> None:
    """Raises UsageError for draws that end vLLM where it checks drafts on a CPU.

    Where a step's drafts are all dropped, as a grammar does that they leave, its top_k takes the largest of no numbers.
    """
    drawn = next((one for one in requests if one.sampling.top_k and one.sampling.temperature), None)
    if on_cpu and options.speculative_config is not None and drawn is not None:
        raise UsageError(
            f"on a CPU vLLM ends when it checks drafts and draws with top_k ({drawn.sampling.top_k})",
            where=f"generation.tasks.{drawn.task}.sampling, with speculative_config in the engine's section",
            remedy="set top_k: 0 (or temperature: 0) there, or leave speculative_config out",
        )


def label_logprobs(written: Any, ids: Sequence[int]) -> tuple[float, ...]:
    """The log-probabilities of the labels at the first token of an output; () when vLLM did not give them all."""
    first = written.logprobs[0] if written.logprobs else {}
    return tuple(float(first[token].logprob) for token in ids) if all(token in first for token in ids) else ()


def refusals() -> tuple[type[Exception], ...]:
    """What vLLM raises for a request it cannot take; since 0.32 no longer a ValueError."""
    from vllm import exceptions

    named = (getattr(exceptions, name, ValueError) for name in ("VLLMClientError", "VLLMValidationError"))
    return (ValueError, TypeError, *named)


def _busy(metrics: Any) -> float:
    """Seconds from joining the batch to the last token; 0 when this vLLM does not say."""
    joined, last = (getattr(metrics, name, 0.0) or 0.0 for name in ("scheduled_ts", "last_token_ts"))
    return max(last - joined, 0.0) if joined else 0.0


def build(options: VllmOptions, inputs: EngineInputs) -> VllmEngine:
    """The engine over a resolved local folder. Raises UsageError when there is none."""
    model, sha256 = inputs.model, inputs.model_sha256
    if model is None or sha256 is None or not model.is_dir():
        raise UsageError("the model was not resolved to a local folder", where=model or options.model)
    return VllmEngine(options, model, sha256, inputs.log, inputs.pin)
