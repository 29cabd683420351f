"""Begins the trainer; run by its path, in an environment that augrec is not installed in.

The package is lent to that environment alone, without the folder around it: where augrec is installed, that is the
other environment's site-packages, whose libraries must not be found here.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def lend(package: Path) -> None:
    """Makes a package importable by the name of its folder."""
    spec = importlib.util.spec_from_file_location(
        package.name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[package.name] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    lend(Path(__file__).absolute().parents[2])
    from augrec.pipeline.tuning.trainer import main

    sys.exit(main(Path(sys.argv[1])))
