"""What each server of a source was asked and gave, summed over all runs and processes of the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from augrec.artefacts.files import read_json, write_json
from augrec.artefacts.source_folder import SourceFolder


@dataclass
class EndpointCounts:
    """Counts of one server; every try counts, also of a request that another server answered in the end."""

    asked: int = 0
    answered: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Tries without an answer by reason: they were asked again, here or elsewhere."""
    evidence: str = ""
    """What speaks for it that its model is that of the other servers."""

    def plus(self, other: EndpointCounts) -> EndpointCounts:
        """Both together."""
        return self._with(other, 1)

    def minus(self, earlier: EndpointCounts) -> EndpointCounts:
        """What came since."""
        return self._with(earlier, -1)

    def _with(self, other: EndpointCounts, sign: int) -> EndpointCounts:
        sums = {
            name: value + sign * getattr(other, name)
            for name, value in asdict(self).items()
            if name not in ("failures", "evidence")
        }
        failures = Counter(self.failures)
        for reason, number in other.failures.items():
            failures[reason] += sign * number
        return EndpointCounts(**sums, failures=failures, evidence=self.evidence or other.evidence)

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self) | {"failures": dict(sorted(self.failures.items()))}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> EndpointCounts:
        """From a file."""
        return cls(**{**content, "failures": Counter(content["failures"])})


Accounts = Mapping[str, EndpointCounts]
"""By address."""


class EndpointNote:
    """A process's small file, which is replaced whole and which later runs continue; none for engines without servers.

    Args:
        path: the file.
        meter: the counts since the engine started.
    """

    def __init__(self, path: Path, meter: Callable[[], Accounts]) -> None:
        self._path, self._meter = path, meter
        self._before: Accounts = {}
        self._begun: Accounts = {}

    def __enter__(self) -> EndpointNote:
        self._before = _read(self._path) if self._path.exists() else {}
        self._begun = {address: counts.plus(EndpointCounts()) for address, counts in self._meter().items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.write()

    def write(self) -> None:
        """Replaces the file."""
        now = self._meter()
        if not now:
            return
        own = {address: counts.minus(self._begun.get(address, EndpointCounts())) for address, counts in now.items()}
        _write(self._path, summed(own, self._before))


def summed(*several: Accounts) -> dict[str, EndpointCounts]:
    """Accounts of the same servers together, in order of their addresses."""
    total: dict[str, EndpointCounts] = {}
    for accounts in several:
        for address, counts in accounts.items():
            total[address] = total.get(address, EndpointCounts()).plus(counts)
    return dict(sorted(total.items()))


def endpoints_of(folder: Path) -> dict[str, Any]:
    """The counts of a source over all its processes, as JSON by address; {} where no server was asked."""
    total = summed(*(_read(path) for path in SourceFolder(folder).notes("endpoints")))
    return {address: counts.as_json() for address, counts in total.items()}


def _read(path: Path) -> dict[str, EndpointCounts]:
    return {address: EndpointCounts.from_json(counts) for address, counts in read_json(path).items()}


def _write(path: Path, accounts: Accounts) -> None:
    write_json(path, {address: counts.as_json() for address, counts in accounts.items()})
