"""What every test shares."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _one_thread_for_small_tensors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests multiply small matrices, where a second thread costs more than it gives; the real engine keeps its own."""
    torch = sys.modules.get("torch")
    if torch is None or request.node.get_closest_marker("vllm"):
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
