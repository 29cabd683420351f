"""What files say where there is nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

FAILED = ("#N/A", "#NAME?", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NULL!")
"""What spreadsheets write where a formula failed: a look-up that found nothing, a text that begins with a sign."""
MISSING = (*map(str.lower, FAILED), "", "-", "--", "–", "—", "na", "n/a", "nan", "null", "none", "\\n", "?", "unknown")
"""What stands in a numeric column where there is no number, in small letters."""
NOTHING = ("nan", "NaN", "NULL", "null", "None", "<NA>", "NaT", "\\N", *FAILED)
"""What programs write where they have no text; people write it too, as a name or a title."""
NO_TIME = (*MISSING, *NOTHING, "NA", "N/A", "none", "Unknown", "0000-00-00", "0000-00-00 00:00:00")
"""What stands in a column of times where there is none, zeros of MySQL among them, in the letters that are usual."""
NO_TEXT = (*NOTHING, "N/A", "n/a")
"""What stands in a column of text where there is none, by whatever program wrote it."""
PROSE = ("title", "description", "profile")
"""Side columns that are text whatever they look like. Elsewhere NA may be a code: of Namibia, or of North America."""


def without_nothing(frame: pd.DataFrame, about: str, file: str) -> tuple[pd.DataFrame, list[str]]:
    """A side table without the texts that say that there is none, and a line on each column that had some.

    A word counts where its column has it at least twice: one alone may be a title, but not a failed formula.

    Args:
        frame: the rows; their ids, in the column `about`, stay.
        about: "item" or "user".
        file: names the table in the lines.
    """
    notes = []
    for name in frame.columns.drop(about):
        alike = _says_nothing(frame[name], (*NO_TEXT, "NA") if name in PROSE else NO_TEXT)
        if alike.any():
            first = frame[name].iloc[int(np.argmax(alike))]
            notes.append(f"{file}: {int(alike.sum()):,} values of {name} read {first.strip()!r} or the like: missing")
            frame = frame.assign(**{name: frame[name].where(~alike, None)})
    return frame, notes


def _says_nothing(column: pd.Series, words: tuple[str, ...]) -> np.ndarray:
    """bool [n]: which texts are words for nothing, and not alone unless a formula failed; false where there is none."""
    alike = np.zeros(len(column), bool)
    if pd.api.types.infer_dtype(column, skipna=True) == "string":
        lengths = pc.binary_length(pa.array(column, from_pandas=True))
        short = np.asarray(pc.fill_null(pc.less_equal(lengths, max(map(len, words)) + 2), False))
        bare = column[short].str.strip()  # of long texts, no copy is made
        alike[short] = bare.isin(FAILED) | (bare.isin(words) & bare.duplicated(keep=False))
    return alike
