"""Matrices in other formats than NumPy's (.npy): told by their first bytes or their name, refused with the command that
converts them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from augrec.artefacts.errors import DataError

NPY = b"\x93NUMPY"


@dataclass(frozen=True)
class _Format:
    """How files of numbers are kept elsewhere."""

    name: str
    imports: str
    values: str
    """An expression of the array; FILE is the file, NAME the array's name in it."""
    caution: str = ""


_HDF5 = _Format("HDF5", "numpy, h5py", "h5py.File(FILE)['NAME'][()]")
_MATLAB = _Format("MATLAB's", "numpy, scipy.io", "scipy.io.loadmat(FILE)['NAME']")
_TORCH = _Format("PyTorch's", "numpy, torch", "torch.load(FILE, map_location='cpu', weights_only=True).float().numpy()")
_ARCHIVE = _Format("an archive of several arrays, .npz", "numpy", "numpy.load(FILE)['NAME']")
_SAFETENSORS = _Format("safetensors", "numpy, safetensors.numpy", "safetensors.numpy.load_file(FILE)['NAME']")
_PARQUET = _Format("Parquet", "numpy, pandas", "pandas.read_parquet(FILE).to_numpy()")
_PICKLE = _Format(
    "a pickle",
    "numpy",
    "numpy.asarray(numpy.load(FILE, allow_pickle=True))",
    "; where you trust whoever made it, as a pickle runs what it holds",
)
_TEXT = {
    ".csv": _Format("text", "numpy", "numpy.loadtxt(FILE, delimiter=',')"),
    ".tsv": _Format("text", "numpy", "numpy.loadtxt(FILE, delimiter='\\t')"),
    ".txt": _Format("text", "numpy", "numpy.loadtxt(FILE)"),
    ".json": _Format("JSON", "json, numpy", "numpy.array(json.load(open(FILE)))"),
}
_BY_START = {b"\x89HDF": _HDF5, b"MATLAB 5": _MATLAB, b"PAR1": _PARQUET}
_BY_ENDING = {
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), _HDF5),
    **dict.fromkeys((".pt", ".pth", ".bin"), _TORCH),
    **dict.fromkeys((".pkl", ".pickle"), _PICKLE),
    **{".mat": _MATLAB, ".npz": _ARCHIVE, ".safetensors": _SAFETENSORS, ".parquet": _PARQUET},
    **_TEXT,
}


def refuse_other_format(path: Path) -> None:
    """Raises `DataError` for a file of another format than .npy.

    Raises:
        DataError: it is one; the remedy is the command that makes a .npy of it.
        OSError: the file cannot be read.
    """
    other = _other_format(path)
    if other is None:
        return
    values = other.values.replace("FILE", repr(path.name))
    named = "; NAME is the array's in the file" if "NAME" in values else ""
    target = path.with_suffix(".npy" if path.suffix != ".npy" else ".new.npy").name
    raise DataError(
        f"the matrix's format is {other.name}, and .npy is read",
        where=path,
        remedy=f'python -c "import {other.imports}; numpy.save({target!r}, {values})"{named}{other.caution}',
    )


def _other_format(path: Path) -> _Format | None:
    """What a file is that is no .npy, by its first bytes or else its name; None where neither tells."""
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(NPY):
        return None
    told = next((kind for begins, kind in _BY_START.items() if start.startswith(begins)), None)
    return told or _BY_ENDING.get(path.suffix.lower())
