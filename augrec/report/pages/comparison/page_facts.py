"""Pairs of a name and a value: the data, the protocol, the run."""

from __future__ import annotations

from typing import Any

from augrec.report.render.wording import DASH, count, seconds

Pairs = list[tuple[str, str]]


def data_facts(content: dict[str, Any]) -> Pairs:
    """The data set's name and licence, and how many users have a profile."""
    data = content["data"]
    pairs = [("name", _told(data.get("name"))), ("licence", _told(data.get("licence")))]
    return [*pairs, ("users with a profile", _told(data.get("profiled_users")))]


def count_facts(content: dict[str, Any]) -> Pairs:
    """Users, items, and interactions by split."""
    return [(_words(name), _told(value)) for name, value in (content["data"].get("counts") or {}).items()]


def protocol_facts(content: dict[str, Any]) -> Pairs:
    """How the data was filtered and split."""
    return [(_words(name), _told(value)) for name, value in (content["data"].get("protocol") or {}).items()]


def run_facts(content: dict[str, Any]) -> Pairs:
    """When, where and with what the comparison was made."""
    provenance = content["provenance"]
    embedding = provenance.get("embedding") or {}
    return [
        ("name", _told(content.get("name"))),
        ("created", _told(content.get("created"))),
        ("Augrec", _told(content.get("augrec_version"))),
        ("machine", _told(provenance.get("machine"))),
        ("took", seconds(content.get("seconds"))),
        ("embedding model", _told(embedding.get("model"))),
        ("its sha256", _told(embedding.get("sha256"))),
        ("config sha256", _told(provenance.get("config_sha256"))),
    ]


def stage_facts(content: dict[str, Any]) -> Pairs:
    """Seconds by stage."""
    return [(_words(one["stage"]), seconds(one.get("seconds"))) for one in content["provenance"].get("stages") or []]


def versions_facts(content: dict[str, Any]) -> Pairs:
    """Package by version."""
    return [(name, _told(version)) for name, version in (content["provenance"].get("versions") or {}).items()]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_told(one) for one in value) or DASH
    if isinstance(value, dict):
        return ", ".join(f"{_words(name)} {_told(one)}" for name, one in value.items()) or DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return count(value) or DASH
