"""RecBole's atomic files: NAME.inter, NAME.item, NAME.user, tab-separated, with a typed header `name:type`.

Types (https://recbole.io/docs/user_guide/data/atomic_files.html): token, float, and their space-separated sequences.

The files that RecBole itself distributes (Amazon, Yelp, Steam, anime, LastFM) go further, and are read as they are: the
columns of users, items, ratings and times have other names there (`business_id`, `stars`, `date`), times may be tokens,
a float may be empty or a dash, a field that holds quotation marks is quoted as CSV is, and sequences are separated by
commas or written as Python lists. Its conversion tools (github.com/RUCAIBox/RecSysDatasets) write types of their own.

A split that is published (`benchmark_filename`) is a file for each part, NAME.train.inter, NAME.valid.inter and
NAME.test.inter, as `augrec export recbole` writes them, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from augrec.artefacts.counts import counted
from augrec.artefacts.errors import DataError
from recsys.data.options import SourceOptions
from recsys.data.readers.base import GROUPLENS_TERMS, ML100K_HINT, RawData, unique_ids
from recsys.data.readers.contents import Buffer, contents
from recsys.data.readers.delimited import EVERY_FIELD, WITH_COMMA, Layout, header_fields, read_delimited, unquoted
from recsys.data.readers.fields import ids_of, nearest, numbers_of, ratings_of, years_of
from recsys.data.readers.nested import listed, values_of
from recsys.data.readers.times import Rows, seconds_of
from recsys.data.readers.titles import title_and_year

TYPES = ("token", "token_seq", "float", "float_seq")
CONVERTED = ("str", "string", "bool")
"""Types of Foursquare's and Steam's columns as RecBole's tools convert them; it does not read them itself."""
USERS = (
    "user_id", "user", "uid", "userid", "reviewer_id", "reviewerID", "session_id", "visitor_id", "customer_id",
    "anonymous_user_id",
)  # fmt: skip
ITEMS = (
    "item_id", "item", "iid", "business_id", "movie_id", "book_id", "artist_id", "product_id", "parent_asin", "asin",
    "anime_id", "app_id", "game_id", "track_id", "song_id", "music_id", "news_id", "recipe_id", "venue_id", "poi_id",
    "tracks_id", "albums_id", "artists_id",
)  # fmt: skip
ALONE = "id"
"""The id of a row where all rows are users, or all are items; LastFM's and Steam's are called so."""
RATINGS = ("rating", "stars", "star", "score", "overall")
LABEL = "label"
"""RecBole's own column of likes (1) and their contrary (0), of data for click-through rates."""
TIMES = (
    "timestamp", "time", "date", "unix_review_time", "unixReviewTime", "review_time", "datetime", "created_at",
    "transaction_date",
)  # fmt: skip
REVIEWS = ("review", "review_text", "reviewText", "text")
TITLES = (
    "movie_title", "movie_name", "title", "name", "app_name", "item_name", "book_title", "product_name", "artist_name",
)  # fmt: skip
YEARS = ("release_year", "year", "publication_year")
GENRES = ("class", "genre", "genres", "categories")
KINDS = "type"
"""MovieLens-10M's genres where it is a sequence; of anime one word, TV or Movie."""
NO_CATEGORY = "et("
"""What is left of Python's `set()` when its ends are cut off, as RecBole's Amazon files have it."""
PARTS = {"train": 0, "valid": 1, "validation": 1, "val": 1, "dev": 1, "test": 2}
"""What a file of a published split holds, by the word before `.inter`: its number among `SPLITS`."""
LAYOUT = Layout("\t", quoted=False)
ROWS = Rows(LAYOUT.first_line)


