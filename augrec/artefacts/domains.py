"""What the items of a data set can be: a config names one, `dataset.json` keeps it, and prompts speak accordingly."""

from __future__ import annotations

from typing import Literal

DomainName = Literal["movies", "books", "games", "music", "businesses"]
