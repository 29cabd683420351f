"""Pairs of a name and a value: the data, the protocol, the run."""

from __future__ import annotations

from typing import Any

from augrec.report.pages.comparison.results import ComparisonResults
from augrec.report.render.wording import DASH, count, seconds

Pairs = list[tuple[str, str]]


def data_facts(results: ComparisonResults) -> Pairs:
    """The data set's name and licence, and how many users have a profile."""
    data = results.data
    pairs = [("name", _shown(data.name)), ("licence", _shown(data.licence))]
    return [*pairs, ("users with a profile", _shown(data.profiled_users))]


def count_facts(results: ComparisonResults) -> Pairs:
    """Users, items, and interactions by split."""
    return [(_words(name), _shown(value)) for name, value in (results.data.counts or {}).items()]


def protocol_facts(results: ComparisonResults) -> Pairs:
    """How the data was filtered and split."""
    return [(_words(name), _shown(value, name)) for name, value in (results.data.protocol or {}).items()]


def run_facts(results: ComparisonResults) -> Pairs:
    """When, where and with what the comparison was made."""
    provenance = results.provenance
    return [
        ("name", _shown(results.name)),
        ("created", _shown(results.created)),
        ("Augrec", _shown(results.augrec_version)),
        ("machine", _shown(provenance.machine)),
        ("took", seconds(results.seconds)),
        ("embedding model", _shown(provenance.embedding.model)),
        ("its sha256", _shown(provenance.embedding.sha256)),
        ("config sha256", _shown(provenance.config_sha256)),
    ]


def stage_facts(results: ComparisonResults) -> Pairs:
    """Seconds by stage."""
    return [(_words(stage.stage), seconds(stage.seconds)) for stage in results.provenance.stages]


def versions_facts(results: ComparisonResults) -> Pairs:
    """Package by version."""
    return [(name, _shown(version)) for name, version in results.provenance.versions.items()]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any, named: str = "") -> str:
    """A value in words; a seed is a name and no amount, so that its thousands are not set apart."""
    if isinstance(value, list):
        return ", ".join(_shown(part, named) for part in value) or DASH
    if isinstance(value, dict):
        return ", ".join(f"{_words(name)} {_shown(part, name)}" for name, part in value.items()) or DASH
    if "seed" in named and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return count(value) or DASH
