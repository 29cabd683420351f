"""Requests to score, and their labels' probabilities by the model's own forward pass in transformers, the reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from augment.engines.base import Engine
from augment.messages import Request
from augment.requests import ask
from augment.tasks.base import Context
from augment.tasks.edges import Edges, EdgesOptions


def scored(engine: Engine, context: Context, users: int = 4) -> list[Request]:
    task = Edges(context, EdgesOptions(mode="score"))
    asked = [next(ask(task, user, context.catalog.user(user), engine, seed=0)) for user in range(users)]
    return [request for request in asked if isinstance(request, Request)]


def in_orders(requests: list[Request]) -> list[Request]:
    return [order for request in requests for order in request.in_orders()]


class ForwardPass:
    """The model in float32, a prompt at a time."""

    def __init__(self, model: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
        self._network = AutoModelForCausalLM.from_pretrained(model, local_files_only=True, dtype=torch.float32).eval()

    def prompt(self, request: Request) -> Any:
        """[1, tokens] ids of the request's chat, and their mask."""
        messages = [message._asdict() for message in request.draft.messages]
        return self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )

    def label_logprobs(self, request: Request) -> Any:
        """[labels] float64: log-probabilities among the request's labels."""
        import torch

        labels = [self._tokenizer.encode(label, add_special_tokens=False) for label in request.draft.labels]
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # a server beside it may have the other cores
        try:
            with torch.no_grad():
                logits = self._network(**self.prompt(request)).logits[0, -1].double()
        finally:
            torch.set_num_threads(threads)
        return logits[[token for (token,) in labels]].log_softmax(0)


def among_labels(logprobs: Sequence[float]) -> Any:
    """[labels] float64: an engine's scores as log-probabilities among the labels."""
    import torch

    return torch.tensor(logprobs, dtype=torch.float64).log_softmax(0)