def read(source: SourceOptions, folder: Path) -> RawData:
    """Reads the .inter file of the folder, or those of a published split, and the .item and .user files of its name."""
    name, inters = _interaction_files(folder)
    paths = {about: folder / f"{name}.{about}" for about in ("item", "user")}
    paths = {about: path for about, path in paths.items() if path.is_file()}
    notes: list[str] = []
    interactions = _divided(inters, notes) if len(inters) > 1 else _interactions(inters[0], notes)
    items = _items(paths["item"], notes) if "item" in paths else _only("item")
    users = _users(paths["user"], notes) if "user" in paths else _only("user")
    files = {path.name: path for path in (*inters, *paths.values())}
    log = inters[0] if len(inters) == 1 else folder / f"{name}.*.inter"
    tables = {"interactions": log, **{f"{about}s": path for about, path in paths.items()}}
    licence = GROUPLENS_TERMS if name.startswith("ml-") else None
    return RawData(interactions, items, users, files, licence, tables=tables, notes=tuple(notes))


def _interaction_files(folder: Path) -> tuple[str, list[Path]]:
    """What the data set is called, and its file of interactions, or those of a published split in their order."""
    found = sorted(folder.glob("*.inter"))
    if len(found) == 1:
        return found[0].stem, found
    parted = sorted((PARTS[part], path) for path in found if (part := path.stem.rpartition(".")[2]) in PARTS)
    names = {path.stem.rpartition(".")[0] for _, path in parted}
    if len(parted) == len(found) and len(names) == 1 and [part for part, _ in parted] in ([0, 2], [0, 1, 2]):
        return names.pop(), [path for _, path in parted]
    listed = ", ".join(path.name for path in found[:4])
    what = f"{len(found)} .inter files ({listed}), expected one" if found else "no .inter file"
    raise DataError(
        f"{what}; expected NAME.inter and, with side information, NAME.item and NAME.user",
        where=folder,
        remedy="give each data set a folder of its own; the parts of a published split are called NAME.train.inter, "
        "NAME.valid.inter and NAME.test.inter"
        if found
        else ML100K_HINT,
    )


def _divided(paths: list[Path], notes: list[str]) -> pd.DataFrame:
    """The interactions of all parts of a published split, with the part of each."""
    parts: list[pd.DataFrame] = []
    for path in paths:
        part = _interactions(path, notes)
        if parts and list(part) != list(parts[0]):
            what = f"the file holds {', '.join(part)}, and {paths[0].name} holds {', '.join(parts[0])}"
            raise DataError(what, where=path, remedy="give the parts of a split the same columns")
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    numbers = [PARTS[path.stem.rpartition(".")[2]] for path in paths]
    frame["split"] = np.repeat(np.array(numbers, np.uint8), [len(part) for part in parts])
    notes.append("the files bring a split, which dataset.split.kind: given keeps")
    return frame


def _interactions(path: Path, notes: list[str]) -> pd.DataFrame:
    data, types = _header(path, notes)
    user, item = (
        _one_of(USERS, types, path, notes, required="user"),
        _one_of(ITEMS, types, path, notes, required="item"),
    )
    rating, time = _one_of(RATINGS, types, path, notes), _one_of(TIMES, types, path, notes)
    if not rating and types.get(LABEL) == "float":
        rating = LABEL
        notes.append(f"{path.name}: {LABEL} is read as the rating; dataset.min_rating: 1 leaves out what has label 0")
    review = _one_of(REVIEWS, types, path, notes)
    wanted = [name for name in (user, item, rating, time, review) if name]
    if left := [name for name in types if name not in wanted]:
        notes.append(f"{path.name}: columns that are not known are left out: {', '.join(left)}")
    table = _without_marks(read_delimited(data, path, LAYOUT, list(types), wanted, lines=True), data, path, notes)
    columns = {"user": ids_of(table[user], path, ROWS, notes), "item": ids_of(table[item], path, ROWS, notes)}
    if rating:
        columns["rating"] = pd.Series(ratings_of(table[rating], path, ROWS))
    if time:
        times = seconds_of(table[time], path, ROWS)
        columns["timestamp"] = pd.Series(times.seconds)
        if times.missing.any():
            columns["timestamp"] = columns["timestamp"].astype("Int64").mask(times.missing)
        notes += [f"{path.name}: {times.note}"] if times.note else []
    if review:
        columns["review"] = table[review].where(table[review].str.strip() != "", None)
    return pd.DataFrame(columns)


