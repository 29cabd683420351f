"""Files that are whole or absent: written under a temporary name, synced, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artefacts.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 `text` to `path`, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically. NaN is refused: use None for a missing number."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, *, remedy: str | None = None) -> Any:
    """Reads JSON; a missing or broken file is a `DataError` that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("the file does not exist", where=path, remedy=remedy) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"the file is not valid JSON ({error})", where=path, remedy=remedy) from None


def write_parquet(path: Path, table: pa.Table) -> None:
    """Writes an Arrow table as Parquet, atomically."""
    import pyarrow.parquet as pq

    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_parquet(path: Path, *, remedy: str | None = None) -> pa.Table:
    """Reads a Parquet file; a missing or broken file is a `DataError` that names it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise DataError("the file does not exist", where=path, remedy=remedy) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"the file is not readable Parquet ({error})", where=path, remedy=remedy) from None


def write_npy(path: Path, array: np.ndarray) -> None:
    """Writes an array without pickled objects, atomically."""
    import numpy as np

    with atomic_path(path) as temporary, temporary.open("wb") as out:
        np.save(out, array, allow_pickle=False)


def canonical_json(value: Any) -> bytes:
    """The one byte string of a JSON value: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """The sha256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def sha256_file(path: Path) -> str:
    """The sha256 (hex) of a file's bytes."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def sha256_files(root: Path, paths: Iterable[Path]) -> str:
    """One sha256 over the names (relative to `root`) and bytes of several files, in name order."""
    return digest([[path.relative_to(root).as_posix(), sha256_file(path)] for path in sorted(paths)])
