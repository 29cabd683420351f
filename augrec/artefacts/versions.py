"""Versions of installed packages, as far as results depend on them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def installed_version(name: str) -> str | None:
    """The whole version of a distribution; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def minor_version(name: str) -> str | None:
    """The first two numbers of a distribution's version, e.g. "2.13" of 2.13.1+cpu; None where it is not installed.

    That is what identities hold: formulas, templates and kernels change with those two. A patch that moves a last bit
    does not ask for everything again; whole versions are recorded beside the results.
    """
    whole = installed_version(name)
    return None if whole is None else ".".join(whole.partition("+")[0].split(".")[:2])


def minor_versions(names: Iterable[str]) -> dict[str, str]:
    """`minor_version` of those that are installed, by name."""
    return {name: known for name in names if (known := minor_version(name)) is not None}
