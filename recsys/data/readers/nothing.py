"""What files say where there is nothing."""

from __future__ import annotations

MISSING = ("", "-", "--", "–", "—", "na", "n/a", "nan", "null", "none", "\\n", "?", "unknown")
"""What stands in a numeric column where there is no number, in small letters."""
NOTHING = ("nan", "NaN", "NULL", "null", "None", "<NA>", "NaT", "\\N")
"""What programs write where they have no text; people write it too, as a name or a title."""
NO_TIME = (*MISSING, *NOTHING, "NA", "N/A", "#N/A", "none", "Unknown", "0000-00-00", "0000-00-00 00:00:00")
"""What stands in a column of times where there is none, zeros of MySQL among them, in the letters that are usual."""
