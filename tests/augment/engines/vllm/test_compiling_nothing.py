"""What vLLM decorates to be compiled runs as written while its engine runs without compilation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from augment.engines.vllm.process_environment import compiling_nothing


@pytest.fixture
def compiled() -> tuple[Callable[[Any, Any], Any], list[Any]]:
    """A function that is compiled at its first use, and what was given to the compiler."""
    import torch

    graphs: list[Any] = []

    def note(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    def rank(numbers: Any, value: Any) -> Any:
        return (numbers >= value).sum(-1)

    return torch.compile(rank, backend=note), graphs


@pytest.mark.parametrize("applies", [True, False])
def test_nothing_is_compiled_while_the_block_runs(
    compiled: tuple[Callable[[Any, Any], Any], list[Any]], applies: bool
) -> None:
    import torch

    rank, graphs = compiled
    asked = torch.tensor([[1.0, 3.0, 2.0]]), torch.tensor([[2.0]])
    with compiling_nothing(applies):
        assert rank(*asked).tolist() == [2]
    assert len(graphs) == (0 if applies else 1)
    assert rank(*asked).tolist() == [2]
    assert len(graphs) == 1