def _items(path: Path, notes: list[str]) -> pd.DataFrame:
    frame = _side(path, ITEMS, "item", notes)
    title, year, genres = (_first(names, frame.columns) for names in (TITLES, YEARS, GENRES))
    if not genres and KINDS in frame and isinstance(frame[KINDS].iloc[0], list):
        genres = KINDS
    columns: dict[str, pd.Series] = {}
    written_years = pd.Series(pd.NA, frame.index, dtype="Int16")
    for name in frame.columns:
        if name == title:
            parsed = [title_and_year(text) for text in frame[name]]
            columns["title"] = pd.Series([text or None for text, _ in parsed], dtype="str")
            written_years = pd.Series([number for _, number in parsed], dtype="Int16")
        elif name == genres:
            columns["genres"] = frame[name].map(lambda value: value if isinstance(value, list) else values_of(value))
        elif name == year:
            years = years_of(frame[name])[0]
            columns["year"] = years.where((years >= 1000) & (years <= 3000))
        elif other := {"title": title, "genres": genres, "year": year}.get(name):
            notes.append(f"{path.name}: {other} is read as {name}, and the column {name} is left out")
        else:
            columns[name] = frame[name]
    if written_years.notna().any():  # ML-100K has a film whose year stands in the title only, books often do
        columns["year"] = columns["year"].fillna(written_years) if "year" in columns else written_years
    return pd.DataFrame(columns)


def _users(path: Path, notes: list[str]) -> pd.DataFrame:
    frame = _side(path, USERS, "user", notes)
    if "age" in frame:
        ages = pd.to_numeric(frame["age"], errors="coerce")
        if (ages.between(0, np.iinfo(np.int16).max) & (ages % 1 == 0)).all():
            frame["age"] = ages.astype(np.int16)
    return frame


def _without_marks(table: pa.Table, data: Buffer, path: Path, notes: list[str]) -> pd.DataFrame:
    """The columns without quotation marks that are quoting; `notes` say where RecBole itself would keep them."""
    columns = {}
    for name in table.column_names:
        column, count, told = unquoted(table[name], data, LAYOUT)
        columns[name] = column.to_pandas()
        if told in (EVERY_FIELD, WITH_COMMA):
            notes.append(
                f"{path.name}: {counted(count, 'value')} of {name} stood between quotation marks ({told}): removed"
            )
    return pd.DataFrame(columns)


def _side(path: Path, names: tuple[str, ...], about: str, notes: list[str]) -> pd.DataFrame:
    """A side table by its id, floats as numbers, sequences as lists."""
    data, types = _header(path, notes)
    id_column = _one_of(names if _first(names, types) else (*names, ALONE), types, path, notes, required=about)
    frame = _without_marks(read_delimited(data, path, LAYOUT, list(types), lines=True), data, path, notes)
    for name, kind in types.items():
        if name != id_column and name in (about, "source_id"):
            raise _bad_header(path, f"the column {name} has a name Augrec uses", "rename it")
        if name == id_column:
            frame[name] = ids_of(frame[name], path, ROWS, notes)
        elif kind == "float":
            written = frame[name].str.strip()
            frame[name] = numbers_of(frame[name], path, ROWS)
            dashes = int((frame[name].isna() & (written != "")).sum())
            if dashes:
                notes.append(f"{path.name}: {dashes} of {len(frame)} values of {name} are a dash or the like: missing")
        elif kind == "token_seq" and name not in TITLES:
            frame[name] = pd.Series(_sequences(frame[name], path, notes), frame.index, object)
        elif kind == "float_seq":
            frame[name] = pd.Series(_float_lists(frame[name], path), frame.index, object)
    return unique_ids(frame.rename(columns={id_column: about}), about, path, notes)


