"""Files that are whole or absent: written under a temporary name, synced, renamed, and the rename synced too."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augrec.artefacts.confinement import check_inside
from augrec.artefacts.errors import AugrecError, DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


FULL = (errno.ENOSPC, errno.EDQUOT)
ROWS_AT_ONCE = 1 << 18
"""Rows of a Parquet file in a part: few enough for the caches, many enough for what a part costs by itself."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` when the block ends without an error.

    Raises AugrecError when the disk is full (the old file is then still there), or where `path` lies outside of the
    folder that is worked on, see `augrec.artefacts.confinement`.
    """
    with said_when_full(path):
        temporary = scrap_path(path)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def remove_file(path: Path) -> None:
    """Removes a file where it is there; one outside of the folder that is worked on is refused (`confinement`)."""
    check_inside(path)
    path.unlink(missing_ok=True)


def scrap_path(path: Path) -> Path:
    """An empty new file beside `path` that `remove_scraps` knows; its folder is made where it is missing."""
    check_inside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    return Path(name)


@contextmanager
def said_when_full(path: Path) -> Iterator[None]:
    """Turns the error of a full disk into one that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        what = "the disk is full" if error.errno == errno.ENOSPC else "the disk quota is used up"
        remedy = "free some space or choose another `output`, then run the same command: finished work is kept"
        raise AugrecError(what, where=path, remedy=remedy) from error


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk; some file systems cannot, and do so by themselves."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def remove_scraps(folder: Path) -> None:
    """Removes what killed processes left of files they were writing in a folder or below; nobody may be at work."""
    for scrap in folder.rglob(".*.tmp"):
        scrap.unlink(missing_ok=True)


def tree_size(path: Path) -> int:
    """The bytes of a file, or of everything in a folder; links count as what they are. What is gone meanwhile is 0."""
    size = 0
    for file in [path] if path.is_symlink() or not path.is_dir() else path.rglob("*"):
        with suppress(FileNotFoundError):
            if file.is_symlink() or not file.is_dir():
                size += file.lstat().st_size
    return size


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


def write_json_once(path: Path, value: Any) -> Any:
    """Writes `value` as JSON unless the file is there; returns what the file holds then, whoever wrote it first.

    Several processes may try at once, on several machines: all of them get the same.
    """
    if not path.exists():
        draft = scrap_path(path)
        try:
            write_json(draft, value)
            with suppress(FileExistsError):
                _link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    return read_json(path, remedy="delete this file")


def _link(draft: Path, path: Path) -> None:
    """A second name that is never half there; on file systems without such names, a copy that is made exclusively."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        with path.open("xb") as copy:
            copy.write(draft.read_bytes())


DEEPEST = 64
"""Levels of a JSON value inside each other; what we write has six."""


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text of others; ValueError where it is none, or nested deeper than anybody could follow."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None
    openings = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    if openings <= DEEPEST:  # most texts, which need not be walked through
        return value
    level = [value]
    for _ in range(DEEPEST):
        level = [part for whole in level if isinstance(whole, dict | list)
                 for part in (whole.values() if isinstance(whole, dict) else whole)]  # fmt: skip
        if not level:
            return value
    raise ValueError(f"it is nested more than {DEEPEST} deep")


def read_json(path: Path, *, remedy: str | None = None) -> Any:
    """Reads JSON; a missing or broken file is a `DataError` that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("the file does not exist", where=path, remedy=remedy) from None
    except RecursionError:
        raise DataError("the file is not valid JSON (it is nested too deep)", where=path, remedy=remedy) from None
    except ValueError as error:  # no JSON, no UTF-8, or a number of thousands of digits
        raise DataError(f"the file is not valid JSON ({error})", where=path, remedy=remedy) from None


def write_parquet(path: Path, table: pa.Table) -> None:
    """Writes an Arrow table as Parquet, atomically; every page has a checksum, which `read_parquet` looks at."""
    import pyarrow.parquet as pq

    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)


def read_parquet(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    rows: tuple[str, Sequence[str]] | None = None,
    remedy: str | None = None,
) -> pa.Table:
    """Reads a Parquet file; a missing or broken file, damaged pages included, is a `DataError` that names it.

    Args:
        path: the file.
        columns: those that are read, of those that are there; None reads all.
        rows: a column of texts, and those of its texts whose rows are read; None reads all.
        remedy: what to do about a file that cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [] if rows is None else list(read_parquet_parts(path, columns=columns, rows=rows, remedy=remedy))
    if parts:
        return pa.Table.from_batches(parts)
    with readable_parquet(path, remedy=remedy), pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(None if columns is None else [name for name in columns if name in file.schema_arrow.names])


def read_parquet_parts(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    rows: tuple[str, Sequence[str]] | None = None,
    remedy: str | None = None,
) -> Iterator[pa.RecordBatch]:
    """What `read_parquet` reads, a part of the rows at a time, in their order; no part where it has no rows.

    Nothing holds more than a part, and a part stays in the caches while it is looked at.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    by, texts = rows or (None, ())
    with readable_parquet(path, remedy=remedy):
        schema = pq.read_schema(path)
        if by and by not in schema.names:
            raise DataError(f"columns are missing: {by}", where=path, remedy=remedy)
        # As codes into its different texts, so that these are compared and not the text of every row.
        coded = [by] if by and not pa.types.is_nested(schema.field(by).type) else []
        wanted = [name for name in (schema.names if columns is None else columns) if name in schema.names]
        with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=coded) as file:
            for part in file.iter_batches(ROWS_AT_ONCE, columns=list(dict.fromkeys([*wanted, *([by] if by else [])]))):
                chosen = part.select(wanted)
                if by:
                    own = part.column(by)
                    own = own if pa.types.is_dictionary(own.type) else own.dictionary_encode()
                    chosen = chosen.filter(pc.is_in(own.dictionary, pa.array(texts)).take(own.indices))
                yield chosen


@contextmanager
def readable_parquet(path: Path, *, remedy: str | None = None) -> Iterator[None]:
    """Turns errors while a Parquet file is read into a `DataError` that names it."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise DataError("the file does not exist", where=path, remedy=remedy) from None
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
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


def only_readable(folder: Path) -> bool:
    """Whether a folder is there and nothing may be written into it."""
    return folder.is_dir() and not os.access(folder, os.W_OK)
