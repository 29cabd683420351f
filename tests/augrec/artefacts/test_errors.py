from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from augrec.artefacts.errors import AugrecError, DataError, UsageError


@pytest.mark.parametrize("kind", [AugrecError, DataError, UsageError])
def test_an_error_reaches_another_process_whole(kind: type[AugrecError]) -> None:
    error = kind("it is torn", where=Path("a/b"), remedy="mend it")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.what, copy.where, copy.remedy) == (str(error), "it is torn", "a/b", "mend it")