def _header(path: Path, notes: list[str]) -> tuple[bytes, dict[str, str]]:
    """The file's bytes, and the type of each of its columns."""
    data = contents(path)
    fields = [field.partition(":") for field in header_fields(data, LAYOUT)]
    types = {name: kind for name, _, kind in fields}
    if converted := [name for name, kind in types.items() if kind in CONVERTED]:
        notes.append(f"{path.name}: types that RecBole does not know are read as token: {', '.join(converted)}")
        types |= dict.fromkeys(converted, "token")
    wrong = [f"{name}:{kind}" for name, kind in types.items() if kind not in TYPES]
    if wrong or len(types) < len(fields):
        what = f"columns without a known type: {', '.join(wrong)}" if wrong else "a column occurs twice"
        raise _bad_header(path, what)
    return data, types  # type: ignore[return-value]


def _bad_header(path: Path, what: str, remedy: str = "") -> DataError:
    return DataError(
        f"{what}; expected a tab-separated header of name:type with types {', '.join(TYPES)}",
        where=f"{path}:1",
        remedy=remedy or "check that the file is a RecBole atomic file with tabs between the fields",
    )


def _one_of(
    names: tuple[str, ...], types: dict[str, str], path: Path, notes: list[str], required: str | None = None
) -> str:
    """The first of `names` that the file has, "" where it has none and needs none."""
    chosen = _first(names, types)
    if not chosen and required:
        near = nearest(names[0], types)
        remedy = f"the columns are {', '.join(types)}" + (f"; did you mean {near}?" if near else "")
        raise _bad_header(path, f"no column {names[0]}, nor {', '.join(names[1:6])}, ...", remedy)
    others = [name for name in names if name in types and name != chosen]
    if others:
        notes.append(f"{path.name}: {chosen} is read; {', '.join(others)} could be meant too")
    return chosen


def _first(names: Iterable[str], there: Iterable[str]) -> str:
    known = set(there)
    return next((name for name in names if name in known), "")


def _sequences(column: pd.Series, path: Path, notes: list[str]) -> list[list[str]]:
    """The values of each field: a Python list's, or separated by a sign that most fields that hold several have: commas
    with blanks, of genres also bars and commas alone; or by blanks, which is RecBole's own rule."""
    there = column[column != ""]
    blanks = there.str.contains(" ", regex=False)
    for sign in (", ", "|", ",") if column.name in (*GENRES, KINDS) else (", ",):
        holding = there.str.contains(sign, regex=False)
        if holding.any() and holding.sum() >= 0.5 * (holding | blanks).sum():
            if sign != ", " and not there.str.startswith("[").any():
                notes.append(
                    f"{path.name}: values of {column.name} are separated by {sign!r}, where RecBole has blanks"
                )
            return [_sequence(text, sign.strip()) for text in column]
    return [_sequence(text, "") for text in column]


def _sequence(text: str, separator: str) -> list[str]:
    if text == NO_CATEGORY:
        return []
    if text[:1] in ("'", '"', "["):
        written = listed(text if text[0] == "[" else f"[{text}]")
        if written is not None:
            return values_of(written)
    if separator:
        return [part for part in (part.strip() for part in text.split(separator)) if part]
    return text.split(" ") if text else []


def _float_lists(column: pd.Series, path: Path) -> list[list[float]]:
    rows = []
    for place, text in enumerate(column):
        try:
            rows.append([float(part) for part in text.split()])
        except ValueError:
            raise DataError(
                f"{column.name} is {text[:60]!r}, expected numbers separated by spaces",
                where=ROWS.where(path, place),
                remedy="mend the line",
            ) from None
    return rows


def _only(name: str) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=str)})
