"""Layouts of files by the names that configs give them; shipped ones, and those of packages of users."""

from __future__ import annotations

from dataclasses import dataclass

from augrec.artefacts.registry import Registry


@dataclass(frozen=True)
class DataFormat:
    """A layout of files, by its name in configs."""

    name: str
    reader: str
    """`module:function` of its `recsys.data.readers.base.Reader`, imported when it reads."""
    brings_split: bool = False
    """Whether its files always say what is train, validation and test."""

    @property
    def module(self) -> str:
        """Where its reader stands."""
        return self.reader.partition(":")[0]


_MOVIELENS, _AMAZON = "recsys.data.readers.movielens", "recsys.data.readers.amazon"
READERS: Registry[DataFormat] = Registry("format of data")
READERS.register(DataFormat("recbole", "recsys.data.readers.recbole:read"))
READERS.register(DataFormat("ml-100k", f"{_MOVIELENS}:read_100k"))
READERS.register(DataFormat("ml-1m", f"{_MOVIELENS}:read_1m"))
READERS.register(DataFormat("ml-10m", f"{_MOVIELENS}:read_10m"))
READERS.register(DataFormat("ml-20m", f"{_MOVIELENS}:read_latest"))
READERS.register(DataFormat("ml-25m", f"{_MOVIELENS}:read_latest"))
READERS.register(DataFormat("ml-32m", f"{_MOVIELENS}:read_latest"))
READERS.register(DataFormat("ml-latest", f"{_MOVIELENS}:read_latest"))
READERS.register(DataFormat("amazon-2014", f"{_AMAZON}:read_2014"))
READERS.register(DataFormat("amazon-2018", f"{_AMAZON}:read_2018"))
READERS.register(DataFormat("amazon-2023", f"{_AMAZON}:read_2023"))
READERS.register(DataFormat("yelp", "recsys.data.readers.yelp:read"))
READERS.register(DataFormat("steam", "recsys.data.readers.steam:read"))
READERS.register(DataFormat("goodreads", "recsys.data.readers.goodreads:read"))
READERS.register(DataFormat("book-crossing", "recsys.data.readers.book_crossing:read"))
READERS.register(DataFormat("table", "recsys.data.readers.table:read"))
READERS.register(DataFormat("rlmrec", "recsys.data.readers.rlmrec:read", brings_split=True))
READERS.register(DataFormat("lightgcn", "recsys.data.readers.item_lists:read", brings_split=True))
READERS.register(DataFormat("augrec", "recsys.data.readers.prepared:read", brings_split=True))
