"""Packages of users: what they add to the registries, known in every process of this installation.

A package says in its metadata which function registers its models, tasks, metrics or stages:

    [project.entry-points."augrec.plugins"]
    lucky = "lucky.augrec:register"

Whoever reads a config, or begins to work in a process of its own, calls `load_plugins`. Installing the package is what
makes it known: a config of somebody else can name no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from augrec.artefacts.errors import UsageError

GROUP = "augrec.plugins"


@dataclass(frozen=True)
class Plugin:
    """An entry point that was loaded."""

    name: str
    package: str
    """The name of the package that brought it, with its version."""
    function: str
    """`module:function`."""


@cache
def load_plugins() -> tuple[Plugin, ...]:
    """Calls the functions of all installed packages, in order of their names, once in a process.

    Raises:
        UsageError: one of them cannot be imported, or fails.
    """
    loaded = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
        try:
            point.load()()
        except Exception as error:
            raise UsageError(
                f"the plugin '{point.name}' of {package} cannot be loaded ({type(error).__name__}: {error})",
                where=point.value,
                remedy=f"mend or uninstall that package: it names a function in its entry points of {GROUP!r}, which "
                "registers what it adds and takes no arguments",
            ) from error
        loaded.append(Plugin(point.name, package, point.value))
    return tuple(loaded)
