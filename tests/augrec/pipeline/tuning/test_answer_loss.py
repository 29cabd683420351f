"""The loss of the answers alone is the loss with every position's scores, and so are its gradients."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, pad

from augrec.pipeline.tuning.answer_loss import IGNORED, answer_loss

WORDS, WIDTH = 11, 6


class Causal(torch.nn.Module):
    """A language model as transformers calls it: each position sees the mean of what stands before it."""

    def __init__(self) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(5)
        self.words = torch.nn.Parameter(torch.randn(WORDS, WIDTH, generator=draws))
        self.head = torch.nn.Parameter(torch.randn(WORDS, WIDTH, generator=draws))
        self.scored = 0

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, logits_to_keep: Any = None, use_cache: bool = True
    ) -> Any:
        counted = torch.arange(1, input_ids.shape[1] + 1)[None, :, None]
        seen = (self.words[input_ids] * attention_mask[..., None]).cumsum(1) / counted
        kept = seen if logits_to_keep is None else seen[:, logits_to_keep]
        self.scored += kept.shape[0] * kept.shape[1]
        return SimpleNamespace(logits=kept @ self.head.T)


def batch(*lengths: tuple[int, int]) -> dict[str, torch.Tensor]:
    """Instructions of (prompt, answer) tokens, padded on the right."""
    draws, most = torch.Generator().manual_seed(9), max(sum(each) for each in lengths)
    rows = []
    for prompt, answer in lengths:
        ids = torch.randint(WORDS, (prompt + answer,), generator=draws)
        labels = torch.cat([torch.full((prompt,), IGNORED), ids[prompt:]])
        rest = (0, most - len(ids))
        rows.append((pad(ids, rest), pad(labels, rest, value=IGNORED), pad(torch.ones_like(ids), rest)))
    return dict(zip(("input_ids", "labels", "attention_mask"), map(torch.stack, zip(*rows, strict=True)), strict=True))


def by_all_positions(model: Causal, inputs: dict[str, torch.Tensor], count: int) -> torch.Tensor:
    logits = model(inputs["input_ids"], inputs["attention_mask"]).logits[:, :-1]
    return cross_entropy(logits.flatten(0, 1), inputs["labels"][:, 1:].flatten(), reduction="sum") / count


@pytest.mark.parametrize("lengths", [[(9, 2)], [(9, 2), (4, 3), (6, 1)], [(3, 5), (3, 5)], [(2, 4)]])
def test_loss_and_gradients_are_those_of_all_positions(lengths: list[tuple[int, int]]) -> None:
    inputs, tokens = batch(*lengths), sum(answer for _, answer in lengths)
    found, expected = Causal(), Causal()
    loss, whole = answer_loss(found, inputs, tokens), by_all_positions(expected, inputs, tokens)
    torch.testing.assert_close(loss, whole)
    torch.testing.assert_close(loss, answer_loss(Causal(), inputs, None))
    loss.backward()
    whole.backward()
    for one, other in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    assert found.scored < expected.scored


def test_one_after_the_other_gives_the_sum_of_all_at_once() -> None:
    lengths = [(9, 2), (4, 3), (6, 1)]
    inputs, together, alone = batch(*lengths), Causal(), Causal()
    answer_loss(together, inputs, 6).backward()
    for row, length in enumerate(map(sum, lengths)):
        answer_loss(alone, {name: each[row : row + 1, :length] for name, each in inputs.items()}, 6).backward()
    for one, other in zip(together.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    assert alone.scored == 6, "the head is computed for the answers' tokens alone"
