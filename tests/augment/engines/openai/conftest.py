"""A server that misbehaves on demand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.fake_server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    running = FakeServer()
    yield running
    running.close()
