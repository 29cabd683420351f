"""Fetching MovieLens 100K from GroupLens, only when the user asks for it (`--download`)."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from augrec.artefacts.errors import AugrecError, DataError
from augrec.artefacts.files import sha256_file

ML100K_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
ML100K_MD5 = "0e33842e24a9c977be4e0107933c0723"
"""As GroupLens publishes it beside the archive."""
NEEDED = ("u.data", "u.item", "u.user", "README")
BLOCK = 1 << 20
LARGEST = 50_000_000
"""Bytes; the archive has 5 MB and unpacks to 16 MB."""


def download_ml100k(folder: Path, *, url: str = ML100K_URL, md5: str | None = ML100K_MD5) -> Path:
    """Fetches and unpacks ML-100K into `folder`, which is whole or absent afterwards; returns `folder`.

    A folder that already holds the files is left as it is and no socket is opened. GroupLens permits research use and
    no redistribution; its README is kept beside the files.

    Raises:
        AugrecError: the host cannot be reached.
        DataError: the archive is not the published one, or `folder` holds something else.
    """
    if all((folder / name).is_file() for name in NEEDED):
        return folder
    if folder.exists() and any(folder.iterdir()):
        raise DataError("the folder holds other files", where=folder, remedy="name an empty or new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        archive = Path(scratch) / "ml-100k.zip"
        _fetch(url, archive)
        if md5 is not None and _md5(archive) != md5:
            raise DataError(
                f"the archive is not the published one (sha256 {sha256_file(archive)})",
                where=url,
                remedy="fetch it by hand and compare with ml-100k.zip.md5 at GroupLens",
            )
        unpacked = Path(scratch) / "unpacked"
        _unpack(archive, unpacked)
        if folder.exists():
            folder.rmdir()
        unpacked.rename(folder)
    return folder


def _fetch(url: str, target: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, target.open("wb") as out:
            while block := answer.read(BLOCK):
                if out.tell() + len(block) > LARGEST:
                    raise DataError(f"the answer has more than {LARGEST:,} bytes", where=url, remedy="do not use it")
                out.write(block)
    except (urllib.error.URLError, OSError) as error:
        raise AugrecError(
            f"the download failed: {error}",
            where=url,
            remedy="check the connection or the proxy, or fetch the file elsewhere and unpack it there",
        ) from None


def _md5(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _unpack(archive: Path, target: Path) -> None:
    """Writes the needed members by their base name, so no path inside the archive can lead elsewhere."""
    target.mkdir()
    try:
        with zipfile.ZipFile(archive) as source:
            members = {f"ml-100k/{name}": name for name in NEEDED}
            found = [info for info in source.infolist() if info.filename in members]
            if {info.filename for info in found} != set(members):
                raise DataError(
                    f"the archive lacks some of {', '.join(members)}", where=archive.name, remedy="fetch it again"
                )
            if sum(info.file_size for info in found) > LARGEST:
                raise DataError(
                    "the archive unpacks to more than it should", where=archive.name, remedy="do not use it"
                )
            for info in found:
                with source.open(info) as packed, (target / members[info.filename]).open("wb") as out:
                    shutil.copyfileobj(packed, out)
    except zipfile.BadZipFile as error:
        raise DataError(f"not a zip archive ({error})", where=archive.name, remedy="fetch it again") from None
